//! Clients with certificates (RFC 8705): on a listener with TLS of the role's own, and behind a proxy that is believed.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use axum::body::Body;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use lombard_auth::{Config, MtlsConfig};
use lombard_chassis::{CancellationToken, Metrics, Server, ServerLimits, serve, serve_tls};
use lombard_token::{CLIENT_ASSERTION_TYPE, SigningKey, client_assertion};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Answer, Browser, ISSUER, Role, VERIFIER, claims, config, form};

const URL: &str = "https://localhost:9443";
const CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

/// A certificate and its key.
#[derive(Clone)]
struct Shown {
    der: CertificateDer<'static>,
    key: Arc<KeyPair>,
}

impl Shown {
    fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.der))
    }

    /// Signed by itself, good from and until these years.
    fn of_itself(name: &str, (from, until): (i32, i32)) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = params(name, (from, until)).self_signed(&key).unwrap().der().clone();
        Self { der, key: Arc::new(key) }
    }
}

fn params(name: &str, (from, until): (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Shop, Söhne & Co.");
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

const GOOD: (i32, i32) = (2020, 4000);

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, params: &CertificateParams) -> Shown {
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.0).unwrap().der().clone();
        Shown { der, key: Arc::new(key) }
    }
}

/// The role with its listener with TLS.
struct World {
    role: Role,
    address: SocketAddr,
    authority: Authority,
    server: CertificateDer<'static>,
    files: TempDir,
}

impl World {
    async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let server = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let write = |name: &str, text: &str| -> PathBuf {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let mtls = MtlsConfig {
            listen: Some(([127, 0, 0, 1], 0).into()),
            url: Some(URL.to_owned()),
            certificate_file: Some(write("server.pem", &server.cert.pem())),
            key_file: Some(write("server.key", &server.signing_key.serialize_pem())),
            client_ca_file: Some(write("ca.pem", &authority.0.pem())),
            files_check_ms: 10,
        };
        let role = Role::start_with(Config { mtls, ..config() }).await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tls = role.tls.clone().unwrap();
        let served = Server {
            router: role.router.clone(),
            limits: ServerLimits::default(),
            metrics: Metrics::default(),
        };
        tokio::spawn(serve_tls(listener, served, tls, CancellationToken::new()));
        Self { role, address, authority, server: server.cert.der().clone(), files }
    }

    async fn register(&self, id: &str, members: Value) -> Answer {
        let mut client = json!({ "client_id": id, "name": id, "scope": "ledger:read" });
        client.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.role.admin("POST", "/v1/auth/clients", client).await
    }

    async fn send(&self, shown: Option<&Shown>, request: Request<Body>) -> Answer {
        ask(self.connect(shown).await.unwrap(), request).await
    }

