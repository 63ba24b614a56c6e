//! `POST /oauth/device_authorization`: a device that has no browser asks (RFC 8628 section 3.1).

use aws_lc_rs::rand;
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::GrantType;
use lombard_chassis::{Json, Problem, RawBody};
use serde_json::{Value, json};

use super::{
    AnswerTo, AuthorizationRequest,
    client_authentication::authenticate,
    error::{Code, OAuthError},
    form::Form,
    sender::Sender,
};
use crate::{
    device::{BeginError, UserCode},
    secret,
    service::Api,
};

/// How often another code is tried where a device shows the same one already.
const TRIES: usize = 8;

pub(super) async fn begin(
    State(api): State<Api>,
    sender: Sender,
    body: Result<RawBody, Problem>,
) -> Response {
    let begun = body
        .map_err(|problem| OAuthError::invalid_request(problem.kind().title))
        .and_then(|RawBody(body)| begun(&api, &sender, &body));
    match begun {
        Ok(answer) => {
            let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            (no_store, Json(answer)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

fn begun(api: &Api, sender: &Sender, body: &[u8]) -> Result<Value, OAuthError> {
    let form = Form::posted(&sender.headers, body)?;
    let now = api.now();
    let client = authenticate(api, sender, &form, now)?;
    if !client.may_use(GrantType::DeviceCode) {
        let cause = "the client is not registered for the device grant";
        return Err(OAuthError::new(Code::UnauthorizedClient, cause));
    }
    let code = secret::generate("dc_").map_err(|_| unavailable())?;
    let code_sha256 = secret::sha256(code.as_bytes());
    for _ in 0..TRIES {
        let mut random = [0; 32];
        rand::fill(&mut random).map_err(|_| unavailable())?;
        let Some(user_code) = UserCode::from_random(&random) else { continue };
        let shown = user_code.shown();
        let answer_to = AnswerTo::Device {
            code_sha256,
            challenge: challenge(&code),
            user_code: user_code.clone(),
        };
        let request =
            AuthorizationRequest::of_device(client.clone(), &form, &api.issuer, answer_to)?;
        let times = (api.config.device_code_life(), api.config.device_poll_interval());
        match api.devices.begin(code_sha256, user_code, request, times, now) {
            Ok(()) => {
                let uri = format!("{}/oauth/device", api.issuer);
                return Ok(json!({
                    "device_code": code.as_str(),
                    "user_code": shown,
                    "verification_uri": uri,
                    "verification_uri_complete": format!("{uri}?user_code={shown}"),
                    "expires_in": api.config.device_code_seconds,
                    "interval": api.config.device_poll_seconds,
                }));
            }
            Err(BeginError::CodeTaken) => {}
            Err(BeginError::Full) => break,
        }
    }
    Err(unavailable())
}

/// What a device code is redeemed with in place of a verifier. No verifier of PKCE comes to the same: it has no control
/// characters.
pub(super) fn challenge(code: &str) -> [u8; 32] {
    secret::sha256(&[b"device\0", code.as_bytes()].concat())
}

fn unavailable() -> OAuthError {
    OAuthError::new(Code::TemporarilyUnavailable, "no device can wait now")
}
