//! The index against the plain definition, over seals and restarts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lombard_engine::{Engine, Handle, Limits};
use lombard_ledger_core::{
    AccountIdentity, Command, CreateTransfers, Evidence, HashSeed, MemoryPast, NewNote,
    NewTransfer, NormalSide, OpenAccount, Reservation, TransferKind,
};
use lombard_log::MemoryLog;
use lombard_types::AccountId;

use super::*;
use crate::{directory::Directory, machine::LedgerMachine};

/// So few that files are sealed and merged all the time.
const FREEZE_IDS: u64 = 5;

fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: 1,
        client_id: "c".parse().unwrap(),
        subject: "s".into(),
        token_id: "t".into(),
        request_id: "r".parse().unwrap(),
        traceparent: None,
        idempotency_key: None,
    })
}

fn account(number: u128) -> AccountId {
    AccountId::from_u128(number).unwrap()
}

fn id(number: u128) -> TransferId {
    TransferId::from_u128(number).unwrap()
}

fn start(log: &SharedLog, spent: &SpentIndex) -> (Handle<LedgerMachine>, Engine) {
    let machine = LedgerMachine::empty(HashSeed(1), spent.clone(), Directory::new(HashSeed(1)));
    Engine::start("test", Arc::clone(log), machine, EventCodec, Limits::default()).unwrap()
}

async fn submit(handle: &Handle<LedgerMachine>, transfer: NewTransfer, note: Option<NewNote>) {
    let notes = note.map(|note| (0, note)).into_iter().collect();
    let command = CreateTransfers { transfers: vec![transfer], notes, evidence: evidence() };
    handle.submit(Command::CreateTransfers(command)).await.unwrap();
}

async fn open_accounts(handle: &Handle<LedgerMachine>) {
    for number in 1..=2 {
        let opened = handle.submit(Command::OpenAccount(OpenAccount {
            identity: AccountIdentity::Chosen(account(number)),
            path: format!("a/{number}").parse().unwrap(),
            asset: "EUR".parse().unwrap(),
            normal_side: NormalSide::Credit,
            floor: (number == 2).then_some(lombard_ledger_core::Balance::ZERO),
            ceiling: None,
            evidence: evidence(),
        }));
        opened.await.unwrap();
    }
}

/// Ten of each kind of set: moved, refused, pending, posted, voided, reversed, with an external id.
async fn work(handle: &Handle<LedgerMachine>, round: u128) {
    let one = Amount::from_minor_units(1);
    for number in (1..=10).map(|number| round * 1000 + number * 10) {
        let single = |number| NewTransfer::single(id(number), account(1), account(2), one);
        let external = ExternalId::new(&format!("x-{number}")).unwrap();
        let note = NewNote { external_id: Some(external), ..NewNote::default() };
        submit(handle, single(number), Some(note)).await;
        let too_much = Amount::from_minor_units(1_000_000);
        let refused = NewTransfer::single(id(number + 1), account(2), account(1), too_much);
        submit(handle, refused, None).await;
        let kind = TransferKind::Pending(Reservation::default());
        submit(handle, NewTransfer { kind, ..single(number + 2) }, None).await;
        submit(handle, NewTransfer { kind, ..single(number + 3) }, None).await;
        let post = TransferKind::Post { pending: id(number + 2) };
        submit(handle, NewTransfer::whole(id(number + 4), post), None).await;
        let void = TransferKind::Void { pending: id(number + 3) };
        submit(handle, NewTransfer::whole(id(number + 5), void), None).await;
        let facts = recorded(handle, id(number)).await;
        let note = NewNote { reversed: facts.into(), ..NewNote::default() };
        let reversal = TransferKind::Reversal { of: id(number) };
        submit(handle, NewTransfer::whole(id(number + 6), reversal), Some(note)).await;
    }
}

async fn recorded(
    handle: &Handle<LedgerMachine>,
    id: TransferId,
) -> Vec<lombard_ledger_core::RecordedTransfer> {
    let (spent, _) = handle.query(move |machine| machine.past().spent(id)).await.unwrap();
    let records = handle.log().read(spent.unwrap().unwrap().position, 1).await.unwrap();
    let mut found = Vec::new();
    decode_record(&EventCodec, &records[0], |event, _| {
        if let Event::Transfers(transfers) = event {
            found = transfers.set(id).unwrap().recorded.to_vec();
        }
    })
    .unwrap();
    found
}

