//! What is registered.

use std::time::{Duration, SystemTime};

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use lombard_chassis::{Path, Problem};
use lombard_registry_core::InstanceKey;
use lombard_types::Timestamp;
use serde_json::Value;

use super::{definition::service_name, xml};
use crate::{
    consul::{
        answer::{Refused, json},
        authority::Reader,
    },
    problem,
    rest::Api,
    view::eureka::Vip,
};

/// `GET /apps`.
pub(super) async fn all(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let form = Form::of(&headers)?;
    api.reach_start().await?;
    Ok(form.respond(api.view.read(|view| match form {
        Form::Json => view.eureka_applications(),
        Form::Xml => view.eureka_applications_xml(),
    })))
}

/// Changes of this long are in a delta, as in Eureka: clients ask several times meanwhile.
const DELTA: Duration = Duration::from_secs(180);

/// `GET /apps/delta`.
pub(super) async fn delta(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let form = Form::of(&headers)?;
    api.reach_start().await?;
    let since = Timestamp::from_system_time(SystemTime::now() - DELTA);
    Ok(form.answer(&api.view.read(|view| view.eureka_delta(since))))
}

/// `GET /apps/{app}`.
pub(super) async fn one(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
    path: Path<String>,
) -> Result<Response, Refused> {
    let form = Form::of(&headers)?;
    api.reach_start().await?;
    let service = service_name(&path.0)?;
    let found = api.view.read(|view| view.eureka_application(&service));
    found.map(|value| form.answer(&value)).ok_or_else(|| not_found("application").into())
}

/// `GET /apps/{app}/{id}`.
pub(super) async fn instance(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
    path: Path<(String, String)>,
) -> Result<Response, Refused> {
    let form = Form::of(&headers)?;
    let (app, id) = path.0;
    let instance = id.parse().map_err(|error| problem::invalid_path("id", error))?;
    let key = InstanceKey { service: service_name(&app)?, instance };
    api.eureka_instance_body(&key, form).await
}

/// `GET /instances/{id}`: of several applications' instances with this id, the first.
pub(super) async fn instance_by_id(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
    path: Path<String>,
) -> Result<Response, Refused> {
    let form = Form::of(&headers)?;
    api.reach_start().await?;
    let id = path.0.parse().map_err(|error| problem::invalid_path("id", error))?;
    let keys = api.view.read(|view| view.instances_with_id(&id));
    let key = keys.first().ok_or_else(|| not_found("instance"))?;
    api.eureka_instance_body(key, form).await
}

/// `GET /vips/{vip}`.
pub(super) async fn by_vip(
    state: State<Api>,
    reader: Reader,
    headers: HeaderMap,
    path: Path<String>,
) -> Result<Response, Refused> {
    with_vip(state, reader, &headers, Vip::Plain(&path.0)).await
}

/// `GET /svips/{vip}`.
pub(super) async fn by_secure_vip(
    state: State<Api>,
    reader: Reader,
    headers: HeaderMap,
    path: Path<String>,
) -> Result<Response, Refused> {
    with_vip(state, reader, &headers, Vip::Secure(&path.0)).await
}

async fn with_vip(
    State(api): State<Api>,
    _: Reader,
    headers: &HeaderMap,
    vip: Vip<'_>,
) -> Result<Response, Refused> {
    let form = Form::of(headers)?;
    api.reach_start().await?;
    let found = api.view.read(|view| view.eureka_with_vip(vip));
    found.map(|value| form.answer(&value)).ok_or_else(|| not_found("virtual address").into())
}

impl Api {
    async fn eureka_instance_body(
        &self,
        key: &InstanceKey,
        form: Form,
    ) -> Result<Response, Refused> {
        self.reach_start().await?;
        let found = self.view.read(|view| view.eureka_instance(key));
        found.map(|value| form.answer(&value)).ok_or_else(|| not_found("instance").into())
    }
}

/// What a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Xml,
}

impl Form {
    /// JSON for who takes both. Clients in Java ask for XML where nothing is configured.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let accepted = headers.get_all(header::ACCEPT);
        let texts: Vec<&str> = accepted.iter().filter_map(|value| value.to_str().ok()).collect();
        let is_any_of =
            |wanted: &[&str]| texts.iter().any(|text| wanted.iter().any(|it| text.contains(it)));
        if texts.is_empty() || is_any_of(&["json"]) {
            Ok(Self::Json)
        } else if is_any_of(&["/xml"]) {
            Ok(Self::Xml)
        } else if is_any_of(&["*/*", "application/*"]) {
            Ok(Self::Json)
        } else {
            Err(Problem::new(&problem::NOT_ACCEPTABLE)
                .detail("ask for application/json or application/xml"))
        }
    }

    fn answer(self, value: &Value) -> Response {
        self.respond(match self {
            Self::Json => value.to_string().into(),
            Self::Xml => xml::write(value),
        })
    }

    /// What is encoded in this form already.
    fn respond(self, body: Bytes) -> Response {
        let mut response = json(body);
        if self == Self::Xml {
            let media_type = HeaderValue::from_static("application/xml");
            response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        }
        response
    }
}

fn not_found(what: &'static str) -> Problem {
    Problem::new(&problem::INSTANCE_NOT_FOUND).detail(format!("there is no such {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_is_asked_for() {
        for (accept, form) in [
            (None, Some(Form::Json)),
            (Some("application/json"), Some(Form::Json)),
            (Some("application/xml, application/json"), Some(Form::Json)),
            (Some("application/xml"), Some(Form::Xml)),
            (Some("text/xml, */*"), Some(Form::Xml)),
            (Some("text/html, */*"), Some(Form::Json)),
            (Some("text/html"), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|text| (header::ACCEPT, HeaderValue::from_static(text))));
            assert_eq!(Form::of(&headers).ok(), form, "{accept:?}");
        }
    }
}
