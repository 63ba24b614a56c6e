//! The keys that tokens are signed with: their private halves, and what makes one follow another.
//!
//! The rules are `lombard_auth_core::signing_keys`. A private half is durable before its public half is published, and is
//! destroyed when it signs no more.

mod store;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use lombard_auth_core::{
    AuditEntry, Command,
    signing_keys::{self, Step},
};
use lombard_chassis::{Problem, problems};
use lombard_engine::SubmitError;
use lombard_master_key::{MasterKey, MasterKeyPlaces};
use lombard_token::{Algorithm, Jwks, KeyError, PublicJwk, SigningKey};
use lombard_types::Position;
use tokio::sync::{Mutex, MutexGuard};

pub(crate) use store::SigningKeyError;

use crate::{AuthMachine, problem, service::Api, submit::submit};
use store::KeyStore;

/// Who changes keys, where it is not an administrator: the subject of an entry in the audit. No client and no person has one of these.
#[derive(Clone, Copy, Debug)]
enum Actor {
    /// The role has begun, and there was no key.
    Start,
    /// Somebody was registered for an algorithm, who is in the audit too.
    Registration,
    /// It was time.
    Schedule,
}

impl Actor {
    const fn subject(self) -> &'static str {
        match self {
            Self::Start => "system/start",
            Self::Registration => "system/registration",
            Self::Schedule => "system/schedule",
        }
    }
}

/// Before trying again what has failed, and the longest that a step of the schedule is late.
const PAUSE: Duration = Duration::from_secs(10);

/// The private halves.
pub(crate) struct Keyring {
    /// The one that signs with each algorithm; none before it was begun with.
    active: BTreeMap<Algorithm, ArcSwapOption<SigningKey>>,
    /// Those that sign, or may be about to. Locked while keys change: one change at a time.
    held: Mutex<Vec<Arc<SigningKey>>>,
    store: Arc<KeyStore>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The public halves, as they are published.
pub(crate) fn published(machine: &AuthMachine) -> Jwks {
    Jwks { keys: machine.state.signing_keys.iter().map(|key| key.jwk.clone()).collect() }
}

impl Keyring {
    /// Opens the private halves in a directory. Blocks.
    pub(crate) fn open(
        directory: std::path::PathBuf,
        places: MasterKeyPlaces<'_>,
    ) -> Result<Self, SigningKeyError> {
        let store = Arc::new(KeyStore::open(directory, places)?);
        let active = Algorithm::ALL.map(|algorithm| (algorithm, ArcSwapOption::empty())).into();
        Ok(Self { active, held: Mutex::default(), store })
    }

    /// What seals the private halves, and secrets of persons.
    pub(crate) fn master(&self) -> &MasterKey {
        self.store.master()
    }

    /// The key that signs with this algorithm now.
    pub(crate) fn active(&self, algorithm: Algorithm) -> Result<Arc<SigningKey>, KeyError> {
        self.active.get(&algorithm).and_then(ArcSwapOption::load_full).ok_or(KeyError::Sign)
    }

    /// Finds the private halves of what is published. Where one is lost, as after a restore without it, new keys take
    /// over at once; what the lost one signed stays good.
    pub(crate) async fn begin(&self, api: &Api) -> Result<(), BeginError> {
        let mut held = self.held.lock().await;
        let kids: Vec<String> = kids(api);
        let store = Arc::clone(&self.store);
        let found = blocking(move || {
            store.keep(&kids.iter().map(String::as_str).collect::<Vec<_>>())?;
            let found: Vec<_> = kids.iter().map(|kid| store.read(kid)).collect::<Result<_, _>>()?;
            Ok(found.into_iter().flatten().map(Arc::new).collect::<Vec<_>>())
        });
        *held = found.await?;
        for algorithm in in_use(api) {
            let is_of = |key: &&Arc<SigningKey>| key.public_jwk().algorithm() == algorithm;
            if held.iter().filter(is_of).count() < 2 {
                self.begin_with(api, algorithm, Actor::Start, &mut held).await?;
            }
        }
        self.settle(api, &mut held).await;
        Ok(())
    }

