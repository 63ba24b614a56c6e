//! Registering, listing and removing clients.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::{
    AccessTokenFormat, Authentication, CertificateSubject, Client, ClientName, ClientOptions,
    Command, GrantType, Profile, RedirectUri, Reply, Target,
    clients::{self, Reply as ClientReply},
};
use lombard_chassis::{Authenticated, Json, Path, Problem, Query, problems};
use lombard_token::{Algorithm, DetailType, PublicJwk, ScopeSet};
use lombard_types::{ClientId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    answer::{created, private, with_position},
    client_authentication::{Keys, Offered, Said},
    idempotency::{derived_id, idempotency_key},
    page::Page,
};
use crate::{problem, secret, service::Api, submit::submit};

/// What a registration says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewClient {
    /// Chosen by the registrant, or made here.
    pub(super) client_id: Option<String>,
    pub(super) name: String,
    /// What it may ask for, separated by spaces.
    pub(super) scope: String,
    /// Types of authorization details that it may ask for.
    #[serde(default)]
    pub(super) authorization_details_types: Vec<String>,
    /// `fapi-2.0` or `oauth-2.1`. Without it: `fapi-2.0`, and of a public client `oauth-2.1`.
    pub(super) profile: Option<String>,
    /// Its public key; without one, and without a certificate, it gets a secret. Beside a certificate: of its signed requests.
    pub(super) jwk: Option<serde_json::Value>,
    /// `none` for a public client; otherwise it follows from what else is said.
    pub(super) token_endpoint_auth_method: Option<String>,
    /// What its certificate says whose it is: one of these (RFC 8705 section 2.1.2).
    pub(super) tls_client_auth_subject_dn: Option<String>,
    pub(super) tls_client_auth_san_dns: Option<String>,
    pub(super) tls_client_auth_san_uri: Option<String>,
    pub(super) tls_client_auth_san_ip: Option<String>,
    pub(super) tls_client_auth_san_email: Option<String>,
    /// The certificates themselves, which it has signed itself (RFC 8705 section 2.2), in DER and base64.
    #[serde(default)]
    pub(super) certificates: Vec<String>,
    /// Whether its tokens are bound to the certificate that it shows, however it authenticates.
    #[serde(default)]
    pub(super) tls_client_certificate_bound_access_tokens: bool,
    /// Whether its authorization requests must be signed (RFC 9101 section 10.5): its key is its `jwk`.
    #[serde(default)]
    pub(super) require_signed_request_object: bool,
    /// `jwt`, or `opaque`. Without it: `jwt`.
    pub(super) access_token_format: Option<String>,
    /// What its access tokens are signed with, where their resource does not say. Without it: ES256.
    pub(super) access_token_signing_alg: Option<String>,
    /// What its ID tokens are signed with. Without it: ES256.
    pub(super) id_token_signed_response_alg: Option<String>,
    /// How it may ask for tokens. Without it: `client_credentials`, or where there are redirect URIs
    /// `authorization_code`, and `refresh_token` if `offline_access` is in its scope.
    pub(super) grant_types: Option<Vec<String>>,
    #[serde(default)]
    pub(super) redirect_uris: Vec<String>,
    #[serde(default)]
    pub(super) post_logout_redirect_uris: Vec<String>,
    /// Where it is told that a person has left (OpenID Connect Back-Channel Logout 1.0).
    pub(super) backchannel_logout_uri: Option<String>,
}

/// A client as it is shown.
#[derive(Serialize)]
pub(super) struct ShownClient<'a> {
    client_id: &'a str,
    /// Shown once, in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    name: &'a str,
    scope: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_details_types: Vec<&'a str>,
    profile: &'static str,
    token_endpoint_auth_method: &'static str,
    /// Whether its requests must be pushed (RFC 9126 section 6).
    require_pushed_authorization_requests: bool,
    /// Whether its tokens must be bound to a key (RFC 9449 section 5.2).
    dpop_bound_access_tokens: bool,
    /// Whether they are bound to its certificate (RFC 8705 section 3.4).
    tls_client_certificate_bound_access_tokens: bool,
    require_signed_request_object: bool,
    access_token_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_signing_alg: Option<&'static str>,
    id_token_signed_response_alg: &'static str,
    grant_types: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    redirect_uris: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    post_logout_redirect_uris: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backchannel_logout_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a PublicJwk>,
    /// The member of `tls_client_auth`.
    #[serde(flatten)]
    certificate_subject: BTreeMap<&'static str, String>,
    /// SHA-256 of each, in base64url, as tokens that are bound to it have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificate_thumbprints: Vec<String>,
    registered_at: String,
    registered_by: &'a str,
}

