//! One posting set, and looking it up.

use bytes::Bytes;
use lombard_proto::ledger::v1::{Pending, condition::Check, lookup_request::Key};
use tonic::Code;

use super::support::{TestServer, payment, reason, record};

const ALL: &str = "ledger:read ledger:write";

#[tokio::test]
async fn what_is_created_is_found_and_created_once() {
    let server = TestServer::new().await;
    let client = server.client(ALL).await;
    let mut request = payment(7, "world", "shop/a", "12.50");
    request.external_id = Some("order-1".into());
    request.metadata = Some("{ \"n\" : 1.10 }".into());
    let created = client.create(request.clone()).await.unwrap();
    assert!(!created.is_replayed);
    assert_eq!(created.transfers, record(7, 1, 2, 1250, 0));
    let again = client.create(request.clone()).await.unwrap();
    assert!(again.is_replayed);
    assert_eq!((again.position, again.recorded_at), (created.position, created.recorded_at));
    for key in [Key::Id(request.id.clone()), Key::ExternalId("order-1".into())] {
        let found = client.lookup(key).await.unwrap();
        assert_eq!((&found.transfers, found.position), (&created.transfers, created.position));
        assert_eq!(found.external_id.as_deref(), Some("order-1"));
        assert_eq!(found.metadata.as_deref(), Some("{\"n\":1.10}"));
    }
    request.transfers[0].amount = "12.51".into();
    let refused = client.create(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::AlreadyExists, "transfer-exists")
    );
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_in_the_words_of_http() {
    let server = TestServer::new().await;
    let client = server.client(ALL).await;
    let good = payment(1, "world", "shop/a", "1");
    let mut no_id = good.clone();
    no_id.id = Bytes::new();
    let mut no_transfer = good.clone();
    no_transfer.transfers.clear();
    let mut condition = good.clone();
    condition.transfers[0].conditions = vec![Default::default()];
    let mut broken = good.clone();
    broken.transfers[0].conditions = vec![lombard_proto::ledger::v1::Condition {
        account: 1,
        check: Some(Check::PostedAtLeast("5".into())),
    }];
    let mut metadata = good.clone();
    metadata.metadata = Some("[]".into());
    let mut code = good.clone();
    code.transfers[0].code = 65536;
    let mut imported = good.clone();
    imported.imported = true;
    for (request, code, wanted) in [
        (no_id, Code::InvalidArgument, "invalid-body"),
        (no_transfer, Code::InvalidArgument, "invalid-body"),
        (condition, Code::InvalidArgument, "invalid-body"),
        (metadata, Code::InvalidArgument, "invalid-body"),
        (code, Code::InvalidArgument, "invalid-body"),
        (payment(2, "world", "shop/a", "1.001"), Code::InvalidArgument, "too-many-fraction-digits"),
        (payment(3, "world", "shop/c", "1"), Code::InvalidArgument, "credit-account-not-found"),
        (payment(4, "shop/a", "shop/b", "1"), Code::InvalidArgument, "insufficient-funds"),
        (broken, Code::InvalidArgument, "balance-condition-failed"),
        (imported, Code::PermissionDenied, "insufficient-scope"),
    ] {
        let refused = client.create(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (code, wanted));
    }
    let refused = client.lookup(Key::ExternalId("none".into())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "transfer-not-found"));
}

#[tokio::test]
async fn a_dry_run_and_a_reservation() {
    let server = TestServer::new().await;
    let client = server.client(ALL).await;
    let mut request = payment(1, "world", "shop/a", "1");
    request.pending = Some(Pending { timeout_seconds: 60, ..Default::default() });
    request.dry_run = true;
    client.create(request.clone()).await.unwrap();
    assert!(client.lookup(Key::Id(request.id.clone())).await.is_err());
    request.dry_run = false;
    let created = client.create(request).await.unwrap();
    assert_eq!((created.transfers[116], created.transfers[122]), (60, 2));
}

#[tokio::test]
async fn tokens_permit_what_they_say() {
    let server = TestServer::new().await;
    let admin = server.client(ALL).await;
    admin.create(payment(1, "world", "shop/a", "5")).await.unwrap();
    let writer = server.client("ledger:write:shop/*").await;
    writer.create(payment(2, "shop/a", "shop/b", "1")).await.unwrap();
    let id = |id: u128| Key::Id(Bytes::copy_from_slice(&id.to_be_bytes()));
    let reader = server.client("ledger:read:shop/b").await;
    reader.lookup(id(2)).await.unwrap();
    let refusals = [
        writer.create(payment(3, "world", "shop/a", "1")).await.map(drop),
        writer.lookup(id(2)).await.map(drop),
        reader.lookup(id(1)).await.map(drop),
        reader.lookup(id(9)).await.map(drop),
        reader.create(payment(3, "shop/b", "shop/a", "1")).await.map(drop),
    ];
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(reason(&refused), "insufficient-scope");
    }
    server.stop().await;
}
