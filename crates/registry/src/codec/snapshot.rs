//! What is registered, as a snapshot.
//!
//! ```text
//!  items of the state, in this order
//!  1 item          index u64 | count of services u64
//!  each service    by name: name text | index u64 | count of instances u64, followed by
//!  each instance   by id: id text | lease | url text | attributes | place | check | evidence |
//!                  registered at u64 | standing | 0 u8, or 1 u8, health u8 and note text of what was observed |
//!                  liveness u8 | damped u8 | count of falls u8, u64 each |
//!                  0 u8, or 1 u8 and note text of a suspicion
//! ```
//! The fields are those of the events (`codec.rs`).

use std::collections::BTreeMap;

use lombard_engine::{
    DecodeError, Snapshot, StateReader, StateWriter,
    fields::{Reader, Writer},
};
use lombard_registry_core::{Falls, Instance, Note, Observation, RestoreError, Services};
use lombard_types::{InstanceId, ServiceName, Timestamp};

use super::{
    check, checked_attributes, evidence, flag, health, health_code, lease, liveness, liveness_code,
    parse, put_attributes, put_evidence, put_lease, put_place, put_standing, standing,
};
use crate::machine::RegistryMachine;

impl Snapshot for RegistryMachine {
    const VERSION: u16 = 5;

    fn write_state(&self, state: &mut StateWriter<'_>) {
        let services = self.services();
        state.item(|fields| {
            put_number(fields, services.index());
            put_count(fields, services.count());
        });
        for (name, service) in services.iter() {
            state.item(|fields| {
                fields.text(name.as_str());
                put_number(fields, service.index());
                put_count(fields, service.instance_count());
            });
            for (id, instance) in service.instances() {
                state.item(|fields| put_instance(fields, id, instance));
            }
        }
    }

    fn read_state(self, state: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        let (index, count) = state.item(|fields| Ok((number(fields)?, number(fields)?)))?;
        let mut services = Services::restored(index);
        for _ in 0..count {
            let (name, index, count): (ServiceName, u64, u64) = state
                .item(|fields| Ok((parse(fields.text()?)?, number(fields)?, number(fields)?)))?;
            let mut instances = BTreeMap::new();
            for _ in 0..count {
                let (id, restored) = state.item(instance)?;
                if instances.insert(id, restored).is_some() {
                    return Err(DecodeError("two instances have one id"));
                }
            }
            services.restore(name, index, instances).map_err(refuse)?;
        }
        Ok(self.with_services(services))
    }
}

fn refuse(error: RestoreError) -> DecodeError {
    DecodeError(match error {
        RestoreError::ServiceExists => "two services have one name",
        RestoreError::NoInstances => "a service has no instances",
    })
}

fn put_number(fields: &mut Writer<'_>, number: u64) {
    fields.put(&number.to_le_bytes());
}

fn put_count(fields: &mut Writer<'_>, count: usize) {
    put_number(fields, u64::try_from(count).unwrap_or(u64::MAX));
}

fn number(fields: &mut Reader<'_>) -> Result<u64, DecodeError> {
    fields.array().map(u64::from_le_bytes)
}

fn put_instance(fields: &mut Writer<'_>, id: &InstanceId, instance: &Instance) {
    let Instance {
        address,
        attributes,
        lease,
        evidence,
        registered_at,
        standing,
        observed,
        liveness,
        falls,
        is_damped,
        suspicion,
    } = instance;
    fields.text(id.as_str());
    put_lease(fields, lease);
    fields.text(&address.to_string());
    put_attributes(fields, attributes);
    put_place(fields, attributes);
    check::put(fields, attributes.check());
    put_evidence(fields, evidence);
    put_number(fields, registered_at.unix_nanos());
    put_standing(fields, standing);
    fields.put(&[u8::from(observed.is_some())]);
    if let Some(Observation { health, note }) = observed {
        fields.put(&[health_code(*health)]);
        fields.text(note.as_str());
    }
    let fall_count = u8::try_from(falls.iter().len()).unwrap_or(u8::MAX);
    fields.put(&[liveness_code(*liveness), u8::from(*is_damped), fall_count]);
    for fall in falls.iter() {
        put_number(fields, fall.unix_nanos());
    }
    fields.put(&[u8::from(suspicion.is_some())]);
    if let Some(note) = suspicion {
        fields.text(note.as_str());
    }
}

fn instance(fields: &mut Reader<'_>) -> Result<(InstanceId, Instance), DecodeError> {
    let id = parse(fields.text()?)?;
    let instance = Instance {
        lease: lease(fields)?,
        address: parse(fields.text()?)?,
        attributes: checked_attributes(fields)?,
        evidence: evidence(fields)?,
        registered_at: Timestamp::from_unix_nanos(number(fields)?),
        standing: standing(fields)?,
        observed: observed(fields)?,
        liveness: liveness(fields.byte()?)?,
        is_damped: flag(fields.byte()?)?,
        falls: falls(fields)?,
        suspicion: suspicion(fields)?,
    };
    Ok((id, instance))
}

fn observed(fields: &mut Reader<'_>) -> Result<Option<Observation>, DecodeError> {
    if !flag(fields.byte()?)? {
        return Ok(None);
    }
    let health = health(fields.byte()?)?;
    Ok(Some(Observation { health, note: parse(fields.text()?)? }))
}

fn suspicion(fields: &mut Reader<'_>) -> Result<Option<Note>, DecodeError> {
    if !flag(fields.byte()?)? {
        return Ok(None);
    }
    parse(fields.text()?).map(Some)
}

fn falls(fields: &mut Reader<'_>) -> Result<Falls, DecodeError> {
    let mut falls = Falls::default();
    for _ in 0..fields.byte()? {
        falls.push(Timestamp::from_unix_nanos(number(fields)?));
    }
    Ok(falls)
}

#[cfg(test)]
mod tests;