impl<'a> ShownClient<'a> {
    pub(super) fn new(client: &'a Client, client_secret: Option<&'a str>) -> Self {
        let jwk = client.request_object_key();
        let certificate_subject = match &client.authentication {
            Authentication::Certificate(subject) => [(subject.member(), subject.value())].into(),
            _ => BTreeMap::new(),
        };
        let certificate_thumbprints = match &client.authentication {
            Authentication::SelfSignedCertificate { sha256s } => {
                sha256s.iter().map(|sha256| URL_SAFE_NO_PAD.encode(sha256)).collect()
            }
            _ => Vec::new(),
        };
        Self {
            client_id: client.id.as_str(),
            client_secret,
            name: client.name.as_str(),
            scope: client.scope.to_string(),
            authorization_details_types: client
                .authorization_details_types
                .iter()
                .map(DetailType::as_str)
                .collect(),
            profile: client.profile.name(),
            token_endpoint_auth_method: client.authentication.method(),
            require_pushed_authorization_requests: client.profile.requires_pushed_requests(),
            dpop_bound_access_tokens: client.profile.requires_bound_tokens()
                && !client.binds_to_certificates(),
            tls_client_certificate_bound_access_tokens: client.binds_to_certificates(),
            require_signed_request_object: client.options.signed_requests_only,
            access_token_format: client.options.access_token_format.name(),
            access_token_signing_alg: client.options.access_token_algorithm.map(Algorithm::name),
            id_token_signed_response_alg: client.options.id_token_algorithm.name(),
            grant_types: client.grant_types.iter().map(|grant_type| grant_type.name()).collect(),
            redirect_uris: client.redirect_uris.iter().map(RedirectUri::as_str).collect(),
            backchannel_logout_uri: client.backchannel_logout_uri.as_ref().map(RedirectUri::as_str),
            post_logout_redirect_uris: client
                .post_logout_redirect_uris
                .iter()
                .map(RedirectUri::as_str)
                .collect(),
            jwk,
            certificate_subject,
            certificate_thumbprints,
            registered_at: client.registered_at.to_string(),
            registered_by: &client.registered_by,
        }
    }
}

/// `POST /v1/auth/clients`. With an `Idempotency-Key` a retry registers the same client; if it has a secret it gets a
/// new one, since the first was lost with its answer.
pub(super) async fn register(
    State(api): State<Api>,
    caller: Authenticated,
    headers: HeaderMap,
    Json(body): Json<NewClient>,
) -> Result<Response, Problem> {
    let registrant = caller.require("auth", "write", None)?.client_id.clone();
    let (client, secret) = body.read(&api, &registrant, idempotency_key(&headers)?)?;
    let scope = &client.scope;
    if !caller.0.scope.covers(scope) && !caller.0.scope.permits("auth", "write", None) {
        return Err(lombard_chassis::authenticate::insufficient_scope(&scope.to_string()));
    }
    api.keyring.prepare(&api, client.options.algorithms()).await?;
    let command = clients::Command::Register {
        client: Box::new(client),
        clients_max: api.config.clients_max,
    };
    let committed = submit(&api, Command::Client(command, api.config.lives())).await?;
    let (status, client) = match &committed.reply {
        Reply::Client(ClientReply::Registered(client)) => (StatusCode::CREATED, client),
        Reply::Client(ClientReply::AlreadyRegistered(client)) => (StatusCode::OK, client),
        _ => return Err(Problem::new(&problems::INTERNAL)),
    };
    tracing::info!(client_id = %client.id, by = &*registrant, "registered a client");
    let shown = ShownClient::new(client, secret.as_ref().map(|secret| secret.as_str()));
    let location = format!("/v1/auth/clients/{}", client.id);
    Ok(with_position(created(status, &location, Json(shown)), committed.position))
}

