//! Which instance is meant by an id that names no service.

use lombard_chassis::Problem;
use lombard_registry_core::{Instance, InstanceKey};

use super::authority::Writer;
use crate::{problem, rest::Api};

/// How the check of a service without an id of its own begins.
const OF_SERVICE: &str = "service:";

impl Api {
    /// The instance with this id.
    pub(super) fn instance_with_id(
        &self,
        writer: &Writer,
        id: &str,
    ) -> Result<(InstanceKey, Instance), Problem> {
        let parsed = id.parse().map_err(|_| unknown("service", id))?;
        let found = self.view.read(|view| view.instances_with_id(&parsed));
        self.only(writer, found, "service", id)
    }

    /// The instance whose check has this id.
    pub(super) fn instance_with_check(
        &self,
        writer: &Writer,
        id: &str,
    ) -> Result<(InstanceKey, Instance), Problem> {
        let own = self.view.read(|view| view.instances_with_check(id));
        match id.strip_prefix(OF_SERVICE) {
            Some(instance) if own.is_empty() => self.instance_with_id(writer, instance),
            _ => self.only(writer, own, "check", id),
        }
    }

    /// Of several services' instances the caller's own is meant.
    fn only(
        &self,
        writer: &Writer,
        keys: Vec<InstanceKey>,
        what: &'static str,
        id: &str,
    ) -> Result<(InstanceKey, Instance), Problem> {
        let found = keys.into_iter().filter_map(|key| {
            let instance = self.view.read(|view| view.services().instance(&key).cloned())?;
            Some((key, instance))
        });
        let (mut own, mut others): (Vec<_>, Vec<_>) =
            found.partition(|(_, instance)| writer.has_registered(instance));
        match (own.pop(), own.is_empty(), others.pop(), others.is_empty()) {
            (Some(own), true, ..) => Ok(own),
            (None, _, Some(other), true) => Ok(other),
            (None, _, None, _) => Err(unknown(what, id)),
            _ => Err(Problem::new(&problem::AMBIGUOUS_INSTANCE).detail(format!(
                "several services have an instance {id:?}: give each an id of its own"
            ))),
        }
    }
}

/// Clients take a 404 for a reason to register again.
fn unknown(what: &'static str, id: &str) -> Problem {
    Problem::new(&problem::INSTANCE_NOT_FOUND).detail(format!("unknown {what} {id:?}"))
}
