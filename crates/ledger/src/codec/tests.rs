//! Golden bytes, round trips, and what is refused.

use proptest::prelude::*;

use lombard_ledger_core::{Transfer, UserData};
use lombard_types::{Amount, Timestamp, TransferId};

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

fn transfer_of(id: u128) -> Transfer {
    Transfer {
        id: TransferId::from_u128(id).unwrap(),
        debit_account: AccountId::from_u128(2).unwrap(),
        credit_account: AccountId::from_u128(3).unwrap(),
        amount: Amount::from_minor_units(0x0405),
        user_data: UserData { data_128: 6, data_64: 7, data_32: 8 },
        code: 9,
        effective_at: Some(Timestamp::from_unix_nanos(10)),
    }
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

fn record() -> Vec<u8> {
    let number = |n: u8| {
        let mut bytes = [0; 16];
        bytes[0] = n;
        bytes
    };
    let mut bytes = Vec::new();
    bytes.extend(number(1));
    bytes.extend(number(2));
    bytes.extend(number(3));
    bytes.extend([5, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(number(0));
    bytes.extend(number(6));
    bytes.extend([7, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0x80, 0, 0, 0, 0]);
    assert_eq!(bytes.len(), transfer::BYTES);
    bytes
}

/// These bytes are in people's logs. A failing test means that a new version is needed, not new bytes.
#[test]
fn golden_bytes_of_version_1() {
    let id = AccountId::from_u128(2).unwrap();
    let account = |floor| Event::AccountOpened {
        id,
        path: "a/b".parse().unwrap(),
        asset: "EUR".parse().unwrap(),
        normal_side: NormalSide::Credit,
        floor,
        evidence: evidence_of(None),
    };
    let account_bytes: &[u8] = &[
        2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, b'a', b'/', b'b', 3, b'E', b'U',
        b'R', 1,
    ];
    let minus_one: &[u8] = &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let metadata = Metadata::new("{}").unwrap();
    let cases = [
        (
            Event::AssetCreated {
                code: "XP".parse().unwrap(),
                scale: Scale::new(3).unwrap(),
                evidence: evidence_of(None),
            },
            [&[1, 1, 2, b'X', b'P', 3], EVIDENCE].concat(),
        ),
        (account(None), [account_bytes, &[0], EVIDENCE].concat()),
        (account(Some(Balance::new(true, 1))), [account_bytes, minus_one, EVIDENCE].concat()),
        (
            Event::TransferPosted {
                transfer: transfer_of(1),
                metadata: metadata.clone(),
                evidence: evidence_of(None),
            },
            [&[3, 1], record().as_slice(), &[2, b'{', b'}'], EVIDENCE].concat(),
        ),
        (
            Event::TransferRefused {
                transfer: transfer_of(1),
                refusal: TransferRefusal::ExceedsCredits,
                metadata,
                evidence: evidence_of(None),
            },
            [&[4, 1], record().as_slice(), &[54, 2, b'{', b'}'], EVIDENCE].concat(),
        ),
    ];
    for (event, bytes) in cases {
        assert_eq!(encoded(&event), bytes, "{event:?}");
        assert_eq!(EventCodec.decode(&bytes), Ok(event));
    }
}

#[test]
fn every_refusal_has_a_code_of_its_own() {
    for expected in TransferRefusal::ALL {
        assert_eq!(refusal(refusal_code(*expected)), Ok(*expected));
    }
}

#[test]
fn every_cut_and_every_unknown_field_is_refused() {
    let event = Event::TransferPosted {
        transfer: transfer_of(1),
        metadata: Metadata::default(),
        evidence: evidence_of(Some("x")),
    };
    let bytes = encoded(&event);
    for length in 0..bytes.len() {
        assert!(EventCodec.decode(&bytes[..length]).is_err(), "cut to {length}");
    }
    assert!(EventCodec.decode(&[bytes.as_slice(), &[0]].concat()).is_err(), "one byte more");
    // Kind, version, pending id, timeout, flags, reserved.
    for (offset, value) in [(0, 9), (1, 2), (2 + 64, 1), (2 + 116, 1), (2 + 122, 1), (2 + 124, 1)] {
        let mut changed = bytes.clone();
        changed[offset] = value;
        assert!(EventCodec.decode(&changed).is_err(), "byte {offset}");
    }
}

proptest! {
    #[test]
    fn round_trips(
        id in 1..u128::MAX,
        amount: u128,
        code: u16,
        data_128: u128,
        data_64: u64,
        data_32: u32,
        effective in proptest::option::of(0..=i64::MAX as u64),
        text in ".{0,300}",
        refused in proptest::option::of(0..TransferRefusal::ALL.len()),
        key in proptest::option::of("[!-~]{1,255}"),
    ) {
        let transfer = Transfer {
            amount: Amount::from_minor_units(amount),
            user_data: UserData { data_128, data_64, data_32 },
            code,
            effective_at: effective.map(Timestamp::from_unix_nanos),
            ..transfer_of(id)
        };
        let metadata = Metadata::new(text).unwrap();
        let evidence = evidence_of(key.as_deref());
        let event = match refused {
            None => Event::TransferPosted { transfer, metadata, evidence },
            Some(index) => {
                let refusal = TransferRefusal::ALL[index];
                Event::TransferRefused { transfer, refusal, metadata, evidence }
            }
        };
        prop_assert_eq!(EventCodec.decode(&encoded(&event)), Ok(event));
    }

    #[test]
    fn any_bytes_are_read_or_refused(kind in 0u8..6, bytes: Vec<u8>) {
        let bytes = [&[kind, 1], bytes.as_slice()].concat();
        if let Ok(event) = EventCodec.decode(&bytes) {
            // One event has one encoding, apart from lengths written longer than needed.
            prop_assert_eq!(EventCodec.decode(&encoded(&event)), Ok(event));
        }
    }
}