/// Every id of the log: what the plain past knows of it, the index must know.
async fn check(log: &SharedLog, index: &SpentIndex) -> usize {
    let mut plain = MemoryPast::default();
    let mut statuses = BTreeMap::new();
    for record in log.read(Position::START, usize::MAX).await.unwrap() {
        decode_record(&EventCodec, &record, |event, at| {
            plain.learn(&event, at.position);
            event.teach(|lesson| {
                if let Lesson::Stands { id, status, .. } = lesson {
                    statuses.insert(id, status);
                }
            });
        })
        .unwrap();
    }
    for (spent, status) in &statuses {
        let known = index.spent(*spent).unwrap();
        assert_eq!(known, plain.spent(*spent).unwrap(), "{spent}");
        assert_eq!(known.map(|known| known.status), Some(*status), "{spent}");
        assert_eq!(index.reversed(*spent, 0), plain.reversed(*spent, 0), "{spent}");
        let external = ExternalId::new(&format!("x-{}", spent.as_u128())).unwrap();
        assert_eq!(index.external(&external), plain.external(&external), "{spent}");
        let other = id(spent.as_u128() + 100_000);
        assert_eq!(index.spent(other), Ok(None));
    }
    statuses.len()
}

#[tokio::test]
async fn every_id_is_known_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let log: SharedLog = Arc::new(MemoryLog::new());
    for round in 0..3 {
        let index = SpentIndex::open(directory.path(), &log, FREEZE_IDS).unwrap();
        check(&log, &index).await;
        let (handle, engine) = start(&log, &index);
        open_accounts(&handle).await;
        work(&handle, round).await;
        assert_eq!(check(&log, &index).await, usize::try_from(round + 1).unwrap() * 70);
        // Most of it is in files by now, or will be.
        for _ in 0..200 {
            if index.sealed() > Position::START {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(index.sealed() > Position::START, "{:?}", index.obstacle());
        check(&log, &index).await;
        // Nobody else may have the directory open.
        drop(handle);
        engine.stopped().await.unwrap();
    }
}

#[tokio::test]
async fn an_index_of_another_log_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let log: SharedLog = Arc::new(MemoryLog::new());
        let first = SpentIndex::open(directory.path(), &log, FREEZE_IDS).unwrap();
        assert_eq!(first.spent(id(10)), Ok(None), "what another log holds is forgotten");
        let (handle, engine) = start(&log, &first);
        open_accounts(&handle).await;
        work(&handle, 0).await;
        while first.sealed() == Position::START {
            assert_eq!(first.obstacle(), None);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(check(&log, &first).await, 70);
        // Nobody else may have the directory open.
        drop(handle);
        engine.stopped().await.unwrap();
    }
}

/// Damage in a block that is first read while the log is caught up with, as a reservation from before is posted there. It used
/// to end the process, and the next one at the same place.
#[tokio::test]
async fn an_index_that_is_damaged_below_the_tail_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let log: SharedLog = Arc::new(MemoryLog::new());
    {
        let index = SpentIndex::open(directory.path(), &log, FREEZE_IDS).unwrap();
        let (handle, engine) = start(&log, &index);
        open_accounts(&handle).await;
        let kind = TransferKind::Pending(Reservation::default());
        let one = Amount::from_minor_units(1);
        let reserved = NewTransfer::single(id(5), account(1), account(2), one);
        submit(&handle, NewTransfer { kind, ..reserved }, None).await;
        work(&handle, 0).await;
        while index.sealed() < Position::new(20) {
            assert_eq!(index.obstacle(), None);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(handle);
        engine.stopped().await.unwrap();
    }
    {
        // Never sealed: at the next start it is read from the log.
        let index = SpentIndex::open(directory.path(), &log, u64::MAX).unwrap();
        let (handle, engine) = start(&log, &index);
        let post = TransferKind::Post { pending: id(5) };
        submit(&handle, NewTransfer::whole(id(6), post), None).await;
        drop(handle);
        engine.stopped().await.unwrap();
    }
    let mut damaged = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let is_ids = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ids"));
        if is_ids {
            let mut bytes = std::fs::read(&path).unwrap();
            // In the first block.
            bytes[20] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0);
    let index = SpentIndex::open(directory.path(), &log, FREEZE_IDS).unwrap();
    assert_eq!(check(&log, &index).await, 72);
}
