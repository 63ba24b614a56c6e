//! Golden bytes; a book from a snapshot goes on as the one it was taken of.

use std::sync::Arc;

use lombard_engine::{At, Decision, Machine, state_from_bytes, state_to_bytes};
use lombard_ledger_core::{
    self as core, AccountIdentity, Balance, ChartRule, Command, CreateAsset, CreateTransfers,
    Event, Evidence, LockName, MemoryPast, NewTransfer, NormalSide, OpenAccount, PeriodLock,
    Recorded, Rejection, Reply, Reservation, Statement, TransferKind, UserData,
};
use lombard_types::{AccountId, Amount, Position, TransferId};
use proptest::prelude::*;

use super::*;

/// The ledger's machine, with the past in memory.
#[derive(Clone)]
pub(crate) struct Plain {
    pub(crate) book: Book,
    pub(crate) past: MemoryPast,
    pub(crate) seed: HashSeed,
}

impl Machine for Plain {
    type Command = Command;
    type Event = Event;
    type Reply = Reply;
    type Rejection = Rejection;

    fn decide(
        &self,
        command: Command,
        now: Timestamp,
    ) -> Result<Decision<Event, Reply, Command>, Rejection> {
        Ok(match self.book.decide(&self.past, command, now)? {
            core::Decision::Commit(event, reply) => Decision::Commit { events: vec![event], reply },
            core::Decision::Answer(reply) => Decision::Answer(reply),
            core::Decision::First(event, command) => {
                Decision::First { events: vec![event], command }
            }
        })
    }

    fn apply(&mut self, event: &Event, at: At) {
        self.book.apply(event, Recorded { position: at.position, time: at.time });
        self.past.learn(event, at.position);
    }
}

impl Snapshot for Plain {
    const VERSION: u16 = LedgerMachine::VERSION;

    fn write_state(&self, state: &mut StateWriter<'_>) {
        write_book(&self.book, state);
    }

    fn read_state(self, state: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { book: read_book(self.seed, state)?, ..self })
    }
}

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
        ceiling: None,
        evidence: evidence(),
    })
}

fn transfer(id: u8, (debit, credit): (u8, u8), amount: u128, kind: TransferKind) -> Command {
    let id = TransferId::from_u128(u128::from(id) + 1).unwrap();
    let amount = Amount::from_minor_units(amount);
    let single = NewTransfer::single(id, account_id(debit), account_id(credit), amount);
    let transfer = match kind.about() {
        Some(_) => NewTransfer::whole(id, kind),
        None => NewTransfer {
            kind,
            user_data: UserData { data_128: 6, data_64: 7, data_32: 8 },
            code: 9,
            ..single
        },
    };
    let transfers = vec![transfer];
    Command::CreateTransfers(CreateTransfers { transfers, notes: Vec::new(), evidence: evidence() })
}

fn pending(timeout_seconds: u32) -> TransferKind {
    let allowance = Amount::from_minor_units(3);
    TransferKind::Pending(Reservation { timeout_seconds, allowance, is_scheduled: false })
}

fn create_asset(code: &str, digits: u8) -> Command {
    let (code, scale) = (code.parse().unwrap(), Scale::new(digits).unwrap());
    Command::CreateAsset(CreateAsset { code, scale, evidence: evidence() })
}

fn lock(number: u64) -> Command {
    let time = Timestamp::from_unix_nanos;
    let name = LockName::new(&format!("l{number}")).unwrap();
    let lock = PeriodLock { name, from: time(number), until: time(number + 1) };
    Command::LockPeriod { lock, evidence: evidence() }
}

fn statement(account: u8, number: u32) -> Command {
    let time = |seconds: u32| Timestamp::from_unix_seconds(u64::from(seconds));
    let statement = Statement {
        account: account_id(account),
        number,
        from: time(number),
        until: time(number + 1),
        end: Position::new(7),
        opening: Balance::ZERO,
        closing: Balance::ZERO,
        line_count: 0,
        lines_sha256: [0; 32],
    };
    Command::SealStatement { statement: Box::new(statement), evidence: evidence() }
}

