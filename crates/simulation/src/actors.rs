//! Who acts in a life, and in what order.

use std::{future::Future, pin::pin};

use futures_util::{
    StreamExt as _,
    future::{LocalBoxFuture, poll_immediate},
    stream::FuturesUnordered,
};
use lombard_log::Steps;

use crate::Dice;

/// Whoever does something in a life.
pub type Actor = LocalBoxFuture<'static, ()>;
/// All of them.
pub type Actors = FuturesUnordered<Actor>;

/// Has everybody act until `end` comes; then they are no more, wherever they are.
pub(crate) async fn among(mut actors: Actors, end: impl Future<Output = ()>) {
    let mut end = pin!(end);
    loop {
        tokio::select! {
            biased;
            () = &mut end => return,
            Some(()) = actors.next() => {}
        }
    }
}

/// Goes on now and then, rather than when it is woken: several are woken by one change, and tokio wakes them in an order
/// that no seed decides.
pub async fn paced(actor: impl Future<Output = ()>, mut dice: Dice) {
    let mut actor = pin!(actor);
    while poll_immediate(&mut actor).await.is_none() {
        tokio::time::sleep(dice.pause(5)).await;
    }
}

/// Does the log's work, as slowly as a disk.
pub(crate) async fn work(mut steps: Steps, mut dice: Dice) {
    loop {
        tokio::time::sleep(dice.pause(8)).await;
        steps.prepare();
        steps.write();
    }
}
