//! The thread of a projection: live tables, failures, and rebuilding on request.

use std::time::Duration;

use lombard_chassis::CancellationToken;
use lombard_engine::Codec;
use lombard_ledger_core::Event;
use tokio::{runtime::Runtime, sync::mpsc};

use super::{
    Opener,
    follow::{Follow, FollowError},
    rebuild::{self, Rebuild},
    source::Log,
    status::{Phase, SharedStatus},
};
use crate::config::Settings;

/// Longer than any process runs.
const FOR_EVER: Duration = Duration::from_secs(1 << 32);

/// What a projection can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Build the tables anew from the log.
    Rebuild,
}

/// What a projection works with.
pub(crate) struct Worker<C> {
    pub(crate) name: String,
    pub(crate) opener: Opener,
    pub(crate) settings: Settings,
    pub(crate) log: Log<C>,
    pub(crate) status: SharedStatus,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) stop: CancellationToken,
}

/// Works until it is told to stop. Nothing that fails here ends it.
pub(crate) fn run<C>(mut worker: Worker<C>, runtime: &Runtime)
where
    C: Codec<Event = Event> + Clone,
{
    let mut failures = 0u32;
    // A rebuilding goes on while the live tables cannot be written.
    let mut rebuild = None;
    while !worker.stop.is_cancelled() {
        let error = match worker.follow(runtime, &mut rebuild, &mut failures) {
            Ok(()) => return,
            Err(error) => error,
        };
        let passes = error.is_passing();
        failures = failures.saturating_add(1);
        worker.note_failure(&error, passes, failures);
        let pause = if passes { worker.pause(failures) } else { FOR_EVER };
        worker.rest(runtime, pause, &mut rebuild);
    }
}

impl<C: Codec<Event = Event> + Clone> Worker<C> {
    /// Follows the log with the live tables until it is told to stop.
    fn follow(
        &mut self,
        runtime: &Runtime,
        rebuild: &mut Option<Rebuild>,
        failures: &mut u32,
    ) -> Result<(), FollowError> {
        let Some(origin) = self.origin(runtime) else { return Ok(()) };
        let mut live = match self.adopted(runtime, rebuild)? {
            Some(rebuilt) => rebuilt,
            None => Follow::live(self.opener.open()?, &origin)?,
        };
        self.wait_for_log(runtime, &live)?;
        live.check(runtime, &self.log)?;
        if rebuild.is_none() {
            live.clean()?;
        }
        self.set(Phase::Following);
        while !self.stop.is_cancelled() {
            if self.requests.try_recv().is_ok() {
                self.begin(rebuild);
            }
            if let Some(rebuilt) = self.adopted(runtime, rebuild)? {
                live = rebuilt;
            }
            if live.step(runtime, &self.log, &self.settings)? {
                *failures = 0;
                self.note_progress(&live);
            } else {
                self.note_progress(&live);
                self.wait(runtime, &live, rebuild);
            }
        }
        Ok(())
    }

    /// Which log it is; `None` where it is told to stop before that is known.
    fn origin(&mut self, runtime: &Runtime) -> Option<String> {
        let origin = self.log.origin.borrow().clone();
        if let Some(origin) = origin {
            return Some(origin.to_string());
        }
        self.set(Phase::Waiting("the ledger has not said yet which log it has".to_owned()));
        let (origin, stop) = (&mut self.log.origin, &self.stop);
        let known = async {
            let known = origin.wait_for(Option::is_some).await.ok()?;
            known.as_ref().map(ToString::to_string)
        };
        runtime.block_on(stop.run_until_cancelled(known)).flatten()
    }