fn chart_rule(account: u8) -> Command {
    let rule = ChartRule {
        prefix: format!("a/{account}").parse().unwrap(),
        is_open: true,
        normal_side: Some(NormalSide::Credit),
        assets: ["EUR".parse().unwrap()].into(),
        floor_min: None,
    };
    Command::SetChartRule { rule, evidence: evidence() }
}

/// Decides and applies; answers what was decided. Replies are left out: they show how a book numbers its assets.
fn submit(machine: &mut Plain, position: u64, mut command: Command) -> String {
    let time = Timestamp::from_unix_seconds(1000 + position);
    let mut told = String::new();
    loop {
        let events = match machine.decide(command.clone(), time) {
            Ok(Decision::Commit { events, .. }) => events,
            Ok(Decision::First { events, command: then }) => {
                command = then;
                for event in &events {
                    machine.apply(event, At { position: Position::new(position), index: 0, time });
                }
                told += &format!("{events:?}");
                continue;
            }
            Ok(Decision::Answer(_)) => return told + "as the first time",
            Err(rejection) => return told + &format!("{rejection:?}"),
        };
        for event in &events {
            machine.apply(event, At { position: Position::new(position), index: 0, time });
        }
        return told + &format!("{events:?}");
    }
}

pub(crate) fn empty(seed: u128) -> Plain {
    let seed = HashSeed(seed);
    Plain { book: Book::new(seed), past: MemoryPast::default(), seed }
}

/// These bytes are in people's snapshots. A failing test means that a new version is needed.
#[test]
fn golden_bytes_of_version_3() {
    let mut machine = empty(1);
    for (position, command) in (0..).zip([
        create_asset("AAA", 3),
        open(1, "AAA", NormalSide::Debit, None),
        open(2, "AAA", NormalSide::Credit, Some(Balance::new(true, 1))),
        transfer(4, (1, 2), 5, pending(7)),
        chart_rule(3),
        lock(1),
        statement(2, 1),
    ]) {
        submit(&mut machine, position, command);
    }
    let bytes = state_to_bytes(&machine);
    let number = |number: u8| [[number].as_slice(), &[0; 15]].concat();
    let eight = |number: u8| [[number].as_slice(), &[0; 7]].concat();
    let assets = u8::try_from(lombard_ledger_core::ISO_4217.len() + 1).unwrap();
    let head = [
        &[48, 0, 0, 0],
        [assets, 2, 1, 1, 1, 1].map(eight).concat().as_slice(),
        &[5, 0, 0, 0, 3, b'A', b'A', b'A', 3],
        &[5, 0, 0, 0, 3, b'A', b'E', b'D', 2],
    ]
    .concat();
    assert_eq!(&bytes[..head.len()], head);

    let minus_one = [&[2], number(1).as_slice()].concat();
    let debit_account = [
        number(2).as_slice(),
        b"\x03a/1\x03AAA\x00\x00\x00\x00",
        &eight(1),
        &[5, 0, 0, 0].map(number).concat(),
    ]
    .concat();
    let credit_account = [
        number(3).as_slice(),
        b"\x03a/2\x03AAA\x01",
        &minus_one,
        b"\x00\x00",
        &eight(1),
        &[0, 0, 5, 0].map(number).concat(),
    ]
    .concat();
    let end = Timestamp::from_unix_seconds(1003 + 7).unix_nanos().to_le_bytes();
    let pending =
        [number(5).as_slice(), &[1], &end, &[1, 0], &[2, 3, 5, 3].map(number).concat()].concat();
    let rule = b"\x03a/3\x01\x01\x01\x00\x03EUR\x00".to_vec();
    let lock = [b"\x02l1".as_slice(), &eight(1), &eight(2)].concat();
    let mut tail = Vec::new();
    let statement = [
        number(3).as_slice(),
        &[1, 0, 0, 0],
        &Timestamp::from_unix_seconds(2).unix_nanos().to_le_bytes(),
        &eight(7),
        &[1],
        &number(0),
    ]
    .concat();
    for item in [debit_account, credit_account, pending, rule, lock, statement] {
        tail.extend(u32::try_from(item.len()).unwrap().to_le_bytes());
        tail.extend(item);
    }
    assert_eq!(&bytes[bytes.len() - tail.len()..], tail);
}