    /// Makes sure that there are keys for what is about to be signed: who is registered for an algorithm gets its tokens.
    pub(crate) async fn prepare(
        &self,
        api: &Api,
        algorithms: impl Iterator<Item = Algorithm>,
    ) -> Result<(), Problem> {
        for algorithm in algorithms {
            if self.active(algorithm).is_ok() {
                continue;
            }
            let mut held = self.held.lock().await;
            // Somebody else may have done it meanwhile.
            if self.active(algorithm).is_err() {
                let begun = self.begin_with(api, algorithm, Actor::Registration, &mut held).await;
                begun.map_err(|error| {
                    tracing::error!(%error, %algorithm, "failed to begin with an algorithm");
                    Problem::new(&problems::INTERNAL)
                })?;
                self.settle(api, &mut held).await;
            }
        }
        Ok(())
    }

    async fn begin_with(
        &self,
        api: &Api,
        algorithm: Algorithm,
        actor: Actor,
        held: &mut Vec<Arc<SigningKey>>,
    ) -> Result<(), BeginError> {
        let (active, standby) = (self.make(algorithm).await?, self.make(algorithm).await?);
        let begin = signing_keys::Command::Begin {
            active: active.public_jwk().clone(),
            standby: standby.public_jwk().clone(),
        };
        let detail = format!("alg={algorithm} kid={}", active.public_jwk().kid());
        held.extend([active, standby]);
        submit(api, Command::SigningKey(begin, api.config.lives())).await?;
        note(api, actor, "key.begin", detail).await;
        tracing::info!(%algorithm, "signing with a new key");
        Ok(())
    }

    /// The standby of an algorithm takes over, if it was published for so long.
    pub(crate) async fn rotate(
        &self,
        api: &Api,
        algorithm: Algorithm,
        prepublish: Duration,
    ) -> Result<Position, Problem> {
        let command = |next| signing_keys::Command::Rotate { next, prepublish };
        self.change(api, algorithm, command).await
    }

    /// A key is published no more, and what it signed is refused everywhere.
    pub(crate) async fn compromise(&self, api: &Api, kid: &str) -> Result<Position, Problem> {
        let algorithm = api.view.read(|view| {
            view.state.signing_keys.get(kid).map(|published| published.jwk.algorithm())
        });
        let algorithm = algorithm.ok_or_else(|| Problem::new(&problem::SIGNING_KEY_NOT_FOUND))?;
        let command = |next| signing_keys::Command::Compromise { kid: kid.into(), next };
        self.change(api, algorithm, command).await
    }

    async fn change(
        &self,
        api: &Api,
        algorithm: Algorithm,
        command: impl FnOnce(PublicJwk) -> signing_keys::Command,
    ) -> Result<Position, Problem> {
        let mut held = self.held.lock().await;
        let next = self.make(algorithm).await.map_err(|error| {
            tracing::error!(%error, "failed to make a signing key");
            Problem::new(&problems::INTERNAL)
        })?;
        let command = command(next.public_jwk().clone());
        held.push(next);
        let changed = api.writer.submit(Command::SigningKey(command, api.config.lives())).await;
        let position = match changed {
            Ok(committed) => committed.position,
            // The key may be published or not: it is kept.
            Err(SubmitError::OutcomeUnknown) => {
                return Err(problem::from_submit_error(SubmitError::OutcomeUnknown));
            }
            Err(error) => {
                self.settle(api, &mut held).await;
                return Err(problem::from_submit_error(error));
            }
        };
        let seen = api.view.wait_for(position.next(), api.config.submit_timeout()).await;
        seen.map_err(|_| Problem::new(&problems::OUTCOME_UNKNOWN))?;
        self.settle(api, &mut held).await;
        Ok(position)
    }

    /// Which key signs with an algorithm now, for the audit.
    pub(crate) fn signing(&self, algorithm: Algorithm) -> String {
        let active = self.active(algorithm);
        let kid = active.as_ref().map_or("none", |key| key.public_jwk().kid());
        format!("alg={algorithm} kid={kid}")
    }

    async fn make(&self, algorithm: Algorithm) -> Result<Arc<SigningKey>, SigningKeyError> {
        let store = Arc::clone(&self.store);
        blocking(move || {
            let key = SigningKey::generate_for(algorithm)?;
            store.write(&key)?;
            Ok(Arc::new(key))
        })
        .await
    }

