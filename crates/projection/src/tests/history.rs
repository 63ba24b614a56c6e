//! A log of random events, made by the book itself, with a bit of everything that is rare at its beginning.

use std::{collections::BTreeMap, sync::Arc};

use lombard_engine::Codec as _;
use lombard_ledger::EventCodec;
use lombard_ledger_core::*;
use lombard_log::{Batch, Log as _, MemoryLog};
use lombard_types::{AccountId, Amount, Position, Timestamp, TransferId};

use super::{
    runtime,
    wishes::{ACCOUNTS, Wish, account_id, command, opening},
};

/// Text that every database has its own trouble with.
const ODD: &str = "a\tb\\c\nd\re'f\"g\0h \u{1f4b6} \\N \\.";

pub(super) struct History {
    book: Book,
    past: MemoryPast,
    pub(super) log: MemoryLog,
    pub(super) events: Vec<(Event, Timestamp)>,
    /// Each account's last one.
    statements: BTreeMap<AccountId, Statement>,
}

/// A record as the engine frames it; the engine's own tests hold these bytes.
fn frame(event: &Event, time: Timestamp) -> Vec<u8> {
    let mut bytes = Vec::new();
    EventCodec.encode(event, &mut bytes);
    let mut record = vec![1];
    record.extend_from_slice(&time.unix_nanos().to_le_bytes());
    record.extend_from_slice(&1u32.to_le_bytes());
    record.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
    record.extend(bytes);
    record
}

fn evidence(words: &str) -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: u128::MAX - 7,
        client_id: "shop".parse().unwrap(),
        subject: words.into(),
        token_id: "token".into(),
        request_id: "request".parse().unwrap(),
        traceparent: Some("00-01-02-03".into()),
        idempotency_key: Some(words.into()),
    })
}

fn id(number: u128) -> TransferId {
    TransferId::from_u128(1 << 100 | number).unwrap()
}

impl History {
    fn empty() -> Self {
        Self {
            book: Book::new(HashSeed(1)),
            past: MemoryPast::default(),
            log: MemoryLog::new(),
            events: Vec::new(),
            statements: BTreeMap::new(),
        }
    }

    pub(super) fn of(wishes: Vec<Wish>) -> Self {
        let mut history = Self::empty();
        let mut now = history.begin();
        for (number, Wish { wait, deed }) in wishes.into_iter().enumerate() {
            now += 10 + wait;
            let number = u128::try_from(number).unwrap();
            history.run(command(number, deed, now), Timestamp::from_unix_nanos(now));
            if number % 3 == 2 {
                now += 10;
                history.seal(number, now);
            }
        }
        history
    }

    /// The first records of it.
    pub(super) fn first(&self, count: usize) -> Self {
        let mut history = Self::empty();
        for (event, time) in self.events.iter().take(count) {
            history.record(event.clone(), *time);
        }
        history
    }

    fn run(&mut self, command: Command, now: Timestamp) {
        match self.book.decide(&self.past, command, now) {
            Ok(Decision::Commit(event, _)) => self.record(event, now),
            Ok(Decision::First(event, command)) => {
                self.record(event, now);
                self.run(command, Timestamp::from_unix_nanos(now.unix_nanos() + 1));
            }
            Ok(Decision::Answer(_)) | Err(_) => {}
        }
    }

    /// Seals an account's next statement, which says something or other of the balances.
    fn seal(&mut self, number: u128, now: u64) {
        let account = account_id(u8::try_from(number / 3 % 2).unwrap());
        let last = self.statements.get(&account);
        let ago = u64::try_from(number % 5).unwrap() * 300_000_000;
        let statement = Statement {
            account,
            number: last.map_or(1, |last| last.number + 1),
            from: last.map_or(Timestamp::from_unix_nanos(1_050), |last| last.until),
            until: Timestamp::from_unix_nanos(now.saturating_sub(ago)),
            end: Position::new(u64::try_from(self.events.len()).unwrap()),
            opening: last.map_or(Balance::ZERO, |last| last.closing),
            closing: Balance::new(number.is_multiple_of(2), number),
            line_count: u64::try_from(number).unwrap(),
            lines_sha256: [u8::try_from(number).unwrap(); 32],
        };
        let before = self.events.len();
        let command =
            Command::SealStatement { statement: Box::new(statement), evidence: evidence("seal") };
        self.run(command, Timestamp::from_unix_nanos(now));
        let sealed = self.events[before..].last();
        if sealed.is_some_and(|(event, _)| matches!(event, Event::StatementSealed { .. })) {
            self.statements.insert(account, statement);
        }
    }

