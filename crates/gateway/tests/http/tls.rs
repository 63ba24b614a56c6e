//! TLS in and out: names, protocols, certificates of clients, and certificates that change.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lombard_token::{Claims, Confirmation};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::support::{Upstream, World, claims, config, until};

/// An authority, and files of what it has signed.
struct Authority {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { directory, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes `<file>.pem` and `<file>.key`.
    fn sign(&self, file: &str, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn leaf(&self, file: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path(&format!("{file}.pem"))).unwrap()
    }

    fn key(&self, file: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.path(&format!("{file}.key"))).unwrap()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        roots
    }

    fn client(&self, shown: Option<&str>, protocol: &str) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        let mut config = match shown {
            Some(file) => {
                builder.with_client_auth_cert(vec![self.leaf(file)], self.key(file)).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config
    }

    /// The part of a configuration about one certificate.
    fn certificate(&self, file: &str, name: &str) -> String {
        let (certificate, key) =
            (self.path(&format!("{file}.pem")), self.path(&format!("{file}.key")));
        format!(
            "\n[[certificate]]\nnames = [\"{name}\"]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
            certificate.display(),
            key.display()
        )
    }
}

async fn connect(
    world: &World,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(world.tls_address.unwrap()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn ask_http1(stream: TlsStream<TcpStream>, path: &str) -> hyper::Result<Value> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move { drop(connection.await) });
    let request =
        Request::get(path).header("host", "api.example.com").body(Full::<bytes::Bytes>::default());
    let response = sender.send_request(request.unwrap()).await?;
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

const LISTEN: &str = "tls_listen = \"127.0.0.1:0\"\n";

#[tokio::test]
async fn names_protocols_and_new_certificates() {
    let authority = Authority::new();
    authority.sign("api", "api.example.com");
    authority.sign("any", "*.example.org");
    let text = format!(
        "{LISTEN}{}{}",
        authority.certificate("api", "api.example.com"),
        authority.certificate("any", "*.example.org")
    );
    let world = World::with(config(&text)).await;

    let stream =
        connect(&world, authority.client(None, "http/1.1"), "api.example.com").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let got = ask_http1(stream, "/oauth/token").await.unwrap();
    assert_eq!(got["headers"]["x-forwarded-proto"], "https");

    let stream = connect(&world, authority.client(None, "h2"), "x.example.org").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let request =
        Request::get("https://x.example.org/oauth/token").body(Full::<bytes::Bytes>::default());
    assert_eq!(sender.send_request(request.unwrap()).await.unwrap().status(), 200);

    // A name that no certificate is for, also one label too deep.
    for name in ["other.example.com", "a.b.example.org"] {
        connect(&world, authority.client(None, "h2"), name).await.unwrap_err();
    }

    // A new certificate is for new connections; the one above stays.
    let before = authority.leaf("api");
    authority.sign("api", "api.example.com");
    world.control.reload().unwrap();
    let stream =
        connect(&world, authority.client(None, "http/1.1"), "api.example.com").await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    assert!(shown != before && shown == authority.leaf("api"));
    let request =
        Request::get("https://x.example.org/oauth/token").body(Full::<bytes::Bytes>::default());
    assert_eq!(sender.send_request(request.unwrap()).await.unwrap().status(), 200);

    // Files that do not fit change nothing.
    std::fs::write(authority.path("api.key"), "nonsense").unwrap();
    let error = world.control.reload().unwrap_err();
    assert!(error.to_string().contains("api.key"), "{error}");
    connect(&world, authority.client(None, "http/1.1"), "api.example.com").await.unwrap();
}

/// RFC 8705 section 3: a token that is bound to a certificate is good on connections that show that one, and on no other.
#[tokio::test]
async fn a_token_is_good_with_the_certificate_that_it_is_bound_to() {
    let authority = Authority::new();
    authority.sign("api", "api.example.com");
    authority.sign("client", "client");
    authority.sign("thief", "thief");
    let text = format!(
        "{LISTEN}client_auth = \"optional\"\nclient_ca_file = \"{}\"\n{}",
        authority.path("ca.pem").display(),
        authority.certificate("api", "api.example.com")
    );
    let world = World::with(config(&text)).await;
    let upstream = Upstream::start("payments").await;
    world.register("payments", &[upstream.address]).await;
    let confirmation = Some(Confirmation::of_certificate(&authority.leaf("client")));
    let bound = claims("http://gateway.test/payments", "payments:read");
    let token = world.sign(Claims { confirmation, ..bound });
    let before = upstream.requests();
    for (shown, status) in [(Some("client"), 200), (Some("thief"), 401), (None, 401)] {
        let client = authority.client(shown, "http/1.1");
        let stream = connect(&world, client, "api.example.com").await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::get("/payments/x")
            .header("host", "api.example.com")
            .header("authorization", format!("Bearer {token}"))
            // What a thief says beside it is passed over.
            .header("client-cert", ":AQID:")
            .body(Full::<bytes::Bytes>::default());
        let response = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{shown:?}");
    }
    assert_eq!(upstream.requests(), before + 1);
}

#[tokio::test]
async fn clients_show_certificates_where_they_must() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.sign("api", "api.example.com");
    authority.sign("client", "client");
    stranger.sign("client", "client");
    let text = format!(
        "{LISTEN}client_auth = \"required\"\nclient_ca_file = \"{}\"\n{}",
        authority.path("ca.pem").display(),
        authority.certificate("api", "api.example.com")
    );
    let world = World::with(config(&text)).await;
    let ask = async |config: ClientConfig| {
        let stream = connect(&world, config, "api.example.com").await.ok()?;
        ask_http1(stream, "/oauth/token").await.ok()
    };
    let got = ask(authority.client(Some("client"), "http/1.1")).await.unwrap();
    let thumbprint = got["headers"]["x-lombard-client-certificate"].as_str().unwrap();
    assert_eq!(thumbprint.len(), 64);
    assert!(ask(authority.client(None, "http/1.1")).await.is_none());
    // It trusts the gateway, and shows what another authority has signed.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let foreign = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_client_auth_cert(vec![stranger.leaf("client")], stranger.key("client"))
        .unwrap();
    assert!(ask(foreign).await.is_none());
    assert_eq!(world.roles.requests(), 1);
}

#[tokio::test]
async fn an_upstream_is_verified_and_shown_a_certificate() {
    let authority = Authority::new();
    authority.sign("upstream", "payments.internal");
    authority.sign("gateway", "gateway");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(authority.roots()),
        Arc::clone(&provider),
    )
    .build()
    .unwrap();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![authority.leaf("upstream")], authority.key("upstream"))
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(server));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let service = hyper::service::service_fn(async |_| {
                Ok::<_, std::convert::Infallible>(http::Response::new(Full::<bytes::Bytes>::from(
                    "secret",
                )))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    let file = |name: &str| authority.path(name).display().to_string();
    let upstream = |name: &str, server_name: &str, shown: &str| {
        format!(
            "
            [[upstream]]
            name = \"{name}\"
            addresses = [\"{address}\"]
            tls = {{ ca_file = \"{}\", server_name = \"{server_name}\"{shown} }}
            [[route]]
            name = \"{name}\"
            prefix = \"/{name}\"
            upstream = \"{name}\"
            auth = \"none\"
            ",
            file("ca.pem")
        )
    };
    let shown = format!(
        ", certificate_file = \"{}\", key_file = \"{}\"",
        file("gateway.pem"),
        file("gateway.key")
    );
    let text = upstream("good", "payments.internal", &shown)
        + &upstream("other-name", "other.internal", &shown)
        + &upstream("shows-nothing", "payments.internal", "");
    let world = World::with(config(&text)).await;
    let response = world.get("/good", "").await;
    assert_eq!(
        (response.status().as_u16(), response.text().await.unwrap().as_str()),
        (200, "secret")
    );
    assert_eq!(world.get("/other-name", "").await.status(), 502);
    assert_eq!(world.get("/shows-nothing", "").await.status(), 502);
}

#[tokio::test]
async fn new_files_are_used_without_being_told() {
    let authority = Authority::new();
    authority.sign("api", "api.example.com");
    let text = format!(
        "{LISTEN}certificate_check_ms = 10\n{}",
        authority.certificate("api", "api.example.com")
    );
    let world = World::with(config(&text)).await;
    let shown = async || {
        let config = authority.client(None, "http/1.1");
        let stream = connect(&world, config, "api.example.com").await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    assert_eq!(shown().await, authority.leaf("api"));
    authority.sign("api", "api.example.com");
    until(async || shown().await == authority.leaf("api")).await;
}

/// A collector with TLS; says how many spans it got, over how many connections.
fn collector(authority: &Authority) -> (std::net::SocketAddr, Arc<[AtomicUsize; 2]>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![authority.leaf("collector")], authority.key("collector"))
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let counts = Arc::<[AtomicUsize; 2]>::default();
    let counting = Arc::clone(&counts);
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(server));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            counting[1].fetch_add(1, SeqCst);
            let counting = Arc::clone(&counting);
            let service =
                hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let counting = Arc::clone(&counting);
                    async move {
                        assert_eq!(request.uri().path(), "/v1/traces");
                        let body = request.into_body().collect().await?.to_bytes();
                        let message: Value = serde_json::from_slice(&body).unwrap();
                        let spans = &message["resourceSpans"][0]["scopeSpans"][0]["spans"];
                        counting[0].fetch_add(spans.as_array().unwrap().len(), SeqCst);
                        Ok::<_, hyper::Error>(http::Response::new(Full::<bytes::Bytes>::from("{}")))
                    }
                });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (address, counts)
}

#[tokio::test]
async fn a_collector_with_tls_is_verified() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.sign("collector", "localhost");
    let (address, counts) = collector(&authority);
    let with_ca = |authority: &Authority| {
        format!(
            "otlp_traces_url = \"https://localhost:{}/v1/traces\"\notlp_ca_file = \"{}\"\n",
            address.port(),
            authority.path("ca.pem").display()
        )
    };
    let world = World::with(config(&with_ca(&authority))).await;
    for count in 1..=3 {
        assert_eq!(world.get("/oauth/token", "").await.status(), 200);
        until(async || counts[0].load(SeqCst) == count).await;
    }
    assert_eq!(counts[1].load(SeqCst), 1, "the connection is used again");
    let world = World::with(config(&with_ca(&stranger))).await;
    assert_eq!(world.get("/oauth/token", "").await.status(), 200);
    until(async || {
        let metrics = world.get("/metrics", "").await.text().await.unwrap();
        let lost =
            metrics.lines().find_map(|line| line.strip_prefix("lombard_gateway_lost_spans_total "));
        lost.unwrap().parse::<u64>().unwrap() > 0
    })
    .await;
    assert_eq!(counts[0].load(SeqCst), 3);
}