    /// Signs with what is active now, and destroys what signs no more.
    async fn settle(&self, api: &Api, held: &mut MutexGuard<'_, Vec<Arc<SigningKey>>>) {
        // Before anything is signed with it, who verifies here knows the key.
        if let Err(error) = api.verifier.refresh().await {
            tracing::error!(%error, "failed to tell the role's own verifier about its keys");
        }
        let is = |key: &Arc<SigningKey>, kid: &str| key.public_jwk().kid() == kid;
        for (algorithm, slot) in &self.active {
            let active = api.view.read(|view| {
                let active = view.state.signing_keys.active(*algorithm);
                active.map(|key| key.jwk.kid().to_owned())
            });
            slot.store(active.and_then(|kid| held.iter().find(|key| is(key, &kid)).cloned()));
        }
        let kids = kids(api);
        held.retain(|key| kids.iter().any(|kid| is(key, kid)));
        let store = Arc::clone(&self.store);
        let kept =
            blocking(move || store.keep(&kids.iter().map(String::as_str).collect::<Vec<_>>()));
        if let Err(error) = kept.await {
            tracing::error!(%error, "failed to destroy a signing key that is used no more");
        }
    }

    /// Keeps to the schedule, for ever.
    pub(crate) async fn run(&self, api: &Api) {
        loop {
            let schedule = api.config.key_schedule();
            let due = api.view.read(|view| view.state.signing_keys.next_step(schedule));
            let now = api.now();
            let pause = match due {
                Some((at, step)) if at <= now => match self.take(api, step, schedule).await {
                    Ok(()) => Duration::ZERO,
                    Err(problem) => {
                        let cause = problem.kind().slug;
                        tracing::error!(cause, "failed to keep to the schedule of keys");
                        PAUSE
                    }
                },
                Some((at, _)) => at.since(now).min(PAUSE),
                None => PAUSE,
            };
            tokio::time::sleep(pause).await;
            // What came of a change whose outcome was unknown is known by now.
            let mut held = self.held.lock().await;
            if held.len() > kids(api).len() {
                self.settle(api, &mut held).await;
            }
        }
    }

    async fn take(
        &self,
        api: &Api,
        step: Step,
        schedule: signing_keys::Schedule,
    ) -> Result<(), Problem> {
        match step {
            Step::Rotate(algorithm) => {
                self.rotate(api, algorithm, schedule.prepublish).await?;
                note(api, Actor::Schedule, "key.rotate", self.signing(algorithm)).await;
                tracing::info!(%algorithm, "signing with the next key");
            }
            Step::Retire(kid) => {
                let detail = format!("kid={kid}");
                let command = signing_keys::Command::Retire { kid, retire: schedule.retire };
                submit(api, Command::SigningKey(command, api.config.lives())).await?;
                note(api, Actor::Schedule, "key.retire", detail).await;
                let mut held = self.held.lock().await;
                self.settle(api, &mut held).await;
            }
        }
        Ok(())
    }
}

async fn note(api: &Api, actor: Actor, action: &str, detail: String) {
    let entry = AuditEntry {
        at: api.now(),
        action: action.into(),
        refused: None,
        client: Box::default(),
        subject: actor.subject().into(),
        address: Box::default(),
        request_id: Box::default(),
        detail: detail.into(),
    };
    api.audit.note(entry).await;
}

/// What tokens are signed with here: ES256, and what clients and resources ask for, or have asked for.
fn in_use(api: &Api) -> BTreeSet<Algorithm> {
    let mut algorithms: BTreeSet<_> = api.config.algorithms_of_resources().collect();
    algorithms.insert(Algorithm::default());
    api.view.read(|view| {
        algorithms.extend(view.state.signing_keys.algorithms());
        let clients = view.state.clients.after(None);
        algorithms.extend(clients.flat_map(|client| client.options.algorithms()));
    });
    algorithms
}

/// Those whose private halves are needed: of each algorithm the one that signs, and the next.
fn kids(api: &Api) -> Vec<String> {
    api.view.read(|view| {
        let keys = &view.state.signing_keys;
        let needed = Algorithm::ALL.into_iter().flat_map(|algorithm| {
            keys.active(algorithm).into_iter().chain(keys.standby(algorithm))
        });
        needed.map(|key| key.jwk.kid().to_owned()).collect()
    })
}

/// The keys could not be begun with.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// A private half could not be read or written.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// The log did not take it.
    #[error("failed to record the signing keys: {0}")]
    Record(&'static str),
}

impl From<Problem> for BeginError {
    fn from(problem: Problem) -> Self {
        Self::Record(problem.kind().title)
    }
}

/// Waits for the disk on a thread made for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SigningKeyError> + Send + 'static,
) -> Result<T, SigningKeyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(SigningKeyError::Key(KeyError::Generate)))
}
