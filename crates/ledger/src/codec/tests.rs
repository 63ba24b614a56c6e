//! Golden bytes, round trips, and what is refused.

use lombard_ledger_core::{
    AuthorityUse, ChartRule, Check, Condition, Ended, Ending, EntrySide, ExternalId, LockName,
    Metadata, Note, Outcome, PeriodLock, RecordedTransfer, Reservation, Statement, Transfer,
    TransferFlags, TransferKind, TransferRefusal, Transfers, UserData,
};
use lombard_types::{AccountId, Amount, TransferId};
use proptest::prelude::*;

use super::*;

fn evidence_of(optional: Option<&str>) -> Arc<Evidence> {
    Arc::new(Evidence {
        command_id: 0xc0,
        client_id: "c".parse().unwrap(),
        subject: "s".into(),
        token_id: "t".into(),
        request_id: "r".parse().unwrap(),
        traceparent: optional.map(Into::into),
        idempotency_key: optional.map(Into::into),
    })
}

fn transfer_id(number: u128) -> TransferId {
    TransferId::from_u128(number).unwrap()
}

fn transfer_of(id: u128) -> Transfer {
    Transfer {
        id: transfer_id(id),
        debit_account: AccountId::from_u128(2).unwrap(),
        credit_account: AccountId::from_u128(3).unwrap(),
        amount: Amount::from_minor_units(0x0405),
        kind: TransferKind::Single,
        user_data: UserData { data_128: 6, data_64: 7, data_32: 8 },
        code: 9,
        effective_at: Some(Timestamp::from_unix_nanos(10)),
        flags: TransferFlags::default(),
    }
}

fn transfers(recorded: Vec<RecordedTransfer>, notes: Vec<(u32, Note)>) -> Event {
    Event::Transfers(Arc::new(Transfers::new(recorded, notes, evidence_of(None))))
}

const fn created(transfer: Transfer) -> RecordedTransfer {
    RecordedTransfer { transfer, outcome: Outcome::Created }
}

fn encoded(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    EventCodec.encode(event, &mut out);
    out
}

const EVIDENCE: &[u8] = &[
    0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // command id
    1, b'c', 1, b's', 1, b't', 1, b'r', 0, 0,
];

fn number(n: u8) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = n;
    bytes
}

