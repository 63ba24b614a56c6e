//! The state made again from what [`Services::iter`] and [`Services::index`] gave.

use std::collections::BTreeMap;

use lombard_types::{InstanceId, ServiceName};

use crate::{Instance, Service, Services};

/// Why something is no part of any registry's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There is a service with this name already.
    #[error("two services have one name")]
    ServiceExists,
    /// A service without instances does not exist.
    #[error("a service has no instances")]
    NoInstances,
}

impl Services {
    /// Services that have changed last at `index`, of which none is there yet.
    pub fn restored(index: u64) -> Self {
        Self::from_parts(BTreeMap::new(), index)
    }

    /// Adds a service as it was.
    pub fn restore(
        &mut self,
        name: ServiceName,
        index: u64,
        instances: BTreeMap<InstanceId, Instance>,
    ) -> Result<(), RestoreError> {
        if self.get(&name).is_some() {
            return Err(RestoreError::ServiceExists);
        }
        if instances.is_empty() {
            return Err(RestoreError::NoInstances);
        }
        self.add(name, Service::from_parts(instances, index));
        Ok(())
    }
}