impl NewClient {
    /// The client, and its secret where it has one.
    pub(super) fn read(
        self,
        api: &Api,
        registrant: &str,
        key: Option<&str>,
    ) -> Result<(Client, Option<Zeroizing<String>>), Problem> {
        let config = &api.config;
        let id: ClientId = match self.client_id {
            Some(id) => id.parse().map_err(|error| invalid("client_id", &error))?,
            None => fresh_id(registrant, key),
        };
        let name = ClientName::new(&self.name).map_err(|error| invalid("name", &error))?;
        let scope: ScopeSet = self.scope.parse().map_err(|error| invalid("scope", &error))?;
        if scope.is_empty() {
            return Err(invalid("scope", &"a client that may ask for nothing is of no use"));
        }
        let supported = |name: &str| {
            let is_supported = config.details_types().any(|known| known == name);
            name.parse().ok().filter(|_| is_supported)
        };
        let unsupported = || invalid("authorization_details_types", &"one is not supported here");
        let authorization_details_types = self
            .authorization_details_types
            .iter()
            .map(|name| supported(name).ok_or_else(unsupported))
            .collect::<Result<_, _>>()?;
        let redirect_uris =
            uris(&self.redirect_uris).map_err(|error| invalid("redirect_uris", &error))?;
        let post_logout_redirect_uris = uris(&self.post_logout_redirect_uris)
            .map_err(|error| invalid("post_logout_redirect_uris", &error))?;
        let backchannel_logout_uri = self
            .backchannel_logout_uri
            .map(|uri| logout_uri(api, &uri))
            .transpose()
            .map_err(|cause| invalid("backchannel_logout_uri", &cause))?;
        let [subject_dn, dns, uri, ip, email] = CertificateSubject::MEMBERS;
        let subjects = [
            (subject_dn, self.tls_client_auth_subject_dn),
            (dns, self.tls_client_auth_san_dns),
            (uri, self.tls_client_auth_san_uri),
            (ip, self.tls_client_auth_san_ip),
            (email, self.tls_client_auth_san_email),
        ];
        let said = Said {
            method: self.token_endpoint_auth_method,
            jwk: self.jwk,
            subjects: subjects.into_iter().filter_map(|(name, it)| Some((name, it?))).collect(),
            certificates: self.certificates,
        };
        let offered = Offered {
            certificates: config.mtls.url.is_some(),
            authorities: api.client_certificates.has_authorities(),
        };
        let Keys { authentication, secret, request_object_key } = said.read(offered)?;
        let certificate_bound_tokens = self.tls_client_certificate_bound_access_tokens;
        if certificate_bound_tokens
            && (!offered.certificates || authentication == Authentication::Nothing)
        {
            let cause =
                "certificates are not configured here ([auth.mtls]), or the client is public";
            return Err(invalid("tls_client_certificate_bound_access_tokens", &cause));
        }
        let signed_requests_only = self.require_signed_request_object;
        let has_key =
            request_object_key.is_some() || matches!(authentication, Authentication::Key(_));
        if signed_requests_only && !has_key {
            let cause = "it takes a key that verifies the requests: jwk, with private_key_jwt or a certificate";
            return Err(invalid("require_signed_request_object", &cause));
        }
        let access_token_format = match self.access_token_format.as_deref() {
            Some(name) => AccessTokenFormat::from_name(name)
                .ok_or_else(|| invalid("access_token_format", &"one of jwt and opaque"))?,
            None => AccessTokenFormat::default(),
        };
        let access_token_algorithm =
            algorithm("access_token_signing_alg", self.access_token_signing_alg.as_deref())?;
        if access_token_algorithm.is_some() && access_token_format == AccessTokenFormat::Opaque {
            return Err(invalid("access_token_signing_alg", &"opaque tokens are not signed"));
        }
        let id_token_algorithm = algorithm(
            "id_token_signed_response_alg",
            self.id_token_signed_response_alg.as_deref(),
        )?;
        let profile = match (self.profile.as_deref(), &authentication) {
            (Some(name), _) => Profile::from_name(name)
                .ok_or_else(|| invalid("profile", &"one of fapi-2.0 and oauth-2.1"))?,
            (None, Authentication::Nothing) => Profile::OAuth21,
            (None, _) => Profile::Fapi2,
        };
        let grant_types = grant_types(self.grant_types, &scope, !redirect_uris.is_empty())
            .map_err(|cause| invalid("grant_types", &cause))?;
        let client = Client {
            id,
            name,
            scope,
            authorization_details_types,
            profile,
            authentication,
            grant_types,
            redirect_uris,
            post_logout_redirect_uris,
            backchannel_logout_uri,
            options: ClientOptions {
                certificate_bound_tokens,
                signed_requests_only,
                request_object_key,
                access_token_format,
                access_token_algorithm,
                id_token_algorithm: id_token_algorithm.unwrap_or_default(),
                registration_sha256: None,
            },
            registered_at: Timestamp::EPOCH,
            registered_by: registrant.into(),
        };
        let own = [GrantType::ClientCredentials, GrantType::TokenExchange];
        if !client.is_confidential() && own.into_iter().any(|it| client.may_use(it)) {
            let cause = "a public client has no credentials";
            return Err(invalid("grant_types", &cause));
        }
        client.check_profile().map_err(|error| invalid("profile", &error))?;
        Ok((client, secret))
    }
}

