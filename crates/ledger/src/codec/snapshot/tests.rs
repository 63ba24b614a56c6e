//! Golden bytes; a book from a snapshot goes on as the one it was taken of.

use std::sync::Arc;

use lombard_engine::{At, Decision, Machine as _, state_from_bytes, state_to_bytes};
use lombard_ledger_core::{
    AccountIdentity, AccountRef, Balance, Command, CreateAsset, CreateTransfer, Evidence, HashSeed,
    Metadata, NormalSide, OpenAccount, UserData,
};
use lombard_types::{Amount, TransferId};
use proptest::prelude::*;

use super::*;

fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: 0xc0,
        client_id: "c".parse().unwrap(),
        subject: "s".into(),
        token_id: "t".into(),
        request_id: "r".parse().unwrap(),
        traceparent: None,
        idempotency_key: None,
    })
}

fn account_id(number: u8) -> AccountId {
    AccountId::from_u128(u128::from(number) + 1).unwrap()
}

fn open(account: u8, asset: &str, normal_side: NormalSide, floor: Option<Balance>) -> Command {
    Command::OpenAccount(OpenAccount {
        identity: AccountIdentity::Chosen(account_id(account)),
        path: format!("a/{account}").parse().unwrap(),
        asset: asset.parse().unwrap(),
        normal_side,
        floor,
        evidence: evidence(),
    })
}

fn transfer(id: u8, (debit, credit): (u8, u8), asset: &str, amount: u128) -> Command {
    Command::CreateTransfer(CreateTransfer {
        id: TransferId::from_u128(u128::from(id) + 1).unwrap(),
        debit_account: AccountRef::Id(account_id(debit)),
        credit_account: AccountRef::Id(account_id(credit)),
        asset: asset.parse().unwrap(),
        amount: Amount::from_minor_units(amount),
        user_data: UserData { data_128: 6, data_64: 7, data_32: 8 },
        code: 9,
        effective_at: id.is_multiple_of(2).then_some(Timestamp::from_unix_nanos(10)),
        metadata: Metadata::new(format!("{{\"n\":{}}}", id % 3)).unwrap(),
        evidence: evidence(),
    })
}

fn create_asset(code: &str, digits: u8) -> Command {
    let (code, scale) = (code.parse().unwrap(), Scale::new(digits).unwrap());
    Command::CreateAsset(CreateAsset { code, scale, evidence: evidence() })
}

/// Decides and applies; answers what was decided. Replies are left out: they show how a book numbers its assets.
fn submit(machine: &mut LedgerMachine, position: u64, command: Command) -> String {
    let time = Timestamp::from_unix_nanos(1000 + position);
    match machine.decide(command, time) {
        Ok(Decision::Commit { events, .. }) => {
            for (index, event) in (0..).zip(&events) {
                let position = Position::new(position);
                machine.apply(event, At { position, index, time });
            }
            format!("{events:?}")
        }
        Ok(Decision::Answer(_)) => "as the first time".to_owned(),
        Err(rejection) => format!("{rejection:?}"),
    }
}

fn empty(seed: u128) -> LedgerMachine {
    LedgerMachine::empty(HashSeed(seed))
}

