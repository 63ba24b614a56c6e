//! One request to a client, over HTTP/1.1, with TLS where its URI says so.

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::oauth::form_encode;

/// Reaches clients.
pub(crate) struct Connector {
    /// None where nobody is trusted to vouch for a name: then there is no https.
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The file cannot be read, or has no certificate in it.
    #[error("failed to read the authorities in {path}")]
    Authorities {
        /// The file.
        path: String,
    },
    /// The library did not take them.
    #[error("failed to set up TLS to clients")]
    Tls(#[source] tokio_rustls::rustls::Error),
}

/// A client was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum TellError {
    #[error("its URI cannot be reached from here")]
    Uri,
    #[error("no connection: {}", .0.kind())]
    Connect(#[source] io::Error),
    #[error("the connection broke off")]
    Broken(#[from] hyper::Error),
    #[error("it answered {0}")]
    Status(u16),
    #[error("no answer in time")]
    Late,
}

impl Connector {
    /// `authorities`: a file of certificates (PEM) that clients' certificates must come from.
    pub(crate) fn new(
        authorities: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, ConnectorError> {
        let tls = authorities.map(connector).transpose()?;
        Ok(Self { tls, timeout })
    }

    /// Sends a form of one field. Redirects are not followed: the URI is the client's, and no other is.
    pub(super) async fn post(&self, uri: &str, name: &str, value: &str) -> Result<(), TellError> {
        let told = tokio::time::timeout(self.timeout, self.exchange(uri, name, value)).await;
        match told.map_err(|_| TellError::Late)?? {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            status => Err(TellError::Status(status.as_u16())),
        }
    }

    async fn exchange(&self, uri: &str, name: &str, value: &str) -> Result<StatusCode, TellError> {
        let uri: Uri = uri.parse().map_err(|_| TellError::Uri)?;
        let authority = uri.authority().ok_or(TellError::Uri)?;
        let is_secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let mut body = format!("{name}=");
        form_encode(value, &mut body);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let request = Request::post(target)
            .header(header::HOST, authority.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(body)));
        let request = request.map_err(|_| TellError::Uri)?;
        let stream = TcpStream::connect((host, port)).await.map_err(TellError::Connect)?;
        if !is_secure {
            return send(stream, request).await;
        }
        let tls = self.tls.as_ref().ok_or(TellError::Uri)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TellError::Uri)?;
        let stream = tls.connect(name, stream).await.map_err(TellError::Connect)?;
        send(stream, request).await
    }
}

/// The status is all that is wanted: the connection ends with it.
async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, TellError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::pin!(connection);
    tokio::select! {
        biased;
        response = sender.send_request(request) => Ok(response?.status()),
        ended = &mut connection => {
            ended?;
            Err(TellError::Late)
        }
    }
}

fn connector(path: &Path) -> Result<TlsConnector, ConnectorError> {
    let failed = || ConnectorError::Authorities { path: path.display().to_string() };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|_| failed())? {
        roots.add(certificate.map_err(|_| failed())?).map_err(|_| failed())?;
    }
    if roots.is_empty() {
        return Err(failed());
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.map_err(ConnectorError::Tls)?.with_root_certificates(roots);
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}