/// A registration that is not in order, and the member that is to blame.
pub(super) fn invalid(member: &str, cause: &dyn std::fmt::Display) -> Problem {
    Problem::new(&problem::INVALID_CLIENT)
        .detail(format!("{member}: {cause}"))
        .with("member", member)
}

fn algorithm(member: &str, name: Option<&str>) -> Result<Option<Algorithm>, Problem> {
    let unknown = || invalid(member, &"one of ES256, EdDSA and PS256");
    name.map(|name| Algorithm::from_name(name).ok_or_else(unknown)).transpose()
}

/// Most redirect URIs of one kind.
const REDIRECT_URIS_MAX: usize = 20;

/// A server that can be reached from here. On loopback addresses, where the platform's own services may be, only where the
/// platform is on one itself.
fn logout_uri(api: &Api, text: &str) -> Result<RedirectUri, String> {
    let uri: RedirectUri = text.parse().map_err(|error| format!("{error}"))?;
    if uri.as_str().starts_with("https://") {
        let has_authorities = api.config.backchannel_ca_file.is_some();
        let cause = "https takes authorities that vouch for it: backchannel_ca_file";
        return if has_authorities { Ok(uri) } else { Err(cause.to_owned()) };
    }
    if uri.is_http() && api.issuer.starts_with("http://") {
        return Ok(uri);
    }
    Err("not https, nor http on a loopback address where the platform is on one too".to_owned())
}

fn uris(texts: &[String]) -> Result<Vec<RedirectUri>, String> {
    if texts.len() > REDIRECT_URIS_MAX {
        return Err(format!("at most {REDIRECT_URIS_MAX}"));
    }
    texts.iter().map(|text| text.parse().map_err(|error| format!("{text}: {error}"))).collect()
}

fn grant_types(
    named: Option<Vec<String>>,
    scope: &ScopeSet,
    has_redirect_uris: bool,
) -> Result<BTreeSet<GrantType>, &'static str> {
    let grant_types: BTreeSet<GrantType> = match named {
        Some(names) => names
            .iter()
            .map(|name| GrantType::from_name(name).ok_or("one is not supported here"))
            .collect::<Result<_, _>>()?,
        None if !has_redirect_uris => [GrantType::ClientCredentials].into(),
        None if scope.contains("offline_access") => {
            [GrantType::AuthorizationCode, GrantType::RefreshToken].into()
        }
        None => [GrantType::AuthorizationCode].into(),
    };
    if grant_types.is_empty() {
        return Err("a client that may ask in no way is of no use");
    }
    if grant_types.contains(&GrantType::AuthorizationCode) != has_redirect_uris {
        return Err("authorization_code takes redirect_uris, and they are for nothing else");
    }
    let asks_persons = has_redirect_uris || grant_types.contains(&GrantType::DeviceCode);
    if grant_types.contains(&GrantType::RefreshToken)
        && !(asks_persons && scope.contains("offline_access"))
    {
        return Err(
            "refresh_token takes authorization_code or device_code, and offline_access in the scope",
        );
    }
    Ok(grant_types)
}