    /// A connection, if the server shows the certificate that is expected.
    async fn connect(&self, shown: Option<&Shown>) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shown {
            Some(shown) => {
                let key = PrivateKeyDer::try_from(shown.key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![shown.der.clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Replaces a file as those who renew certificates do: the old one is there until the new one is whole.
    fn replace(&self, name: &str, text: &str) {
        let written = self.files.path().join("new");
        std::fs::write(&written, text).unwrap();
        std::fs::rename(&written, self.files.path().join(name)).unwrap();
    }

    async fn post(&self, shown: Option<&Shown>, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.send(shown, post(path, parameters, None)).await
    }

    async fn token(&self, shown: Option<&Shown>, client_id: &str) -> Answer {
        self.post(shown, "/oauth/token", &[("client_id", client_id), CREDENTIALS]).await
    }
}

fn post(path: &str, parameters: &[(&str, &str)], certificate: Option<&Shown>) -> Request<Body> {
    let mut request = Request::post(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(certificate) = certificate {
        request = request.header("client-cert", format!(":{}:", STANDARD.encode(&certificate.der)));
    }
    request.body(Body::from(form(parameters))).unwrap()
}

async fn ask(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    request: Request<Body>,
) -> Answer {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

const SUBJECT: &str = "CN=shop,O=Shop\\, Söhne & Co.";

#[tokio::test]
async fn a_certificate_that_an_authority_has_signed() {
    let world = World::start().await;
    let made = world.register("pki", json!({ "tls_client_auth_subject_dn": SUBJECT })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    assert_eq!(made["token_endpoint_auth_method"], "tls_client_auth");
    assert_eq!(made["profile"], "fapi-2.0");
    assert_eq!(made["tls_client_auth_subject_dn"], SUBJECT);
    assert_eq!(made["tls_client_certificate_bound_access_tokens"], true);

    let own = world.authority.sign(&params("shop", GOOD));
    let issued = world.token(Some(&own), "pki").await;
    assert_eq!(issued.status, StatusCode::OK, "{}", issued.text);
    let issued = issued.json();
    assert_eq!(issued["token_type"], "Bearer");
    let access = issued["access_token"].as_str().unwrap();
    assert_eq!(claims(access)["cnf"], json!({ "x5t#S256": own.thumbprint() }));
    let asked = [("client_id", "pki"), ("token", access)];
    let shown = world.post(Some(&own), "/oauth/introspect", &asked).await.json();
    assert_eq!(
        (&shown["active"], &shown["cnf"]["x5t#S256"]),
        (&json!(true), &json!(own.thumbprint()))
    );

    // Whatever it shows instead, nobody is told why, and nothing is issued.
    let mut for_servers = params("shop", GOOD);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let table = [
        ("none", None),
        ("of another subject", Some(world.authority.sign(&params("till", GOOD)))),
        ("of another case", Some(world.authority.sign(&params("Shop", GOOD)))),
        ("of another authority", Some(Authority::new().sign(&params("shop", GOOD)))),
        ("signed by itself", Some(Shown::of_itself("shop", GOOD))),
        ("expired", Some(world.authority.sign(&params("shop", (2020, 2021))))),
        ("not valid yet", Some(world.authority.sign(&params("shop", (3000, 4000))))),
        ("for servers", Some(world.authority.sign(&for_servers))),
    ];
    for (what, shown) in &table {
        let refused = world.token(shown.as_ref(), "pki").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{what}");
        assert_eq!(
            refused.json(),
            json!({
                "error": "invalid_client", "error_description": "client authentication failed",
            }),
            "{what}"
        );
    }
    // Another client's certificate is good for that client only, and a second method is one too many.
    assert_eq!(world.token(Some(&own), "shop").await.json()["error"], "invalid_client");
    assert_eq!(world.token(Some(&own), "nobody").await.json()["error"], "invalid_client");
    let both = [("client_id", "pki"), ("client_secret", "x"), CREDENTIALS];
    let refused = world.post(Some(&own), "/oauth/token", &both).await;
    assert_eq!(refused.json()["error"], "invalid_client");
    let key = SigningKey::generate().unwrap();
    let now = lombard_types::Timestamp::from_system_time(std::time::SystemTime::now());
    let assertion = client_assertion(&key, "pki", ISSUER, "1", now).unwrap();
    let both = [
        ("client_assertion_type", CLIENT_ASSERTION_TYPE),
        ("client_assertion", &*assertion),
        CREDENTIALS,
    ];
    let refused = world.post(Some(&own), "/oauth/token", &both).await;
    assert_eq!(refused.json()["error"], "invalid_client");
    // On a connection with TLS of its own nobody believes a header.
    let forged = post("/oauth/token", &[("client_id", "pki"), CREDENTIALS], Some(&own));
    assert_eq!(world.send(None, forged).await.json()["error"], "invalid_client");
}

#[tokio::test]
async fn other_names_of_a_certificate() {
    let world = World::start().await;
    let mut named = params("anything", GOOD);
    named.subject_alt_names = vec![
        SanType::DnsName("shop.example".try_into().unwrap()),
        SanType::URI("spiffe://bank/shop".try_into().unwrap()),
        SanType::IpAddress([10, 0, 0, 7].into()),
        SanType::Rfc822Name("shop@bank.example".try_into().unwrap()),
    ];
    let named = world.authority.sign(&named);
    for (index, (kind, own, other)) in [
        ("dns", "shop.example", "till.example"),
        ("uri", "spiffe://bank/shop", "spiffe://bank/till"),
        ("ip", "10.0.0.7", "10.0.0.8"),
        ("email", "shop@bank.example", "till@bank.example"),
    ]
    .into_iter()
    .enumerate()
    {
        for (id, value, status) in [
            (format!("own-{index}"), own, StatusCode::OK),
            (format!("other-{index}"), other, StatusCode::UNAUTHORIZED),
        ] {
            let members = json!({ format!("tls_client_auth_san_{kind}"): value });
            assert_eq!(world.register(&id, members).await.status, StatusCode::CREATED);
            assert_eq!(world.token(Some(&named), &id).await.status, status, "{kind} {value}");
        }
    }
}

#[tokio::test]
async fn certificates_that_were_registered_themselves() {
    let world = World::start().await;
    let (own, next) = (Shown::of_itself("shop", GOOD), Shown::of_itself("shop", GOOD));
    let old = Shown::of_itself("shop", (2020, 2021));
    let encoded = [&own, &next, &old].map(|shown| STANDARD.encode(&shown.der));
    let made = world.register("self", json!({ "certificates": encoded })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    assert_eq!(made["token_endpoint_auth_method"], "self_signed_tls_client_auth");
    assert!(made["certificate_thumbprints"].as_array().unwrap().contains(&json!(own.thumbprint())));
    for shown in [&own, &next] {
        let issued = world.token(Some(shown), "self").await;
        assert_eq!(issued.status, StatusCode::OK, "{}", issued.text);
        let access = issued.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(claims(&access)["cnf"]["x5t#S256"], shown.thumbprint());
    }
    let others = [Shown::of_itself("shop", GOOD), old, world.authority.sign(&params("shop", GOOD))];
    for shown in others.iter().map(Some).chain([None]) {
        assert_eq!(world.token(shown, "self").await.json()["error"], "invalid_client");
    }
}

/// RFC 8705 section 3: a stolen token is worth nothing without the certificate, at the server itself and in an exchange.
#[tokio::test]
async fn a_persons_tokens_are_bound_to_the_certificate() {
    let world = World::start().await;
    let own = Shown::of_itself("bank", GOOD);
    let thief = Shown::of_itself("thief", GOOD);
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let members = json!({
        "certificates": [STANDARD.encode(&own.der)], "scope": "openid offline_access ledger:read",
        "redirect_uris": ["https://bank.example/cb"],
        "grant_types": ["authorization_code", "refresh_token", exchange],
    });
    assert_eq!(world.register("bank", members).await.status, StatusCode::CREATED);
    let members =
        json!({ "certificates": [STANDARD.encode(&thief.der)], "grant_types": [exchange] });
    assert_eq!(world.register("thief", members).await.status, StatusCode::CREATED);

    let request = Role::request(&[
        ("client_id", "bank"),
        ("redirect_uri", "https://bank.example/cb"),
        ("scope", "openid offline_access ledger:read"),
    ]);
    let request: Vec<_> = request.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(world.post(None, "/oauth/par", &request).await.json()["error"], "invalid_client");
    let pushed = world.post(Some(&own), "/oauth/par", &request).await.json();
    let uri = pushed["request_uri"].as_str().unwrap();
    let browser = Browser::default();
    let path = format!("/oauth/authorize?client_id=bank&request_uri={uri}");
    let answer = browser.get(&world.role, &path).await;
    let code = browser.go_on(&world.role, answer).await.sent("code").unwrap();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("client_id", "bank"),
        ("code", &*code),
        ("redirect_uri", "https://bank.example/cb"),
        ("code_verifier", VERIFIER),
    ];
    for shown in [None, Some(&thief)] {
        let refused = world.post(shown, "/oauth/token", &redeem).await;
        assert_eq!(refused.json()["error"], "invalid_client", "and the code is not spent");
    }
    let issued = world.post(Some(&own), "/oauth/token", &redeem).await;
    assert_eq!(issued.status, StatusCode::OK, "{}", issued.text);
    let issued = issued.json();
    let access = issued["access_token"].as_str().unwrap();
    let userinfo = || {
        Request::get("/oauth/userinfo")
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, format!("Bearer {access}"))
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(world.send(Some(&own), userinfo()).await.status, StatusCode::OK);
    for shown in [None, Some(&thief)] {
        let refused = world.send(shown, userinfo()).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.headers[header::WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    }
    let stolen = [
        ("grant_type", exchange),
        ("client_id", "thief"),
        ("subject_token", access),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let refused = world.post(Some(&thief), "/oauth/token", &stolen).await;
    assert_eq!(refused.json()["error"], "invalid_grant");
    let refresh = issued["refresh_token"].as_str().unwrap();
    let again =
        [("grant_type", "refresh_token"), ("client_id", "bank"), ("refresh_token", refresh)];
    let next = world.post(Some(&own), "/oauth/token", &again).await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.text);
    assert_eq!(
        world.post(Some(&thief), "/oauth/token", &again).await.json()["error"],
        "invalid_client"
    );
}

/// A client that authenticates otherwise may still want its tokens bound to its certificate (RFC 8705 section 3.4).
#[tokio::test]
async fn a_certificate_beside_another_method() {
    let world = World::start().await;
    let key = SigningKey::generate().unwrap();
    let members = json!({
        "jwk": key.public_jwk(), "tls_client_certificate_bound_access_tokens": true,
    });
    assert_eq!(world.register("both", members).await.status, StatusCode::CREATED);
    let shown = Shown::of_itself("whatever", GOOD);
    let send = async |shown: Option<&Shown>, jti: &str| {
        let now = lombard_types::Timestamp::from_system_time(std::time::SystemTime::now());
        let assertion = client_assertion(&key, "both", ISSUER, jti, now).unwrap();
        let parameters = [
            ("client_assertion_type", CLIENT_ASSERTION_TYPE),
            ("client_assertion", &*assertion),
            CREDENTIALS,
        ];
        world.post(shown, "/oauth/token", &parameters).await
    };
    assert_eq!(send(None, "1").await.json()["error"], "invalid_request");
    let issued = send(Some(&shown), "2").await;
    assert_eq!(issued.status, StatusCode::OK, "{}", issued.text);
    let access = issued.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&access)["cnf"]["x5t#S256"], shown.thumbprint());
}

/// Certificates and authorities are renewed without a restart; what cannot be used changes nothing.
#[tokio::test]
async fn files_that_are_replaced_are_used() {
    let mut world = World::start().await;
    let made = world.register("pki", json!({ "tls_client_auth_subject_dn": SUBJECT })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let old = world.authority.sign(&params("shop", GOOD));
    assert_eq!(world.token(Some(&old), "pki").await.status, StatusCode::OK);

    let renewed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let before = std::mem::replace(&mut world.server, renewed.cert.der().clone());
    world.replace("server.pem", &renewed.cert.pem());
    world.replace("server.key", &renewed.signing_key.serialize_pem());
    until(async || world.connect(None).await.is_ok()).await;
    assert_eq!(world.token(Some(&old), "pki").await.status, StatusCode::OK);
    let renewed = std::mem::replace(&mut world.server, before);
    assert!(world.connect(None).await.is_err(), "the old one is shown no more");
    world.server = renewed;

    // A broken certificate changes nothing; authorities that come after it do.
    world.replace("server.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    world.authority = Authority::new();
    let new = world.authority.sign(&params("shop", GOOD));
    assert_eq!(world.token(Some(&new), "pki").await.status, StatusCode::UNAUTHORIZED);
    world.replace("ca.pem", &world.authority.0.pem());
    until(async || world.token(Some(&new), "pki").await.status == StatusCode::OK).await;
    let refused = world.token(Some(&old), "pki").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "its authority counts no more");
    world.replace("ca.pem", "nothing");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    world.server = other.cert.der().clone();
    world.replace("server.key", &other.signing_key.serialize_pem());
    world.replace("server.pem", &other.cert.pem());
    until(async || world.connect(None).await.is_ok()).await;
    assert_eq!(world.token(Some(&new), "pki").await.status, StatusCode::OK);
}

/// Waits for a condition, for a bounded time.
async fn until(condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, wait).await.unwrap();
}

/// A client with a certificate signs its requests with a key that is registered for that (RFC 9101).
#[tokio::test]
async fn a_client_with_a_certificate_signs_its_requests() {
    let world = World::start().await;
    let pki = world.authority.sign(&params("shop", GOOD));
    let own = Shown::of_itself("self", GOOD);
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let uri = "https://bank.example/cb";
    let common = |more: Value| {
        let mut members = json!({ "redirect_uris": [uri], "scope": "openid ledger:read" });
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        members
    };
    let subject = json!({ "tls_client_auth_subject_dn": SUBJECT });
    let itself = json!({ "certificates": [STANDARD.encode(&own.der)] });
    for (id, certificate, shown) in [("pki", subject, &pki), ("self", itself, &own)] {
        let mut members = common(certificate.clone());
        members["require_signed_request_object"] = json!(true);
        let refused = world.register(id, members.clone()).await;
        assert_eq!(refused.json()["member"], "require_signed_request_object", "{}", refused.text);
        members["jwk"] = serde_json::to_value(key.public_jwk()).unwrap();
        let made = world.register(id, members).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        assert_eq!(made.json()["jwk"]["kid"], key.public_jwk().kid());

        let now = lombard_types::Timestamp::from_system_time(std::time::SystemTime::now());
        let said = json!({
            "iss": id, "client_id": id, "aud": ISSUER, "nbf": now.unix_seconds(), "exp": now.unix_seconds() + 60,
            "redirect_uri": uri, "response_type": "code", "scope": "openid ledger:read",
            "code_challenge": crate::support::sha256(VERIFIER), "code_challenge_method": "S256",
        });
        let sign = |key: &SigningKey| key.sign("oauth-authz-req+jwt", said.to_string().as_bytes());
        let push = async |object: &str| {
            world.post(Some(shown), "/oauth/par", &[("client_id", id), ("request", object)]).await
        };
        let pushed = push(&sign(&key).unwrap()).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text);
        assert_eq!(push(&sign(&other).unwrap()).await.json()["error"], "invalid_request_object");
        let plain = Role::request(&[("client_id", id), ("redirect_uri", uri), ("scope", "openid")]);
        let plain: Vec<_> = plain.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let refused = world.post(Some(shown), "/oauth/par", &plain).await;
        assert_eq!(refused.json()["error"], "invalid_request");
        // The key is for requests, and authenticates nobody.
        let assertion = client_assertion(&key, id, ISSUER, "1", now).unwrap();
        let asserted = [
            ("client_assertion_type", CLIENT_ASSERTION_TYPE),
            ("client_assertion", &*assertion),
            CREDENTIALS,
        ];
        let refused = world.post(Some(shown), "/oauth/token", &asserted).await;
        assert_eq!(refused.json()["error"], "invalid_client");
        // Without a key nothing that is signed can be checked.
        let keyless = format!("{id}-keyless");
        let made = world.register(&keyless, common(certificate)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let object = sign(&key).unwrap();
        let asked = [("client_id", &*keyless), ("request", &*object)];
        let refused = world.post(Some(shown), "/oauth/par", &asked).await;
        assert_eq!(refused.json()["error"], "invalid_request_object");
    }
}

/// RFC 9440, and RFC 8705 section 6.5: whoever is no proxy that is believed cannot say whose certificate was shown.
#[tokio::test]
async fn a_proxy_is_believed_from_its_address_only() {
    let world = World::start().await;
    let own = world.authority.sign(&params("shop", GOOD));
    let made = world.register("pki", json!({ "tls_client_auth_subject_dn": SUBJECT })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    for (believed, status) in [
        (vec!["127.0.0.0/8"], StatusCode::OK),
        (vec!["10.0.0.0/8", "::1/128"], StatusCode::UNAUTHORIZED),
        (vec![], StatusCode::UNAUTHORIZED),
    ] {
        let networks = believed.iter().map(|text| text.parse().unwrap()).collect();
        let limits =
            ServerLimits { client_certificate_headers_from: networks, ..ServerLimits::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap().into_std().unwrap();
        let address = listener.local_addr().unwrap();
        let drain = CancellationToken::new();
        let (router, metrics) = (world.role.router.clone(), Metrics::default());
        tokio::spawn(serve(listener, Server { router, limits, metrics }, drain.clone()));
        let stream = TcpStream::connect(address).await.unwrap();
        let request = post("/oauth/token", &[("client_id", "pki"), CREDENTIALS], Some(&own));
        assert_eq!(ask(stream, request).await.status, status, "{believed:?}");
        drain.cancel();
    }
}

#[tokio::test]
async fn what_is_offered_is_what_is_configured() {
    let world = World::start().await;
    let metadata = world.role.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["mtls_endpoint_aliases"]["token_endpoint"], format!("{URL}/oauth/token"));
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
    for method in ["tls_client_auth", "self_signed_tls_client_auth"] {
        assert!(methods.contains(&json!(method)), "{methods:?}");
    }
    let subject = json!("CN=shop");
    for members in [
        json!({ "tls_client_auth_subject_dn": "shop" }),
        json!({ "tls_client_auth_subject_dn": subject, "tls_client_auth_san_ip": "10.0.0.7" }),
        json!({ "tls_client_auth_subject_dn": subject, "certificates": ["AAAA"] }),
        json!({ "token_endpoint_auth_method": "tls_client_auth" }),
        json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth" }),
        json!({ "token_endpoint_auth_method": "private_key_jwt", "tls_client_auth_subject_dn": subject }),
        json!({ "certificates": ["AAAA"] }),
        json!({ "certificates": ["_"] }),
        json!({ "certificates": vec!["AAAA"; 9] }),
        json!({
            "token_endpoint_auth_method": "none", "tls_client_certificate_bound_access_tokens": true,
            "redirect_uris": ["https://shop.example/cb"],
        }),
    ] {
        let refused = world.register("x", members.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{members}: {}", refused.text);
    }
    // Where nothing is configured nothing is offered, and nobody is registered for it.
    let role = Role::start().await;
    let metadata = role.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["mtls_endpoint_aliases"], Value::Null);
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(!methods.contains(&json!("self_signed_tls_client_auth")), "{methods:?}");
    let der = STANDARD.encode(&Shown::of_itself("shop", GOOD).der);
    for members in
        [json!({ "certificates": [der] }), json!({ "tls_client_auth_subject_dn": subject })]
    {
        let mut client = json!({ "client_id": "x", "name": "x", "scope": "ledger:read" });
        client.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let refused = role.admin("POST", "/v1/auth/clients", client).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    }
}
