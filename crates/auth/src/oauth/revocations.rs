//! `GET /oauth/revocations`: what was taken back, for verifiers to hold in memory.
//!
//! Public, since it names tokens by digests only. `after` is the number of the last revocation that the verifier knows;
//! with `wait_ms` the answer waits until there is a newer one.

use std::time::{Duration, Instant};

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lombard_chassis::{Json, Problem, Query};
use serde::{Deserialize, Serialize};

use crate::service::Api;

/// Longest wait for something new.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Most revocations in one answer.
const COUNT_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait_ms: u64,
}

#[derive(Serialize)]
struct Answer {
    /// The number to ask after next time.
    last: u64,
    revocations: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    key: String,
    /// Seconds since 1970, as times in tokens are.
    at: u64,
    until: u64,
}

pub(super) async fn get(
    State(api): State<Api>,
    Query(question): Query<Question>,
) -> Result<Response, Problem> {
    // Whoever finds no room among those who wait gets an answer at once.
    let seat = api.revocation_seats.try_acquire();
    let wait = Duration::from_millis(question.wait_ms).min(WAIT_MAX);
    let until = Instant::now() + if seat.is_ok() { wait } else { Duration::ZERO };
    let answer = loop {
        let (answer, position) = api.view.read_at(|view| Answer::after(question.after, view));
        let left = until.saturating_duration_since(Instant::now());
        if !answer.revocations.is_empty() || left.is_zero() {
            break answer;
        }
        // Any event wakes, also one that revokes nothing.
        if api.view.wait_for(position.next(), left).await.is_err() {
            break answer;
        }
    };
    let caching = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((caching, Json(answer)).into_response())
}

impl Answer {
    fn after(number: u64, view: &crate::AuthMachine) -> Self {
        let revocations = &view.state.revocations;
        // A verifier that knows more than ever happened knows it of another history: it gets everything.
        let number = if number > revocations.last_number() { 0 } else { number };
        let new: Vec<_> = revocations.after(number).take(COUNT_MAX).collect();
        let is_all = new.len() < COUNT_MAX;
        let last_number = if is_all { revocations.last_number() } else { number };
        let last = new.last().map_or(last_number, |(number, _)| *number).max(last_number);
        let entry = |(_, revocation): &&(u64, lombard_token::Revocation)| Entry {
            key: revocation.key.to_string(),
            at: revocation.at.unix_seconds(),
            // Rounded up: forgotten late rather than early.
            until: revocation.until.unix_seconds() + 1,
        };
        Self { last, revocations: new.iter().map(entry).collect() }
    }
}