/// The packed record of [`transfer_of`]`(1)`, with other fields from `other` (bytes 64 to 79), timeout, flags and result.
fn record(other: u8, timeout: u8, flags: [u8; 2], result: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(number(1));
    bytes.extend(number(2));
    bytes.extend(number(3));
    bytes.extend([5, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(number(other));
    bytes.extend(number(6));
    bytes.extend([7, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([8, 0, 0, 0, timeout, 0, 0, 0, 9, 0, flags[0], flags[1], result, 0, 0, 0]);
    assert_eq!(bytes.len(), transfer::BYTES);
    bytes
}

/// Every event, in the order of the drawing, with its bytes.
fn golden() -> Vec<(Event, Vec<u8>)> {
    let id = AccountId::from_u128(2).unwrap();
    let name = |text: &str| LockName::new(text).unwrap();
    let eur: &[u8] = &[3, b'E', b'U', b'R'];
    let minus_one: &[u8] = &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let floor = Some(Balance::new(true, 1));
    let reservation = Reservation {
        timeout_seconds: 4,
        allowance: Amount::from_minor_units(5),
        is_scheduled: true,
    };
    let kinds = [
        (TransferKind::Single, (0, 0, [0, 0x80])),
        (TransferKind::Pending(reservation), (5, 4, [2, 0x84])),
        (TransferKind::Post { pending: transfer_id(6) }, (6, 0, [4, 0x80])),
        (TransferKind::Void { pending: transfer_id(6) }, (6, 0, [8, 0x80])),
        (TransferKind::Reversal { of: transfer_id(6) }, (6, 0, [0, 0x82])),
    ];
    let flags = TransferFlags::BALANCING_DEBIT
        .with(TransferFlags::IMPORTED)
        .with(TransferFlags::OVERRIDES_LOCK);
    let mut recorded: Vec<_> =
        kinds.iter().map(|(kind, _)| created(Transfer { kind: *kind, ..transfer_of(1) })).collect();
    recorded.push(RecordedTransfer {
        transfer: Transfer { flags, ..transfer_of(1) },
        outcome: Outcome::Refused(TransferRefusal::ExceedsCredits),
    });
    let mut records: Vec<u8> = kinds
        .iter()
        .flat_map(|(_, (other, timeout, flags))| record(*other, *timeout, *flags, 0))
        .collect();
    records.extend(record(0, 0, [0x10, 0x91], 54));
    let note = Note {
        metadata: Metadata::new("{}").unwrap(),
        external_id: Some(ExternalId::new("x").unwrap()),
        conditions: [
            Condition { transfer: 0, side: EntrySide::Debit, check: Check::Version(7) },
            Condition {
                transfer: 1,
                side: EntrySide::Credit,
                check: Check::PostedAtMost(Balance::new(true, 1)),
            },
        ]
        .into(),
        authority: Some(AuthorityUse { id: 8, number: 9 }),
    };
    let note_bytes = [
        &[2, 0, 0, 0, 2, b'{', b'}', 1, b'x', 2, 0],
        &[0, 0, 0, 5, 7, 0, 0, 0, 0, 0, 0, 0][..],
        &[1, 0, 1, 4],
        minus_one,
        &[1],
        &number(8),
        &[9, 0, 0, 0],
    ]
    .concat();
    let rule = ChartRule {
        prefix: "a".parse().unwrap(),
        is_open: true,
        normal_side: None,
        assets: ["EUR".parse().unwrap()].into(),
        floor_min: floor,
    };
    let lock = PeriodLock {
        name: name("l"),
        from: Timestamp::from_unix_nanos(1),
        until: Timestamp::from_unix_nanos(2),
    };
    let statement = Statement {
        account: id,
        number: 3,
        from: Timestamp::from_unix_nanos(1),
        until: Timestamp::from_unix_nanos(2),
        end: lombard_types::Position::new(9),
        opening: Balance::new(true, 1),
        closing: Balance::new(false, 4),
        line_count: 5,
        lines_sha256: [7; 32],
    };
    let ended =
        [Ended { id: transfer_id(1), at: Timestamp::from_unix_nanos(3), ending: Ending::Posted }];
    let evidence = || evidence_of(None);
    vec![
        (
            Event::AssetCreated {
                code: "XP".parse().unwrap(),
                scale: Scale::new(3).unwrap(),
                evidence: evidence(),
            },
            [&[1, 1, 2, b'X', b'P', 3], EVIDENCE].concat(),
        ),
        (
            Event::AccountOpened {
                id,
                path: "a/b".parse().unwrap(),
                asset: "EUR".parse().unwrap(),
                normal_side: NormalSide::Credit,
                floor,
                ceiling: None,
                evidence: evidence(),
            },
            [&[2, 1], &number(2)[..], &[3, b'a', b'/', b'b'], eur, &[1], minus_one, &[0], EVIDENCE]
                .concat(),
        ),
        (
            transfers(recorded, vec![(2, note)]),
            [&[3, 1], EVIDENCE, &[6, 0, 0, 0], &records, &[1, 0, 0, 0], &note_bytes].concat(),
        ),
        (
            Event::PendingsEnded(ended.into()),
            [&[4, 1, 1, 0, 0, 0], &number(1)[..], &[3, 0, 0, 0, 0, 0, 0, 0, 1]].concat(),
        ),
        (
            Event::AccountClosed { id, evidence: evidence() },
            [&[5, 1], &number(2)[..], EVIDENCE].concat(),
        ),
        (
            Event::AccountReopened { id, evidence: evidence() },
            [&[6, 1], &number(2)[..], EVIDENCE].concat(),
        ),
        (
            Event::ChartRuleSet { rule, evidence: evidence() },
            [&[7, 1, 1, b'a', 1, 2, 1, 0], eur, minus_one, EVIDENCE].concat(),
        ),
        (
            Event::ChartRuleRemoved { prefix: "a".parse().unwrap(), evidence: evidence() },
            [&[8, 1, 1, b'a'], EVIDENCE].concat(),
        ),
        (
            Event::PeriodLocked { lock, evidence: evidence() },
            [&[9, 1, 1, b'l', 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0], EVIDENCE].concat(),
        ),
        (
            Event::PeriodUnlocked { name: name("l"), evidence: evidence() },
            [&[10, 1, 1, b'l'], EVIDENCE].concat(),
        ),
        (
            Event::StatementSealed { statement: Box::new(statement), evidence: evidence() },
            [
                &[11, 1],
                &number(2)[..],
                &[
                    3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0,
                    0, 0,
                ],
                minus_one,
                &[1],
                &number(4),
                &[5, 0, 0, 0, 0, 0, 0, 0],
                &[7; 32],
                EVIDENCE,
            ]
            .concat(),
        ),
    ]
}

/// These bytes are in people's logs. A failing test means that a new version is needed, not new bytes.
#[test]
fn golden_bytes_of_version_1() {
    for (event, bytes) in golden() {
        assert_eq!(encoded(&event), bytes, "{event:?}");
        assert_eq!(EventCodec.decode(&bytes), Ok(event));
    }
}

#[test]
fn every_cut_is_refused() {
    for (event, bytes) in golden() {
        for length in 0..bytes.len() {
            assert!(EventCodec.decode(&bytes[..length]).is_err(), "{event:?} cut to {length}");
        }
        assert!(EventCodec.decode(&[bytes.as_slice(), &[0]].concat()).is_err(), "one byte more");
    }
}

#[test]
fn every_refusal_has_a_code_of_its_own() {
    for expected in TransferRefusal::ALL {
        let code = transfer::refusal_code(*expected);
        assert_ne!(code, 0, "0 is for what happened");
        assert_eq!(transfer::refusal(code), Ok(*expected));
    }
}

#[test]
fn what_no_version_wrote_is_refused() {
    let bytes = encoded(&transfers(vec![created(transfer_of(1))], Vec::new()));
    let start = 2 + EVIDENCE.len() + 4;
    // Kind, version; another transfer's id, timeout, flags, result, reserved.
    for (offset, value) in [
        (0, 99),
        (1, 2),
        (start + 64, 1),
        (start + 116, 1),
        (start + 122, 1), // linked, and no more follows
        (start + 122, 6), // pending and post
        (start + 123, 0xc0),
        (start + 124, 2),
        (start + 125, 1),
    ] {
        let mut changed = bytes.clone();
        changed[offset] = value;
        assert!(EventCodec.decode(&changed).is_err(), "byte {offset}");
    }
}

proptest! {
    #[test]
    fn transfers_round_trip(
        id in 1..u128::MAX,
        amount: u128,
        code: u16,
        data_128: u128,
        data_64: u64,
        data_32: u32,
        effective in proptest::option::of(0..=i64::MAX as u64),
        text in ".{0,300}",
        refused in proptest::option::of(0..TransferRefusal::ALL.len()),
    ) {
        let transfer = Transfer {
            amount: Amount::from_minor_units(amount),
            user_data: UserData { data_128, data_64, data_32 },
            code,
            effective_at: effective.map(Timestamp::from_unix_nanos),
            ..transfer_of(id)
        };
        let outcome = match refused {
            None => Outcome::Created,
            Some(index) => Outcome::Refused(TransferRefusal::ALL[index]),
        };
        let note = Note { metadata: Metadata::new(text).unwrap(), ..Note::default() };
        let event = transfers(vec![RecordedTransfer { transfer, outcome }], vec![(0, note)]);
        prop_assert_eq!(EventCodec.decode(&encoded(&event)), Ok(event));
    }

    #[test]
    fn any_bytes_are_read_or_refused(kind in 0u8..13, bytes: Vec<u8>) {
        let bytes = [&[kind, 1], bytes.as_slice()].concat();
        if let Ok(event) = EventCodec.decode(&bytes) {
            // One event has one encoding, apart from lengths written longer than needed.
            prop_assert_eq!(EventCodec.decode(&encoded(&event)), Ok(event));
        }
    }
}
