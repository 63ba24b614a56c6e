//! Every event and every state comes back as it was.

use std::time::Duration;

use lombard_engine::{state_from_bytes, state_to_bytes};
use lombard_eventstore_core::{
    Criterion, Query,
    group::{Backoff, Cause, Filter, Groups, Key, Limits, Order, Settings, Start},
};
use lombard_types::Timestamp;

use super::*;
use crate::groups::machine::GroupMachine;

fn settings() -> Settings {
    let criterion = Criterion {
        types: vec!["order.placed".parse().unwrap()],
        tags: vec!["customer:7".parse().unwrap()],
    };
    Settings {
        filter: Filter {
            stream_prefix: Some("order-".into()),
            query: Some(Query(vec![criterion])),
        },
        start: Start::After(EventPosition::new(300)),
        order: Order::Attribute("subject".into()),
        attempts_max: 5,
        backoff: Backoff { first: Duration::from_millis(100), most: Duration::from_secs(60) },
        visibility: Duration::from_secs(30),
        in_flight_max: 100,
        consumer_in_flight_max: 10,
    }
}

fn events() -> Vec<Event> {
    let at = |number| EventPosition::new(number);
    let time = Timestamp::from_unix_seconds;
    let group = || "mail".parse().unwrap();
    let consumer = || "mail-1".parse().unwrap();
    let failure = |number, next| Failure { position: at(number), next };
    vec![
        Event::Created {
            group: group(),
            settings: settings(),
            first: at(301),
            created_by: "maker".parse().unwrap(),
        },
        Event::Read {
            group: group(),
            to: at(1000),
            found: (301..320)
                .map(|number| Found {
                    position: at(number),
                    key: (number % 3 > 0).then_some(Key(number % 3)),
                })
                .collect(),
        },
        Event::Delivered {
            group: group(),
            consumer: consumer(),
            deadline: time(9),
            positions: vec![at(301), at(302), at(303), at(306), at(309)],
        },
        Event::Acked { group: group(), positions: vec![at(301)] },
        Event::Failed {
            group: group(),
            cause: Cause::Refused("no such account".into()),
            failures: vec![
                failure(302, Next::Dead),
                failure(303, Next::Retry(time(7))),
                failure(306, Next::Dead),
            ],
        },
        Event::Extended { group: group(), deadline: time(12), positions: vec![at(309)] },
        Event::Replayed { group: group(), positions: vec![at(306)] },
        Event::Discarded { group: group(), positions: vec![at(400)] },
        Event::Failed { group: group(), cause: Cause::TimedOut, failures: Vec::new() },
        Event::Rewound { group: group(), end: at(318) },
        Event::Deleted { group: "other".parse().unwrap() },
    ]
}

#[test]
fn events_round_trip_and_no_part_of_one_is_one() {
    for event in events() {
        let mut bytes = Vec::new();
        GroupCodec.encode(&event, &mut bytes);
        assert_eq!(GroupCodec.decode(&bytes), Ok(event));
        for end in 0..bytes.len() {
            assert!(GroupCodec.decode(&bytes[..end]).is_err());
        }
    }
}

/// What a released version has written must be read for ever.
#[test]
fn golden_bytes() {
    let positions = vec![EventPosition::new(300), EventPosition::new(302)];
    let event = Event::Acked { group: "mail".parse().unwrap(), positions };
    let mut bytes = Vec::new();
    GroupCodec.encode(&event, &mut bytes);
    assert_eq!(bytes, [5, 4, b'm', b'a', b'i', b'l', 2, 0xac, 2, 2]);
}

#[test]
fn states_round_trip() {
    let limits = Limits { groups_max: 9, consumers_max: 9, window_max: 99, dead_letters_max: 9 };
    let mut machine = GroupMachine::new(limits);
    let mut groups = Groups::default();
    for event in events() {
        groups.apply(&event, Timestamp::from_unix_seconds(5));
        machine.groups = groups.clone();
        let bytes = state_to_bytes(&machine);
        let again = state_from_bytes(GroupMachine::new(limits), &bytes).unwrap();
        assert_eq!(again.groups, groups);
        assert_eq!(state_to_bytes(&again), bytes);
    }
}