    /// Waits until the log has what the tables have. The ledger's own log has it, or never will.
    fn wait_for_log(&mut self, runtime: &Runtime, live: &Follow) -> Result<(), FollowError> {
        let position = live.position();
        while self.log.durable() < position && !self.stop.is_cancelled() {
            let known = *self.log.records.borrow_and_update();
            if let Some(records) = known.filter(|records| *records < position.get()) {
                return Err(FollowError::Ahead { position: position.get(), records });
            }
            let here = self.log.durable();
            self.set(Phase::Waiting(format!(
                "{here} records of the log are here, and the tables have {position}"
            )));
            let Some(before) = position.previous() else { return Ok(()) };
            let log = self.log.clone();
            runtime.block_on(async {
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    _ = self.log.records.changed() => {}
                    _ = log.wait_beyond(before, FOR_EVER) => {}
                }
            });
        }
        Ok(())
    }

    fn begin(&mut self, rebuild: &mut Option<Rebuild>) {
        if rebuild.is_none() {
            tracing::info!(projection = self.name, "building the tables anew");
            *rebuild = Some(Rebuild::start(
                self.name.clone(),
                self.opener.clone(),
                self.settings.clone(),
                self.log.clone(),
                self.status.clone(),
                self.stop.clone(),
            ));
        }
    }

    /// The tables that were built anew, once they are complete and in place of the live ones.
    fn adopted(
        &mut self,
        runtime: &Runtime,
        rebuild: &mut Option<Rebuild>,
    ) -> Result<Option<Follow>, FollowError> {
        let Some(finished) = rebuild.as_mut().and_then(Rebuild::finished) else {
            return Ok(None);
        };
        *rebuild = None;
        let swapped = finished.and_then(|mut rebuilt| {
            self.status.lock().rebuilding.get_or_insert_default().step = rebuild::SWAPPING;
            // What came while the keys were made.
            while rebuilt.step(runtime, &self.log, &self.settings)? {}
            rebuilt.swap()?;
            Ok(rebuilt)
        });
        let mut status = self.status.lock();
        status.rebuilding = None;
        match swapped {
            Ok(rebuilt) => {
                tracing::info!(projection = self.name, "the tables were built anew");
                status.last_rebuild = Some(Ok(()));
                status.rebuilds += 1;
                Ok(Some(rebuilt))
            }
            Err(error) => {
                tracing::error!(projection = self.name, %error, "the tables were not built anew");
                status.last_rebuild = Some(Err(error.to_string()));
                Ok(None)
            }
        }
    }

    /// Waits for something to do.
    fn wait(&mut self, runtime: &Runtime, live: &Follow, rebuild: &mut Option<Rebuild>) {
        let position = live.position();
        let asked = runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => None,
                request = self.requests.recv() => request,
                () = Rebuild::ended(rebuild) => None,
                _ = self.log.wait_beyond(position, FOR_EVER) => None,
            }
        });
        if asked.is_some() {
            self.begin(rebuild);
        }
    }

    /// Waits out a failure. A rebuilding that is asked for, or has ended, cuts it short.
    fn rest(&mut self, runtime: &Runtime, pause: Duration, rebuild: &mut Option<Rebuild>) {
        let asked = runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => None,
                request = self.requests.recv() => request,
                () = Rebuild::ended(rebuild) => None,
                () = tokio::time::sleep(pause) => None,
            }
        });
        if asked.is_some() {
            self.begin(rebuild);
            // Until it has ended, there is nothing to try: the live tables are what is wrong.
            runtime.block_on(async {
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = Rebuild::ended(rebuild) => {}
                }
            });
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let pause = self.settings.retry_ms_min.saturating_mul(1 << doublings);
        Duration::from_millis(pause.min(self.settings.retry_ms_max))
    }

    fn set(&self, phase: Phase) {
        self.status.lock().phase = phase;
    }

    fn note_progress(&self, live: &Follow) {
        let mut status = self.status.lock();
        let position = live.position().get();
        if status.position != position {
            status.transactions += 1;
        }
        status.position = position;
    }

    fn note_failure(&self, error: &FollowError, passes: bool, failures: u32) {
        let reason = error.to_string();
        if passes {
            if failures == 1 {
                tracing::warn!(projection = self.name, %error, "cannot write, and tries again");
            }
            self.set(Phase::Retrying(reason));
        } else {
            tracing::error!(projection = self.name, %error, "does not go on");
            self.set(Phase::Refused(reason));
        }
        self.status.lock().failures += 1;
    }
}
