//! What is told of a request once it is answered.

use http::{Method, Response};
use lombard_types::Timestamp;

use super::Exchange;
use crate::{
    body::ResponseBody,
    plan::Label,
    seen::{Seen, TimeText},
};

impl Exchange<'_> {
    /// Tells the access log and the audit, where there are any.
    pub(super) fn tell(&self, method: &Method, path: &str, response: &Response<ResponseBody>) {
        let shared = &self.worker.shared;
        let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let audit = shared.audit.as_ref().filter(|_| !is_read);
        if shared.access_log.is_none() && audit.is_none() {
            return;
        }
        let (claims, upstream) = (self.claims.borrow(), self.upstream.borrow());
        let label = self.label.take();
        let route = match &label {
            Some(Label::Route(policy)) => &*policy.name,
            Some(Label::Family(family)) => family.name(),
            None => "",
        };
        let answered = if upstream.is_some() { "forwarded" } else { "answered" };
        let position = response.headers().get("lombard-position");
        let seen = Seen {
            time: TimeText(Timestamp::from_system_time(std::time::SystemTime::now())),
            request_id: self.context.request_id.as_str(),
            traceparent: self.context.traceparent.as_deref(),
            address: self.address.get().unwrap_or_else(|| self.peer.address.ip()),
            method: method.as_str(),
            path,
            route,
            decision: self.refused.get().unwrap_or(answered),
            status: response.status().as_u16(),
            duration_us: u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
            upstream: upstream.as_ref().map(|upstream| &*upstream.name),
            client: claims.as_ref().map(|claims| &*claims.client_id),
            subject: claims.as_ref().map(|claims| &*claims.subject),
            token: claims.as_ref().map(|claims| &*claims.token_id),
            position: position.and_then(|position| position.to_str().ok()),
        };
        if let Some(log) = &shared.access_log {
            log.write(&seen);
        }
        if let Some(audit) = audit {
            audit.tell(&seen);
        }
        self.label.set(label);
    }
}
