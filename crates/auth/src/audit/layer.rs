//! Around all routes: makes an entry of a request and its answer.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use lombard_auth_core::AuditEntry;
use lombard_chassis::{Context, Problem, authenticate::bearer_token};
use lombard_token::Claims;
use lombard_types::{RequestId, Timestamp};

use super::{
    Facts,
    action::{self, When},
};
use crate::service::Api;

pub(crate) async fn layer(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let Some((action, object, when)) = action::of(request.method(), &path) else {
        return next.run(request).await;
    };
    let asker = Asker::of(&api, &request);
    let response = next.run(request).await;
    let facts = response.extensions().get::<Facts>();
    let refused = refusal(&response, facts);
    let is_audited = match when {
        When::Always => true,
        When::Soon => api.config.audit_issued_tokens || action != "token" || refused.is_some(),
        When::Refused => refused.is_some(),
        When::Said => facts.is_some(),
    };
    if !is_audited {
        return response;
    }
    let entry = asker.entry(action, object, refused, &response);
    let written = api.audit.take(entry).await;
    if when == When::Always {
        // Where the role ends first, nothing is answered anyway.
        drop(written.await);
    }
    response
}

/// Who asks, as far as the request says: nothing is made of it before the answer tells whether it is audited.
struct Asker {
    at: Timestamp,
    claims: Option<Arc<Claims>>,
    forwarded: Option<HeaderValue>,
    request_id: RequestId,
}

impl Asker {
    fn of(api: &Api, request: &Request) -> Self {
        let headers = request.headers();
        // Of no other resource: nobody is named by a token that is not taken here. Now, since the request may take it back.
        let claims = bearer_token(headers).ok().and_then(|token| api.verifier.inspect(token).ok());
        let context = request.extensions().get::<Context>().cloned();
        Self {
            at: api.now(),
            claims,
            forwarded: headers.get("x-forwarded-for").cloned(),
            request_id: context.unwrap_or_else(|| Context::from_headers(headers)).request_id,
        }
    }

    fn entry(
        self,
        action: String,
        object: &str,
        refused: Option<String>,
        response: &Response,
    ) -> AuditEntry {
        let (client, subject) = self.claims.map_or_else(Default::default, |claims| {
            (claims.client_id.to_string(), claims.subject.to_string())
        });
        let forwarded = self.forwarded.as_ref().and_then(|value| value.to_str().ok());
        let facts = response.extensions().get::<Facts>().cloned().unwrap_or_default();
        let or = |one: String, other: String| if one.is_empty() { other } else { one };
        // What was made has an id that only the answer says.
        let made = response.headers().get(header::LOCATION).and_then(|it| it.to_str().ok());
        let made = made.and_then(|it| it.strip_prefix("/v1/auth/")).unwrap_or_default();
        let detail = or(facts.detail, or(object.to_owned(), made.to_owned()));
        AuditEntry {
            at: self.at,
            action: action.into(),
            refused: refused.map(Into::into),
            client: or(facts.client, client).into(),
            subject: or(facts.subject, subject).into(),
            address: forwarded.unwrap_or_default().into(),
            request_id: self.request_id.as_str().into(),
            detail: detail.into(),
        }
    }
}

/// Why it was refused: as the handler says, else the kind of problem, else the status.
fn refusal(response: &Response, facts: Option<&Facts>) -> Option<String> {
    if let Some(refused) = facts.and_then(|facts| facts.refused) {
        return Some(refused.to_owned());
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let problem = response.extensions().get::<Problem>();
    Some(problem.map_or_else(|| status.as_u16().to_string(), |it| it.kind().slug.to_owned()))
}
