//! The way to the collector: one connection, in clear text or with TLS, made again where it has ended.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use crate::{settings::UpstreamTlsSettings, tls::UpstreamTls, transport::Stream};

const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer; what it says is not read, but the connection is used again.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A collector that takes OTLP over HTTP.
#[derive(Debug)]
pub(crate) struct Collector {
    host: HeaderValue,
    /// Host and port.
    address: String,
    target: Uri,
    tls: Option<(UpstreamTls, ServerName<'static>)>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// A message was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("the collector did not answer in time")]
    Timeout,
    #[error("the collector answers {0}")]
    Status(StatusCode),
    #[error("the collector cannot be reached: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the collector broke off: {0}")]
    Http(#[from] hyper::Error),
}

impl PostError {
    /// Whether it may be taken later (OTLP specification, "Failures").
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status.as_u16(), 429 | 502..=504),
            Self::Timeout | Self::Connect(_) | Self::Http(_) => true,
        }
    }
}

impl Collector {
    /// The collector with this URL; else says what is wrong with what the configuration says of it.
    pub(crate) fn new(url: &str, ca_file: Option<&Path>) -> Result<Self, String> {
        const URL: &str = "otlp_traces_url is not the http:// or https:// URL of a collector, such as http://127.0.0.1:4318/v1/traces";
        let parsed = url::Url::parse(url).map_err(|_| URL)?;
        let is_tls = match parsed.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(URL.to_owned()),
        };
        let (Some(host), "", None) = (parsed.host(), parsed.username(), parsed.password()) else {
            return Err(URL.to_owned());
        };
        let port = parsed.port_or_known_default().ok_or(URL)?;
        let tls = match (is_tls, ca_file) {
            (false, None) => None,
            (false, Some(_)) => {
                return Err("otlp_ca_file is said, but otlp_traces_url is not https://".to_owned());
            }
            (true, None) => {
                return Err("otlp_traces_url is https://, which needs otlp_ca_file".to_owned());
            }
            (true, Some(ca_file)) => {
                let settings = UpstreamTlsSettings {
                    ca_file: ca_file.to_owned(),
                    server_name: None,
                    certificate_file: None,
                    key_file: None,
                };
                let tls = UpstreamTls::new(&settings, false)
                    .map_err(|mistake| format!("otlp_ca_file: {mistake}"))?;
                let name = match host {
                    url::Host::Domain(name) => {
                        ServerName::try_from(name.to_owned()).map_err(|_| URL)?
                    }
                    url::Host::Ipv4(address) => {
                        ServerName::IpAddress(std::net::IpAddr::V4(address).into())
                    }
                    url::Host::Ipv6(address) => {
                        ServerName::IpAddress(std::net::IpAddr::V6(address).into())
                    }
                };
                Some((tls, name))
            }
        };
        let address = format!("{host}:{port}");
        let query = parsed.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self {
            host: HeaderValue::from_str(&address).map_err(|_| URL)?,
            address,
            target: format!("{}{query}", parsed.path()).parse().map_err(|_| URL)?,
            tls,
            connection: None,
        })
    }

    /// Posts a message. One that is not taken may have been received.
    pub(super) async fn post(&mut self, message: Bytes) -> Result<(), PostError> {
        let posted = tokio::time::timeout(SEND_TIMEOUT, self.post_in_time(message)).await;
        let result = posted.unwrap_or(Err(PostError::Timeout));
        if !matches!(result, Ok(()) | Err(PostError::Status(_))) {
            self.connection = None;
        }
        result
    }

    async fn post_in_time(&mut self, message: Bytes) -> Result<(), PostError> {
        let usable = self.connection.take().filter(SendRequest::is_ready);
        let mut connection = match usable {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut request = Request::new(Full::new(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        request.headers_mut().insert(header::HOST, self.host.clone());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let response = connection.send_request(request).await?;
        let status = response.status();
        let rest = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        if rest.collect().await.is_ok() {
            self.connection = Some(connection);
        }
        if status.is_success() { Ok(()) } else { Err(PostError::Status(status)) }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, PostError> {
        let stream = TcpStream::connect(&self.address).await?;
        let stream = match &self.tls {
            None => Stream::Plain(stream),
            Some((tls, name)) => {
                let connector = tokio_rustls::TlsConnector::from(tls.config.clone());
                Stream::Tls(Box::new(connector.connect(name.clone(), stream).await?.into()))
            }
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the collector ended");
            }
        });
        Ok(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_configuration_may_say() {
        let directory = tempfile::tempdir().unwrap();
        let no_certificates = directory.path().join("ca.pem");
        std::fs::write(&no_certificates, "").unwrap();
        for (url, ca_file, expected) in [
            ("http://127.0.0.1:4318/v1/traces", None, Ok(("127.0.0.1:4318", "/v1/traces"))),
            ("http://collector/v1/traces?a=b", None, Ok(("collector:80", "/v1/traces?a=b"))),
            ("http://[::1]:4318", None, Ok(("[::1]:4318", "/"))),
            ("collector:4318", None, Err("otlp_traces_url")),
            ("ftp://collector", None, Err("otlp_traces_url")),
            ("http://user:secret@collector", None, Err("otlp_traces_url")),
            ("https://collector", None, Err("otlp_ca_file")),
            ("http://collector", Some(no_certificates.as_path()), Err("not https://")),
            ("https://collector", Some(no_certificates.as_path()), Err("otlp_ca_file: ")),
        ] {
            match (Collector::new(url, ca_file), expected) {
                (Ok(made), Ok((address, target))) => {
                    assert_eq!(
                        (made.address.as_str(), made.target.to_string().as_str()),
                        (address, target)
                    );
                }
                (Err(mistake), Err(word)) => {
                    assert!(mistake.contains(word), "{url}: {mistake}");
                    assert!(!mistake.contains("secret"), "{mistake}");
                }
                (made, expected) => panic!("{url}: {made:?} and not {expected:?}"),
            }
        }
    }
}
