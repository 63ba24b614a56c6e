//! Clients that look: readers and subscribers.

use std::{ops::ControlFlow, rc::Rc};

use lombard_engine::Feed;
use lombard_eventstore_core::{Criterion, EventPosition, NewEvent, Query};
use lombard_simulation::Dice;
use lombard_types::Position;

use super::{
    world::World,
    writer::{TAGS, TYPES, event_type, tag},
};
use crate::{
    live::Live,
    query::{AllReading, Direction, Filter, Horizon, QueryError, Reader},
};

/// What a reader was given.
type Shown = Vec<(EventPosition, NewEvent)>;

/// Reads pages from anywhere, in both directions and with filters: they agree with each other and with the past.
pub(super) async fn read(actor: u64, world: Rc<World>, reader: Reader, mut dice: Dice) {
    while !world.nature.is_ending.get() {
        tokio::time::sleep(dice.pause(60)).await;
        if let Err(error) = read_once(actor, &world, &reader, &mut dice).await {
            // Either the disk has died, which ends this life, or the index was damaged and says so.
            match &error {
                QueryError::Log(_) => {}
                QueryError::Index(cause) => world.nature.hear_complaint(cause),
                QueryError::Decode { .. }
                | QueryError::Show { .. }
                | QueryError::Missing { .. } => panic!("{error:?}"),
            }
            return;
        }
    }
}

async fn read_once(
    actor: u64,
    world: &World,
    reader: &Reader,
    dice: &mut Dice,
) -> Result<(), QueryError> {
    let end = reader.durable();
    let all = page(world, reader, Direction::Forwards, &Filter::default(), end).await?;
    for (number, (position, _)) in (0..).zip(&all) {
        assert_eq!(position.get(), number, "a gap");
    }
    world.nature.note(actor, &format!("{end} {}", all.len()));
    let types = (0..TYPES).filter(|_| dice.is_one_in(2)).map(event_type).collect();
    let tags = (0..TAGS).filter(|_| dice.is_one_in(3)).map(tag).collect();
    let query = Query(vec![Criterion { types, tags }]);
    let is_meant = |event: &NewEvent| query.is_met_by(&event.event_type, &event.tags);
    let wanted: Shown = all.iter().filter(|(_, event)| is_meant(event)).cloned().collect();
    let filter = Filter { stream_prefix: None, query: Some(query.clone()) };
    let found = page(world, reader, Direction::Forwards, &filter, end).await?;
    assert!(found == wanted, "{query:?} found {found:?}, not {wanted:?}");
    let mut backwards = page(world, reader, Direction::Backwards, &filter, end).await?;
    backwards.reverse();
    assert!(backwards == wanted, "{query:?} found backwards {backwards:?}, not {wanted:?}");
    Ok(())
}

async fn page(
    world: &World,
    reader: &Reader,
    direction: Direction,
    filter: &Filter,
    end: Position,
) -> Result<Shown, QueryError> {
    let mut shown = Vec::new();
    let mut placed_events = Vec::new();
    let take = |stored: crate::query::Stored<'_>| {
        let placed = stored.placed;
        shown.push((placed.position, placed.event.clone()));
        placed_events.push((placed.stream.clone(), placed.revision));
        ControlFlow::Continue(())
    };
    let from = match direction {
        Direction::Forwards => EventPosition::START,
        Direction::Backwards => EventPosition::new(1 << 40),
    };
    let horizon = Horizon { end, until: None };
    let reading = AllReading { from, direction, filter, horizon };
    let read = reader.read_all(reading, usize::MAX, take).await;
    let mut history = world.history.borrow_mut();
    for ((position, event), (stream, revision)) in shown.iter().zip(&placed_events) {
        let (position, revision) = (*position, *revision);
        history.see(&lombard_eventstore_core::Placed { stream, revision, position, event });
    }
    read.map(|_| shown)
}

/// Follows the feed, life after life, from where it was: every record once and in order.
pub(super) async fn subscribe(
    actor: u64,
    world: Rc<World>,
    feed: Feed<Live>,
    number: usize,
    mut dice: Dice,
) {
    let mut next = world.subscribers.borrow()[number];
    let mut subscription = feed.subscribe(next);
    drop(feed);
    // What is durable is given also after the log has stopped, as long as it can be read.
    while let Ok(taken) = subscription.next(1 + dice.roll(5) as usize).await {
        for fed in taken {
            assert_eq!(fed.position, next, "a gap or a repetition");
            let (appended, _) = fed.item.appended().unwrap();
            for placed in appended.events() {
                world.history.borrow_mut().see(&placed);
            }
            next = next.next();
            world.subscribers.borrow_mut()[number] = next;
            world.nature.note(actor, "fed");
        }
        if dice.is_one_in(3) {
            tokio::time::sleep(dice.pause(40)).await;
        }
    }
}
