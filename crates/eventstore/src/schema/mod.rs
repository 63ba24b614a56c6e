//! What the data of an event type looks like, version by version, and how older data is brought into the newest form.
//!
//! A schema is a document in the log; its versions count from 1, and version 0 is data from before there was any. All
//! definitions are in memory, within `schemas_bytes_max`, so that events are checked and shown without waiting for the
//! log; what they compile to is made when it is needed, and kept while it is used ([`validator`]).
//!
//! The writer's thread [learns](Schemas::learn) a version as it decides it. Appends are checked against it at once: they
//! stand after it in the log. Readers see it when it is durable.

mod dataschema;
mod definition;
mod limits;
mod validator;

pub(crate) mod upcast;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use lombard_eventstore_core::{DocumentKind, DocumentStored, EventType};
use lombard_types::{Position, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use self::validator::{Validator, Validators};
pub(crate) use self::{
    dataschema::{DataSchema, is_own as is_own_dataschema},
    definition::{Definition, DefinitionLimits, InvalidSchema},
    validator::Mismatch,
};
use crate::cloud_event::Data;

/// The number of a schema's version, from 1; 0 is data from before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SchemaVersion(pub(crate) u32);

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One version of a type's schema.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) definition: Arc<Definition>,
    /// The record of the log that holds it.
    pub(crate) record: Position,
    pub(crate) recorded_at: Timestamp,
}

/// The versions of a type's schema, the first first. Never empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions(Vec<Version>);

/// All schemas at one moment.
pub(crate) type Snapshot = Arc<BTreeMap<EventType, Arc<Versions>>>;

/// All schemas. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Schemas(Arc<Shared>);

struct Shared {
    types: RwLock<Snapshot>,
    /// How many types have one: looked at by appends and reads of stores that have none.
    count: AtomicUsize,
    /// Of all versions' definitions.
    bytes: AtomicUsize,
    /// Grows with every version.
    epoch: AtomicU64,
    validators: Mutex<Validators>,
    durable: watch::Receiver<Position>,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl Schemas {
    /// None yet. `durable` says how far readers may see; `validators_max` compiled schemas are kept.
    pub(crate) fn new(durable: watch::Receiver<Position>, validators_max: usize) -> Self {
        Self(Arc::new(Shared {
            types: RwLock::default(),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            validators: Mutex::new(Validators::new(validators_max)),
            durable,
        }))
    }

    /// How many types have a schema.
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// How long the definitions of all versions are together.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Acquire)
    }

    /// Changes with every version: what was shown before may look different now.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::Acquire)
    }

    /// Makes a stored schema known. Other documents are not looked at.
    pub(crate) fn learn(&self, stored: &DocumentStored, record: Position, recorded_at: Timestamp) {
        if stored.key.kind != DocumentKind::Schema {
            return;
        }
        let Ok(event_type) = stored.key.name.parse::<EventType>() else {
            tracing::error!(%record, "a stored schema is not of an event type");
            return;
        };
        let definition = Definition::from_stored(&stored.content).unwrap_or_else(|error| {
            tracing::error!(%record, %error, "a stored schema is not understood: it permits anything");
            Definition::anything()
        });
        let mut types = self.0.types.write();
        let mut changed = BTreeMap::clone(&types);
        let mut versions = changed
            .get(&event_type)
            .map_or_else(Versions::default, |versions| Versions::clone(versions));
        self.0.bytes.fetch_add(definition.bytes(), Ordering::AcqRel);
        versions.0.push(Version { definition: Arc::new(definition), record, recorded_at });
        changed.insert(event_type, Arc::new(versions));
        self.0.count.store(changed.len(), Ordering::Release);
        *types = Arc::new(changed);
        self.0.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// What is known now; `None` where no type has a schema.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        if self.count() == 0 { None } else { Some(Arc::clone(&self.0.types.read())) }
    }

    /// The versions of a type's schema, whether they are durable or not.
    pub(crate) fn versions(&self, event_type: &EventType) -> Option<Arc<Versions>> {
        self.snapshot()?.get(event_type).cloned()
    }

    /// Whether JSON data is as a version wants it.
    pub(crate) fn check(
        &self,
        event_type: &EventType,
        number: SchemaVersion,
        definition: &Definition,
        data: &Data<'_>,
    ) -> Result<(), Mismatch> {
        let Data::Json(text) = data else {
            return Err(Mismatch::not_json());
        };
        let validator = self.0.validators.lock().get(event_type, number);
        let validator = match validator {
            Some(validator) => validator,
            None => {
                let compiled = definition.schema().and_then(|schema| Validator::compile(&schema));
                let compiled = compiled.map_err(|_| Mismatch::schema_unusable())?;
                self.0.validators.lock().keep(event_type, number, Arc::new(compiled))
            }
        };
        validator.check(text)
    }

    /// The newest version that readers may see.
    pub(crate) fn newest_visible(&self, versions: &Versions) -> SchemaVersion {
        let durable = *self.0.durable.borrow();
        let count = versions.0.iter().rev().skip_while(|version| version.record >= durable).count();
        SchemaVersion(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

impl Versions {
    /// The number of the newest.
    pub(crate) fn newest(&self) -> SchemaVersion {
        SchemaVersion(u32::try_from(self.0.len()).unwrap_or(u32::MAX))
    }

    /// One of them.
    pub(crate) fn get(&self, number: SchemaVersion) -> Option<&Version> {
        self.0.get(usize::try_from(number.0).ok()?.checked_sub(1)?)
    }

    /// Brings data of version `from` into the form of version `to`. Data that is newer stays as it is.
    pub(crate) fn upcast(
        &self,
        data: &str,
        from: SchemaVersion,
        to: SchemaVersion,
    ) -> Option<String> {
        let steps = (from.0.saturating_add(1)..=to.0)
            .filter_map(|number| self.get(SchemaVersion(number)))
            .flat_map(|version| version.definition.steps());
        upcast::apply(data, steps)
    }
}
