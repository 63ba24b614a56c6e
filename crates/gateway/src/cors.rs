//! Cross-origin requests (the Fetch standard's CORS protocol): preflights are answered here, answers are marked.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;

use crate::{body::ResponseBody, table::Cors};

impl Cors {
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        match &self.origins {
            None => Some(HeaderValue::from_static("*")),
            Some(origins) => {
                let is_listed = origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes());
                is_listed.then(|| origin.clone())
            }
        }
    }

    /// The answer to a preflight; `None` where the request is none. A preflight of an origin that may not call gets an
    /// answer that permits nothing.
    pub(crate) fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<Response<ResponseBody>> {
        let is_preflight = *method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut response = Response::new(ResponseBody::Own(Full::new(Bytes::new())));
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        if self.mark(headers, answer) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
            if let Some(names) = &self.headers {
                answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
        }
        Some(response)
    }

    /// Says on an answer whether the page that asked may read it. What an upstream says of it counts for nothing.
    pub(crate) fn mark(&self, request: &HeaderMap, answer: &mut HeaderMap) -> bool {
        const SAID: [HeaderName; 3] = [
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
        ];
        for name in SAID {
            answer.remove(name);
        }
        if self.origins.is_some() {
            answer.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = self.allowed_origin(request) else { return false };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.has_credentials {
            let yes = HeaderValue::from_static("true");
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        if let Some(names) = &self.exposed_headers {
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
        }
        true
    }
}