/// These bytes are in people's snapshots. A failing test means that a new version is needed.
#[test]
fn golden_bytes_of_version_1() {
    let mut machine = empty(1);
    let floor = Some(Balance::new(true, 1));
    for (position, command) in (0..).zip([
        create_asset("AAA", 3),
        open(1, "AAA", NormalSide::Debit, None),
        open(2, "AAA", NormalSide::Credit, floor),
        transfer(4, (1, 2), "AAA", 5),
    ]) {
        submit(&mut machine, position, command);
    }
    let bytes = state_to_bytes(&machine);
    let number = |number: u8| [[number].as_slice(), &[0; 15]].concat();
    let assets = lombard_ledger_core::ISO_4217.len() + 1;
    let mut expected = vec![24, 0, 0, 0, u8::try_from(assets).unwrap(), 0, 0, 0, 0, 0, 0, 0];
    expected.extend([2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([5, 0, 0, 0, 3, b'A', b'A', b'A', 3]);
    expected.extend([5, 0, 0, 0, 3, b'A', b'E', b'D', 2]);
    assert_eq!(&bytes[..expected.len()], expected);

    let mut expected = [&[90, 0, 0, 0], number(2).as_slice(), b"\x03a/1\x03AAA\x00\x00"].concat();
    for total in [0, 5, 0, 0] {
        expected.extend(number(total));
    }
    expected.extend([&[106, 0, 0, 0], number(3).as_slice(), b"\x03a/2\x03AAA\x01\x02"].concat());
    for total in [1, 0, 0, 0, 5] {
        expected.extend(number(total));
    }
    let start = bytes.len() - 4 - 153 - expected.len();
    assert_eq!(&bytes[start..][..expected.len()], expected);

    let spent = &bytes[bytes.len() - 4 - 153..];
    assert_eq!(spent[..4], [153, 0, 0, 0]);
    assert_eq!(spent[4..20], number(5));
    let fingerprint = &spent[132..140];
    assert_ne!(fingerprint, [0; 8]);
    assert_eq!(spent[140..], [0, 3, 0, 0, 0, 0, 0, 0, 0, 0xeb, 3, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn every_cut_and_everything_twice_is_refused() {
    let mut machine = empty(1);
    for (position, command) in (0..).zip([
        open(1, "EUR", NormalSide::Debit, None),
        open(2, "EUR", NormalSide::Credit, None),
        transfer(4, (1, 2), "EUR", 5),
    ]) {
        submit(&mut machine, position, command);
    }
    let bytes = state_to_bytes(&machine);
    for length in (0..bytes.len()).rev().take(500) {
        assert!(state_from_bytes(empty(1), &bytes[..length]).is_err(), "cut to {length}");
    }
    assert!(state_from_bytes(empty(1), &[bytes.as_slice(), &[0]].concat()).is_err());
    // One more transfer, which is the last once more.
    let mut twice = [bytes.as_slice(), &bytes[bytes.len() - 157..]].concat();
    twice[4 + 16] += 1;
    assert_eq!(
        state_from_bytes(empty(1), &twice).err(),
        Some(DecodeError("two transfers have one id"))
    );
}

fn command() -> impl Strategy<Value = Command> {
    let asset = || prop::sample::select(vec!["EUR", "JPY", "POINTS", "GOLD"]);
    let side =
        any::<bool>().prop_map(|debit| if debit { NormalSide::Debit } else { NormalSide::Credit });
    let floor = prop::option::of((any::<bool>(), 0u128..200))
        .prop_map(|floor| floor.map(|(is_negative, size)| Balance::new(is_negative, size)));
    prop_oneof![
        1 => (asset(), 0u8..4).prop_map(|(code, digits)| create_asset(code, digits)),
        3 => (0u8..6, asset(), side, floor)
            .prop_map(|(account, asset, side, floor)| open(account, asset, side, floor)),
        6 => (0u8..20, 0u8..6, 0u8..6, asset(), 1u128..200).prop_map(
            |(id, debit, credit, asset, amount)| transfer(id, (debit, credit), asset, amount)
        ),
    ]
}

proptest! {
    /// Snapshot and tail against the whole history, with another hash seed.
    #[test]
    fn a_book_from_a_snapshot_goes_on_as_the_whole_one(
        before in prop::collection::vec(command(), 0..40),
        after in prop::collection::vec(command(), 0..40),
    ) {
        let mut whole = empty(1);
        for (position, command) in (0..).zip(before.clone()) {
            submit(&mut whole, position, command);
        }
        let bytes = state_to_bytes(&whole);
        let mut restored = state_from_bytes(empty(2), &bytes).unwrap();
        prop_assert_eq!(state_to_bytes(&restored), bytes);
        // Retries of what was before must be known too.
        for (position, command) in (100..).zip(before.into_iter().chain(after)) {
            let told = submit(&mut whole, position, command.clone());
            prop_assert_eq!(submit(&mut restored, position, command), told);
        }
        prop_assert_eq!(state_to_bytes(&restored), state_to_bytes(&whole));
        prop_assert_eq!(restored.book().state_hash(), whole.book().state_hash());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        drop(state_from_bytes(empty(1), &bytes));
    }
}
