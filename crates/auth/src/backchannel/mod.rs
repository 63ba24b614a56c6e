//! Tells clients that a person has left (OpenID Connect Back-Channel Logout 1.0): from the state, so that a restart forgets
//! nothing; again and again, with growing pauses, until the client has heard or it is given up.

mod connection;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use lombard_auth_core::{Command, Logout, logouts};
use lombard_token::Algorithm;
use lombard_types::Timestamp;
use serde_json::json;
use uuid::Uuid;

use connection::TellError;
pub(crate) use connection::{Connector, ConnectorError};

use crate::service::Api;

/// The `typ` of logout tokens (section 2.4): whoever takes ID tokens or access tokens takes none of these.
const LOGOUT_TOKEN_TYPE: &str = "logout+jwt";
/// What has happened (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How long a logout token is good (section 2.4: at most two minutes).
const TOKEN_LIFE: Duration = Duration::from_secs(120);
/// Clients that are told at once.
const AT_ONCE: usize = 16;
/// Before the second try, and the longest pause.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// When a logout is tried next, and after which pause once more.
#[derive(Clone, Copy)]
struct Next {
    at: Timestamp,
    pause: Duration,
}

/// What came of a try.
enum Outcome {
    Told,
    /// For ever, or until its time is over.
    GivenUp,
    Again,
}

/// Tells clients, for ever.
pub(crate) async fn run(api: &Api) {
    let mut next: HashMap<u64, Next> = HashMap::new();
    loop {
        let (waiting, position) = api.view.read_at(|view| {
            let logouts = view.state.logouts.iter().cloned();
            logouts.collect::<Vec<Arc<Logout>>>()
        });
        next.retain(|number, _| waiting.iter().any(|logout| logout.number == *number));
        let now = api.now();
        let is_due = |logout: &Arc<Logout>| next.get(&logout.number).is_none_or(|it| it.at <= now);
        let due: Vec<Arc<Logout>> = waiting.into_iter().filter(is_due).collect();
        let tries = stream::iter(due).map(|logout| async {
            let outcome = tell(api, &logout, now).await;
            (logout, outcome)
        });
        let mut tries = tries.buffer_unordered(AT_ONCE);
        while let Some((logout, outcome)) = tries.next().await {
            match outcome {
                Outcome::Told => settle(api, logout.number, true).await,
                Outcome::GivenUp => settle(api, logout.number, false).await,
                Outcome::Again => {
                    let before = next.get(&logout.number).map_or(PAUSE, |next| next.pause);
                    let pause = (before * 2).min(PAUSE_MAX);
                    next.insert(logout.number, Next { at: api.now().plus(before), pause });
                }
            }
        }
        let soonest = next.values().map(|next| next.at.since(api.now())).min();
        let pause = soonest.unwrap_or(PAUSE_MAX).min(PAUSE_MAX);
        // Until then, or until anything has happened.
        api.view.wait_for(position.next(), pause).await.ok();
    }
}

async fn settle(api: &Api, number: u64, is_told: bool) {
    let command = logouts::Command::Settle { number, is_told };
    let command = Command::Logout(command, api.config.lives());
    // If it cannot be recorded now, the client hears it once more.
    if let Err(error) = crate::submit::submit(api, command).await {
        tracing::warn!(
            cause = error.kind().slug,
            "failed to record that a client was told of a logout"
        );
    }
}

async fn tell(api: &Api, logout: &Logout, now: Timestamp) -> Outcome {
    let client = api.view.read(|view| view.state.clients.get(logout.client.as_str()).cloned());
    let algorithm = client.as_ref().map(|client| client.options.id_token_algorithm);
    let uri = client.and_then(|client| client.backchannel_logout_uri.clone());
    let (client_id, session) = (&logout.client, logout.session);
    let Some(uri) = uri.filter(|_| logout.until > now) else {
        tracing::warn!(%client_id, %session, "gave up telling a client of a logout");
        return Outcome::GivenUp;
    };
    let token = match token(api, logout, algorithm.unwrap_or_default(), now) {
        Ok(token) => token,
        Err(error) => {
            tracing::error!(%error, "failed to sign a logout token");
            return Outcome::Again;
        }
    };
    match api.connector.post(uri.as_str(), "logout_token", &token).await {
        Ok(()) => {
            tracing::info!(%client_id, %session, "told a client of a logout");
            Outcome::Told
        }
        // Section 2.8: the client has heard it, and will say the same again.
        Err(TellError::Status(400)) => {
            tracing::warn!(%client_id, %session, "a client refused to hear of a logout");
            Outcome::GivenUp
        }
        Err(error) => {
            tracing::info!(%client_id, %session, %error, "failed to tell a client of a logout");
            Outcome::Again
        }
    }
}

/// Section 2.4, signed as the client's ID tokens are (section 2.6).
fn token(
    api: &Api,
    logout: &Logout,
    algorithm: Algorithm,
    now: Timestamp,
) -> Result<String, lombard_token::KeyError> {
    let claims = json!({
        "iss": &*api.issuer,
        "sub": logout.user.subject(),
        "aud": logout.client.as_str(),
        "iat": now.unix_seconds(),
        "exp": now.plus(TOKEN_LIFE).unix_seconds(),
        "jti": Uuid::new_v4().simple().to_string(),
        "sid": logout.session.to_string(),
        "events": { EVENT: {} },
    });
    api.keyring.active(algorithm)?.sign(LOGOUT_TOKEN_TYPE, claims.to_string().as_bytes())
}
