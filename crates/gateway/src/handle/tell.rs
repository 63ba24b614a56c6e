//! What is told of a request once it is answered.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Method, Response};
use lombard_types::Timestamp;

use super::Exchange;
use crate::{
    body::ResponseBody,
    otlp::Ended,
    plan::Label,
    seen::{Seen, TimeText},
};

impl Exchange<'_> {
    /// Tells the access log, the audit and the collector of spans, where there are any.
    pub(super) fn tell(&self, method: &Method, path: &str, response: &Response<ResponseBody>) {
        self.tell_readers(method, path, response);
        self.tell_collector(method, path, response);
    }

    fn tell_collector(&self, method: &Method, path: &str, response: &Response<ResponseBody>) {
        let Some(spans) = &self.worker.shared.spans else { return };
        let Some(span) = self.span.filter(|span| span.is_sampled) else { return };
        let took = self.start.elapsed();
        let route = self.label.take();
        self.label.set(route.clone());
        spans.tell(Ended {
            span,
            start: SystemTime::now().checked_sub(took).unwrap_or(UNIX_EPOCH),
            took,
            method: method.clone(),
            path: path.into(),
            request_id: self.context.request_id.as_str().into(),
            route,
            status: response.status().as_u16(),
            refused: self.refused.get(),
            upstream: self.upstream.borrow().clone(),
            claims: self.claims.borrow().clone(),
        });
    }

    fn tell_readers(&self, method: &Method, path: &str, response: &Response<ResponseBody>) {
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
            time: TimeText(Timestamp::from_system_time(SystemTime::now())),
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
