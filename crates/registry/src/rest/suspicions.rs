//! What the gateway says of instances that fail those who call them.

use axum::extract::State;
use futures_util::{StreamExt as _, stream};
use lombard_chassis::{Json, Problem};
use lombard_registry_core::{Address, Command, InstanceKey, Note, Reply};
use lombard_types::ServiceName;
use serde::{Deserialize, Serialize};

use super::{Api, authority::Witness};
use crate::problem;

/// `POST /suspicions`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suspicions {
    suspicions: Vec<Suspicion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspicion {
    service: String,
    /// Where the instance was called: who calls does not know its id.
    url: String,
    note: String,
}

/// What became of them.
#[derive(Default, Serialize)]
pub(super) struct Considered {
    /// Without traffic, since now or before.
    suspected: usize,
    /// Left with traffic, since too many others of the service have none.
    spared: usize,
    /// Not registered at this address.
    unknown: usize,
}

/// Commands under way at once.
const IN_FLIGHT_MAX: usize = 16;

pub(super) async fn report(
    State(api): State<Api>,
    Witness(evidence): Witness,
    Json(body): Json<Suspicions>,
) -> Result<Json<Considered>, Problem> {
    let most = api.config.suspicions_max;
    if body.suspicions.len() > most {
        let expected = format!("must be at most {most}");
        return Err(problem::invalid_field("suspicions", expected));
    }
    let checked: Vec<_> =
        body.suspicions.into_iter().map(Suspicion::check).collect::<Result<_, _>>()?;
    api.reach_start().await?;
    let mut considered = Considered::default();
    let mut commands = Vec::new();
    for (service, address, note) in checked {
        let keys = api.instances_at(&service, &address);
        considered.unknown += usize::from(keys.is_empty());
        commands.extend(keys.into_iter().map(|key| Command::Suspect {
            key,
            address: address.clone(),
            note: note.clone(),
            evidence: evidence.clone(),
        }));
    }
    let submitted = stream::iter(commands).map(|command| api.writer.submit(command));
    let answers: Vec<_> = submitted.buffered(IN_FLIGHT_MAX).collect().await;
    for answer in answers {
        let answer = answer.map_err(problem::from_submit_error);
        api.count("suspect", &answer);
        match answer?.reply {
            Reply::Spared => considered.spared += 1,
            Reply::NotUnderThisLease => considered.unknown += 1,
            Reply::Registered | Reply::Deregistered | Reply::Stands => considered.suspected += 1,
        }
    }
    Ok(Json(considered))
}

impl Suspicion {
    fn check(self) -> Result<(ServiceName, Address, Note), Problem> {
        let service =
            self.service.parse().map_err(|error| problem::invalid_field("service", error))?;
        let address = self.url.parse().map_err(problem::from_parse_address_error)?;
        let note: Note =
            self.note.parse().map_err(|error| problem::invalid_field("note", error))?;
        if note.as_str().is_empty() {
            return Err(problem::invalid_field("note", "must say what is wrong"));
        }
        Ok((service, address, note))
    }
}

impl Api {
    fn instances_at(&self, service: &ServiceName, address: &Address) -> Vec<InstanceKey> {
        self.view.read(|view| {
            let found = view.services().get(service).into_iter().flat_map(|it| it.instances());
            let found = found.filter(|(_, instance)| instance.address == *address);
            let key = |id: &lombard_types::InstanceId| InstanceKey {
                service: service.clone(),
                instance: id.clone(),
            };
            found.map(|(id, _)| key(id)).collect()
        })
    }
}