#[test]
fn every_cut_and_everything_twice_is_refused() {
    let mut machine = empty(1);
    for (position, command) in (0..).zip([
        open(1, "EUR", NormalSide::Debit, None),
        open(2, "EUR", NormalSide::Credit, None),
        transfer(4, (1, 2), 5, pending(0)),
    ]) {
        submit(&mut machine, position, command);
    }
    let bytes = state_to_bytes(&machine);
    for length in (0..bytes.len()).rev().take(500) {
        assert!(state_from_bytes(empty(1), &bytes[..length]).is_err(), "cut to {length}");
    }
    assert!(state_from_bytes(empty(1), &[bytes.as_slice(), &[0]].concat()).is_err());
    // One more pending set, which is the last once more.
    let item = 4 + 16 + 1 + 2 + 64;
    let mut twice = [bytes.as_slice(), &bytes[bytes.len() - item..]].concat();
    twice[4 + 16] += 1;
    assert_eq!(
        state_from_bytes(empty(1), &twice).err(),
        Some(DecodeError("two pending sets have one id"))
    );
}

fn command() -> impl Strategy<Value = Command> {
    let asset = || prop::sample::select(vec!["EUR", "EUR", "EUR", "JPY", "POINTS"]);
    let side =
        any::<bool>().prop_map(|debit| if debit { NormalSide::Debit } else { NormalSide::Credit });
    let floor = prop::option::of((any::<bool>(), 0u128..200))
        .prop_map(|floor| floor.map(|(is_negative, size)| Balance::new(is_negative, size)));
    let id = |number: u8| TransferId::from_u128(u128::from(number) + 1).unwrap();
    let kind = prop_oneof![
        4 => Just(TransferKind::Single),
        4 => prop::sample::select(vec![0, 1, 5, 40]).prop_map(pending),
        2 => (0u8..30).prop_map(move |of| TransferKind::Post { pending: id(of) }),
        1 => (0u8..30).prop_map(move |of| TransferKind::Void { pending: id(of) }),
    ];
    prop_oneof![
        1 => (asset(), 0u8..4).prop_map(|(code, digits)| create_asset(code, digits)),
        4 => (0u8..6, asset(), side, floor)
            .prop_map(|(account, asset, side, floor)| open(account, asset, side, floor)),
        12 => (0u8..30, 0u8..6, 0u8..6, 1u128..200, kind).prop_map(
            |(id, debit, credit, amount, kind)| transfer(id, (debit, credit), amount, kind)
        ),
        1 => (0u64..5).prop_map(lock),
        2 => (0u8..6, 1u32..4).prop_map(|(account, number)| statement(account, number)),
        1 => (0u8..6).prop_map(chart_rule),
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
        let past = whole.past.clone();
        let mut restored = state_from_bytes(Plain { past, ..empty(2) }, &bytes).unwrap();
        prop_assert_eq!(state_to_bytes(&restored), bytes);
        for (position, command) in (100..).zip(before.into_iter().chain(after)) {
            let told = submit(&mut whole, position, command.clone());
            prop_assert_eq!(submit(&mut restored, position, command), told);
        }
        prop_assert_eq!(state_to_bytes(&restored), state_to_bytes(&whole));
        prop_assert_eq!(restored.book.state_hash(), whole.book.state_hash());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        drop(state_from_bytes(empty(1), &bytes));
    }
}
