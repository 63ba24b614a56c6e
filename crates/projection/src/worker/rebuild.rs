//! Builds the tables of a projection anew, beside the live ones, on a thread of its own.

use std::thread;

use lombard_chassis::CancellationToken;
use lombard_engine::Codec;
use lombard_ledger_core::Event;
use tokio::sync::oneshot;

use super::{
    Opener,
    follow::{Follow, FollowError},
    source::Log,
    status::{Rebuilding, SharedStatus},
};
use crate::{config::Settings, target::TargetError};

const COPYING: &str = "copying";
const INDEXING: &str = "indexing";
pub(super) const SWAPPING: &str = "swapping";

type Built = Result<Follow, FollowError>;

/// A rebuilding that is under way.
pub(super) struct Rebuild {
    built: oneshot::Receiver<Built>,
    ended: Option<Built>,
}

impl Rebuild {
    pub(super) fn start<C: Codec<Event = Event> + Clone>(
        name: String,
        opener: Opener,
        settings: Settings,
        log: Log<C>,
        status: SharedStatus,
        stop: CancellationToken,
    ) -> Self {
        let (answer, built) = oneshot::channel();
        let work = move || {
            let result = build(&opener, &settings, &log, &status, &stop);
            // Nobody waits for it where the projection was told to stop.
            drop(answer.send(result));
        };
        if let Err(error) = thread::Builder::new().name(format!("rebuild-{name}")).spawn(work) {
            // The sender is gone with the closure, which says that it has ended.
            tracing::error!(projection = name, %error, "no thread for building the tables");
        }
        Self { built, ended: None }
    }

    /// What was built, if it has ended.
    pub(super) fn finished(&mut self) -> Option<Built> {
        if let Some(ended) = self.ended.take() {
            return Some(ended);
        }
        match self.built.try_recv() {
            Ok(built) => Some(built),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(stopped())),
        }
    }

    /// Waits until it has ended; for ever where there is none. Cancel safe.
    pub(super) async fn ended(rebuild: &mut Option<Self>) {
        match rebuild {
            Some(Self { ended: Some(_), .. }) => {}
            Some(Self { built, ended }) => {
                *ended = Some(built.await.unwrap_or_else(|_| Err(stopped())));
            }
            None => std::future::pending().await,
        }
    }
}

fn stopped() -> FollowError {
    TargetError::Stopped.into()
}

fn build<C: Codec<Event = Event>>(
    opener: &Opener,
    settings: &Settings,
    log: &Log<C>,
    status: &SharedStatus,
    stop: &CancellationToken,
) -> Built {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| TargetError::Address(error.to_string()))?;
    let origin = log.origin.borrow().as_ref().map(ToString::to_string).ok_or_else(stopped)?;
    let mut follow = Follow::beside(opener.open()?, &origin)?;
    let report = |follow: &Follow, step| {
        let (done, total) = (follow.position().get(), log.durable().get());
        status.lock().rebuilding = Some(Rebuilding { done, total, step });
    };
    report(&follow, COPYING);
    while follow.step(&runtime, log, settings)? {
        report(&follow, COPYING);
        if stop.is_cancelled() {
            return Err(stopped());
        }
    }
    report(&follow, INDEXING);
    follow.complete()?;
    while follow.step(&runtime, log, settings)? {
        report(&follow, INDEXING);
        if stop.is_cancelled() {
            return Err(stopped());
        }
    }
    Ok(follow)
}
