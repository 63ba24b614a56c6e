//! Whether each role is ready.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use http::StatusCode;
use serde::Deserialize;

use super::{Http, Unreadable};

/// A role and whether it can do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) readiness: Readiness,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// It answers, and says what is in the way.
    NotReady(Vec<String>),
    /// It does not answer, or not so that it can be understood.
    Away(String),
}

/// What `/readyz` answers.
#[derive(Debug, Default, Deserialize)]
struct Readyz {
    #[serde(default)]
    obstacles: BTreeMap<String, String>,
}

const ROLE: &str = "the role";

pub(super) async fn read(http: &Http, roles: &BTreeMap<String, String>) -> Vec<Role> {
    join_all(roles.iter().map(|(name, url)| async move {
        let readiness = ask(http, url).await;
        Role { name: name.clone(), url: url.clone(), readiness }
    }))
    .await
}

async fn ask(http: &Http, url: &str) -> Readiness {
    let answer = match http.send(ROLE, http.get(&format!("{url}/readyz"))).await {
        Ok(answer) => answer,
        Err(Unreadable::Slow { .. }) => {
            return Readiness::Away("did not answer in time".to_owned());
        }
        Err(_) => return Readiness::Away("cannot be reached".to_owned()),
    };
    match answer.status {
        StatusCode::OK => Readiness::Ready,
        StatusCode::SERVICE_UNAVAILABLE => {
            let readyz: Readyz = answer.json().unwrap_or_default();
            let reasons = readyz.obstacles.into_iter();
            Readiness::NotReady(reasons.map(|(part, why)| format!("{part}: {why}")).collect())
        }
        status => Readiness::Away(format!("answered {}", status.as_u16())),
    }
}
