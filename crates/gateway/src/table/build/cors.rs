//! Which pages of other origins may call a route.

use http::HeaderValue;

use super::{Builder, Surroundings};
use crate::{settings::CorsSettings, table::Cors};

impl<S: Surroundings> Builder<'_, S> {
    pub(super) fn cors(&mut self, settings: &CorsSettings) -> Option<Cors> {
        let is_all = settings.origins == ["*"];
        let is_origin = |origin: &String| {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '*', '@']))
        };
        let are_origins =
            is_all || (!settings.origins.is_empty() && settings.origins.iter().all(is_origin));
        self.check(are_origins, "cors: origins are such as https://app.example.com, or only \"*\"");
        self.check(
            !(is_all && settings.credentials),
            "cors: all origins with credentials would be no protection",
        );
        let list = |texts: &[String]| HeaderValue::from_str(&texts.join(", "));
        let usual = ["GET", "HEAD", "POST"].map(str::to_owned);
        let methods = if settings.methods.is_empty() { &usual[..] } else { &settings.methods };
        let methods = self.expect("cors: methods", list(methods))?;
        let headers = self.expect("cors: headers", list(&settings.headers))?;
        let exposed = self.expect("cors: exposed_headers", list(&settings.exposed_headers))?;
        Some(Cors {
            origins: (!is_all)
                .then(|| settings.origins.iter().map(|origin| origin.as_str().into()).collect()),
            methods,
            headers: (!settings.headers.is_empty()).then_some(headers),
            exposed_headers: (!settings.exposed_headers.is_empty()).then_some(exposed),
            has_credentials: settings.credentials,
            max_age: settings.max_age_seconds.unwrap_or(600).into(),
        })
    }
}