pub(super) fn new_secret() -> Result<(Authentication, Zeroizing<String>), Problem> {
    let secret = secret::generate("").map_err(|_| {
        tracing::error!("the system gave no randomness");
        Problem::new(&problems::INTERNAL)
    })?;
    Ok((Authentication::Secret { sha256: secret::sha256(secret.as_bytes()) }, secret))
}

/// A random id, or with an idempotency key always the same for the same registrant.
#[expect(clippy::expect_used, reason = "a UUID's text always fits the grammar of client ids")]
fn fresh_id(registrant: &str, key: Option<&str>) -> ClientId {
    let id = match key {
        None => Uuid::new_v4(),
        Some(key) => derived_id(["client", registrant, key]),
    };
    id.hyphenated().to_string().parse().expect("a UUID is a client id")
}

/// `GET /v1/auth/clients`: all clients by id, in pages.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Authenticated,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    caller.require("auth", "read", None)?;
    let page = page.read::<ClientId>(&api.config)?;
    let clients = api.view.read(|view| page.cut(view.state.clients.after(page.after.as_ref())));
    Ok(clients.answer(|client| client.id.to_string(), |client| ShownClient::new(client, None)))
}

/// `GET /v1/auth/clients/{id}`.
pub(super) async fn get(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "read", None)?;
    let client = api.view.read(|view| view.state.clients.get(&id).cloned());
    let client = client.ok_or_else(|| Problem::new(&problem::CLIENT_NOT_FOUND))?;
    Ok(private(Json(ShownClient::new(&client, None))))
}

/// `DELETE /v1/auth/clients/{id}`: it gets no tokens from now on, and those that it holds are revoked.
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let id = known_id(&id)?;
    let command = clients::Command::Remove { id: id.clone() };
    let committed = submit(&api, Command::Client(command, api.config.lives())).await?;
    tracing::info!(client_id = %id, by = &*caller.0.client_id, "removed a client");
    Ok(with_position(StatusCode::NO_CONTENT.into_response(), committed.position))
}

/// `POST /v1/auth/clients/{id}/secret`: a new secret; the old one is worth nothing from now on.
pub(super) async fn rotate_secret(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let id = known_id(&id)?;
    let secret = secret::generate("").map_err(|_| Problem::new(&problems::INTERNAL))?;
    let sha256 = secret::sha256(secret.as_bytes());
    let command = clients::Command::RotateSecret { id: id.clone(), sha256 };
    let committed = submit(&api, Command::Client(command, api.config.lives())).await?;
    tracing::info!(client_id = %id, by = &*caller.0.client_id, "rotated a client's secret");
    let body = serde_json::json!({ "client_id": id.as_str(), "client_secret": secret.as_str() });
    Ok(with_position(private(Json(body)), committed.position))
}

/// `POST /v1/auth/clients/{id}/revoke`: the tokens that it holds are good no more; it may ask for new ones.
pub(super) async fn revoke_tokens(
    State(api): State<Api>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require("auth", "write", None)?;
    let client = api.view.read(|view| view.state.clients.get(&id).cloned());
    let client = client.ok_or_else(|| Problem::new(&problem::CLIENT_NOT_FOUND))?;
    let life = api.config.access_token_life() + api.config.revocation_margin();
    let command = Command::Revoke {
        target: Target::Client(client.id.as_str().into()),
        until: Timestamp::from_system_time(SystemTime::now()).plus(life),
        revocations_max: api.config.revocations_max,
    };
    let committed = submit(&api, command).await?;
    tracing::info!(client_id = %client.id, by = &*caller.0.client_id, "revoked a client's tokens");
    Ok(with_position(StatusCode::NO_CONTENT.into_response(), committed.position))
}

/// An id that no client can have is not found, like one that no client has.
fn known_id(id: &str) -> Result<ClientId, Problem> {
    id.parse().map_err(|_| Problem::new(&problem::CLIENT_NOT_FOUND))
}