    fn record(&mut self, event: Event, time: Timestamp) {
        let position = Position::new(u64::try_from(self.events.len()).unwrap());
        self.book.apply(&event, Recorded { position, time });
        self.past.learn(&event, position);
        let mut batch = Batch::new();
        batch.push_with(|out| out.extend(frame(&event, time)));
        runtime().block_on(self.log.append(position, batch)).unwrap();
        self.events.push((event, time));
    }

    /// Answers when the rest may begin.
    fn begin(&mut self) -> u64 {
        let mut now = 1_000;
        let mut run = |command| {
            now += 10;
            self.run(command, Timestamp::from_unix_nanos(now));
        };
        for account in 0..ACCOUNTS {
            run(opening(account));
        }
        run(Command::CreateAsset(CreateAsset {
            code: "POINTS".parse().unwrap(),
            scale: lombard_types::Scale::new(18).unwrap(),
            evidence: evidence(ODD),
        }));
        let rich = [200u128, 201].map(|number| AccountId::from_u128(number).unwrap());
        for (account, path) in rich.into_iter().zip(["points/bank", "points/x"]) {
            run(Command::OpenAccount(OpenAccount {
                identity: AccountIdentity::Chosen(account),
                path: path.parse().unwrap(),
                asset: "POINTS".parse().unwrap(),
                normal_side: NormalSide::Credit,
                floor: None,
                ceiling: None,
                evidence: evidence("rich"),
            }));
        }
        let huge = Amount::from_minor_units(u128::MAX - 5);
        run(transfers(vec![NewTransfer {
            user_data: UserData { data_128: u128::MAX, data_64: u64::MAX, data_32: u32::MAX },
            ..NewTransfer::single(id(1), rich[0], rich[1], huge)
        }]));
        let note = NewNote {
            metadata: Metadata::new(format!("{{\"words\":\"{ODD}\"}}")).unwrap(),
            external_id: Some(ExternalId::new("order-1").unwrap()),
            ..NewNote::default()
        };
        let one = Amount::from_minor_units(1);
        let pair = |number| {
            let first = NewTransfer::single(id(number), account_id(0), account_id(2), one);
            let flags = first.flags.with(TransferFlags::LINKED);
            vec![NewTransfer { flags, ..first }, NewTransfer { code: 7, ..first }]
        };
        run(Command::CreateTransfers(CreateTransfers {
            transfers: pair(2),
            notes: vec![(0, note)],
            evidence: evidence(ODD),
        }));
        // Refused: it is over the floor of 2.00.
        let much = Amount::from_minor_units(100_000);
        run(transfers(vec![NewTransfer::single(id(3), account_id(4), account_id(2), much)]));
        run(transfers(vec![NewTransfer::single(id(4), account_id(3), account_id(5), much)]));
        for is_closed in [true, false, true] {
            let (account, evidence) = (AccountRef::Id(rich[1]), evidence("close"));
            run(if is_closed {
                Command::CloseAccount(NameAccount { account, evidence })
            } else {
                Command::ReopenAccount(NameAccount { account, evidence })
            });
        }
        now
    }
}

fn transfers(transfers: Vec<NewTransfer>) -> Command {
    Command::CreateTransfers(CreateTransfers {
        transfers,
        notes: Vec::new(),
        evidence: evidence("shop"),
    })
}
