//! Calls with one answer.

use lombard_client::grpc::{
    GrpcError,
    ledger::{
        TransferKind, id_bytes,
        v1::{
            ActionRequest, BalanceRequest, CreateRequest, NewTransfer, Pending, Side,
            TransferResult,
        },
    },
};
use lombard_ledger::Config;
use lombard_types::Amount;

use super::{ALL, TestServer, balances, id, named};

fn pay(number: u128, from: &str, to: &str, amount: &str) -> CreateRequest {
    let transfer = NewTransfer {
        debit_account: Some(named(from)),
        credit_account: Some(named(to)),
        asset: "EUR".to_owned(),
        amount: amount.to_owned(),
        ..NewTransfer::default()
    };
    CreateRequest { id: id_bytes(id(number)), transfers: vec![transfer], ..Default::default() }
}

fn action(number: u128, other: u128, amounts: &[&str]) -> ActionRequest {
    ActionRequest {
        id: id_bytes(id(number)),
        other: id_bytes(id(other)),
        amounts: amounts.iter().map(ToString::to_string).collect(),
        ..ActionRequest::default()
    }
}

#[tokio::test]
async fn sets_are_created_posted_voided_reversed_and_found() {
    let server = TestServer::new().await;
    let client = server.own_client(ALL);
    let reserve = |number, amount| CreateRequest {
        pending: Some(Pending::default()),
        external_id: Some(format!("order-{number}")),
        ..pay(number, "world", "shop/a", amount)
    };
    let reserved = client.create(&reserve(1, "10.00")).await.unwrap();
    let kind = reserved.transfers[0].transfer.kind;
    assert!(matches!(kind, TransferKind::Pending { timeout_seconds: 0, .. }), "{kind:?}");
    client.create(&reserve(2, "5.00")).await.unwrap();

    let posted = client.post(&action(3, 1, &["7.50"])).await.unwrap();
    assert_eq!(posted.transfers[0].transfer.amount, Amount::from_minor_units(750));
    assert!(!posted.is_replayed && posted.position > reserved.position);
    let again = client.post(&action(3, 1, &["7.50"])).await.unwrap();
    assert!(again.is_replayed && again.position == posted.position);
    client.void(&action(4, 2, &[])).await.unwrap();
    let late = client.post(&action(5, 2, &[])).await.unwrap_err();
    assert_eq!(late.transfer_result(), Some(TransferResult::PendingTransferAlreadyVoided));
    client.reverse(&action(6, 3, &["2.50"])).await.unwrap();
    let rest = client.reverse(&action(7, 3, &[])).await.unwrap();
    assert_eq!(rest.transfers[0].transfer.kind, TransferKind::Reversal { of: id(3) });
    assert_eq!(rest.transfers[0].transfer.amount, Amount::from_minor_units(500));

    let found = client.lookup_external("order-1").await.unwrap().unwrap();
    assert_eq!(found.set.transfers, reserved.transfers);
    assert_eq!(found.external_id.as_deref(), Some("order-1"));
    assert_eq!(client.lookup(id(6)).await.unwrap().unwrap().set.transfers.len(), 1);
    assert_eq!(client.lookup(id(99)).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_refused_is_told_as_a_result() {
    let server = TestServer::new().await;
    let client = server.own_client(ALL);
    let short = client.create(&pay(1, "shop/a", "shop/b", "0.01")).await.unwrap_err();
    assert_eq!(short.slug().as_deref(), Some("insufficient-funds"));
    assert_eq!(short.transfer_result(), Some(TransferResult::ExceedsCredits));
    // A refused set is recorded, and found.
    let found = client.lookup(id(1)).await.unwrap().unwrap();
    assert_eq!(found.set.transfers[0].result, TransferResult::ExceedsCredits);

    for (wrong, slug) in [
        (action(2, 99, &[]), "transfer-not-found"),
        (action(2, 1, &["1.00", "1.00"]), "invalid-body"),
        (ActionRequest { id: vec![1].into(), ..action(2, 1, &[]) }, "invalid-body"),
        (ActionRequest { other: vec![].into(), ..action(2, 1, &[]) }, "invalid-body"),
        (ActionRequest { code: 65536, ..action(2, 1, &[]) }, "invalid-body"),
        (ActionRequest { metadata: Some("{".into()), ..action(2, 1, &[]) }, "invalid-body"),
        (ActionRequest { override_lock: true, ..action(2, 1, &[]) }, "insufficient-scope"),
    ] {
        let error = client.post(&wrong).await.unwrap_err();
        assert_eq!(error.slug().as_deref(), Some(slug), "{wrong:?}");
    }
    let error = client.void(&action(2, 1, &["0.01"])).await.unwrap_err();
    assert_eq!(error.slug().as_deref(), Some("invalid-body"));
    // Who may only post, and only below another path.
    for scope in ["ledger:post:other/*", "ledger:read"] {
        let error = server.own_client(scope).post(&action(2, 1, &[])).await.unwrap_err();
        assert_eq!(error.slug().as_deref(), Some("insufficient-scope"), "{scope}");
    }
}

#[tokio::test]
async fn a_dry_run_of_an_action_records_nothing() {
    let server = TestServer::new().await;
    let client = server.own_client(ALL);
    client.create(&pay(1, "world", "shop/a", "3.00")).await.unwrap();
    let tried = ActionRequest { dry_run: true, ..action(2, 1, &["1.00"]) };
    assert_eq!(client.reverse(&tried).await.unwrap().transfers.len(), 1);
    assert_eq!(client.lookup(id(2)).await.unwrap(), None);
    assert_eq!(balances(&client, &["shop/a"]).await[0].posted, "3.00");
}

#[tokio::test]
async fn balances_are_of_one_position() {
    let server = TestServer::with(Config { balances_max: 100, ..Config::default() });
    server.open_accounts().await;
    let client = server.own_client(ALL);
    client.create(&pay(1, "world", "shop/a", "3.00")).await.unwrap();
    let reserve =
        CreateRequest { pending: Some(Pending::default()), ..pay(2, "shop/a", "shop/b", "1.25") };
    let position = client.create(&reserve).await.unwrap().position;
    let accounts = ["shop/a", "shop/b", "world"].map(named).into();
    let answer = client.balance(&BalanceRequest { accounts }).await.unwrap();
    assert_eq!(answer.position, position);
    let [a, b, world] = &answer.accounts[..] else { panic!("{answer:?}") };
    assert_eq!(
        (a.posted.as_str(), a.pending.as_str(), a.available.as_str()),
        ("3.00", "-1.25", "1.75")
    );
    assert_eq!(
        (b.posted.as_str(), b.pending.as_str(), b.available.as_str()),
        ("0.00", "1.25", "0.00")
    );
    assert_eq!((world.posted.as_str(), world.debits_posted.as_str()), ("-3.00", "3.00"));
    assert_eq!((a.debits_pending.as_str(), b.credits_pending.as_str()), ("1.25", "1.25"));
    assert_eq!((a.asset.as_str(), a.version, a.is_closed), ("EUR", 2, false));
    assert_eq!(a.normal_side, i32::from(Side::Credit));

    let slug = |error: GrpcError| error.slug().unwrap();
    let ask = |names: Vec<_>| BalanceRequest { accounts: names };
    for wrong in [vec![], vec![named("shop/a"); 101], vec![Default::default()]] {
        assert_eq!(slug(client.balance(&ask(wrong)).await.unwrap_err()), "invalid-body");
    }
    let missing = client.balance(&ask(vec![named("shop/c")])).await.unwrap_err();
    assert_eq!(slug(missing), "account-not-found");
    // Who may read some is told of those that are missing there, and nothing of others.
    let shop = server.own_client("ledger:read:shop/*");
    assert_eq!(balances(&shop, &["shop/b"]).await.len(), 1);
    for (path, expected) in [
        ("shop/c", "account-not-found"),
        ("world", "insufficient-scope"),
        ("moon", "insufficient-scope"),
    ] {
        let error = shop.balance(&ask(vec![named("shop/a"), named(path)])).await.unwrap_err();
        assert_eq!(slug(error), expected, "{path}");
    }
}
