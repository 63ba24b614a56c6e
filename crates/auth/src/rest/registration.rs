//! Clients that register themselves (RFC 7591), and look at, change or remove themselves (RFC 7592): with an initial access token, that is
//! one with `auth:register`, and within the scope that the configuration says.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{
    Client, Command, GrantType, Reply,
    clients::{self, Reply as ClientReply},
};
use lombard_chassis::{
    Authenticated, Json, Path, Problem,
    authenticate::{bearer_token, unauthenticated},
};
use lombard_token::ScopeSet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::private,
    clients::{NewClient, ShownClient, invalid},
};
use crate::{audit::Facts, problem, secret, service::Api, submit::submit};

/// Client metadata (RFC 7591 section 2). What is not known is passed over.
#[derive(Deserialize)]
pub(super) struct Metadata {
    #[serde(flatten)]
    own: Own,
    client_name: Option<String>,
    scope: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<Value>,
    response_types: Option<Vec<String>>,
    #[serde(flatten)]
    rest: Rest,
}

/// What the server says of a registration. A client that changes its own says its id, which must be right, and nothing else of
/// it (RFC 7592 section 2.2).
#[derive(Deserialize)]
struct Own {
    client_id: Option<Value>,
    client_secret: Option<Value>,
    client_secret_expires_at: Option<Value>,
    client_id_issued_at: Option<Value>,
    registration_access_token: Option<Value>,
    registration_client_uri: Option<Value>,
}

/// What is called the same by administrators.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Rest {
    token_endpoint_auth_method: Option<String>,
    tls_client_auth_subject_dn: Option<String>,
    tls_client_auth_san_dns: Option<String>,
    tls_client_auth_san_uri: Option<String>,
    tls_client_auth_san_ip: Option<String>,
    tls_client_auth_san_email: Option<String>,
    tls_client_certificate_bound_access_tokens: bool,
    require_signed_request_object: bool,
    access_token_format: Option<String>,
    access_token_signing_alg: Option<String>,
    id_token_signed_response_alg: Option<String>,
    authorization_details_types: Vec<String>,
    grant_types: Option<Vec<String>>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    backchannel_logout_uri: Option<String>,
}

/// `POST /oauth/register`.
pub(super) async fn register(
    State(api): State<Api>,
    caller: Authenticated,
    Json(metadata): Json<Metadata>,
) -> Result<Response, Problem> {
    let registrant = caller.require("auth", "register", None)?.client_id.clone();
    let widest: ScopeSet = api.config.registration_scope.parse().unwrap_or_default();
    if widest.is_empty() {
        return Err(invalid("scope", &"no client may register itself (registration_scope)"));
    }
    let registered = match metadata.read(&api, &registrant, &widest) {
        Ok(client) => add(&api, client).await?,
        Err(problem) => return Ok(refused(&problem)),
    };
    let (client, token) = registered;
    tracing::info!(client_id = %client.id, by = &*registrant, "a client registered itself");
    let mut shown = shown(&api, &client);
    if let Value::Object(members) = &mut shown {
        members.insert("registration_access_token".to_owned(), token.as_str().into());
    }
    let facts =
        Facts { client: registrant.into(), detail: client.id.to_string(), ..Facts::default() };
    Ok(facts.with((StatusCode::CREATED, private(Json(shown))).into_response()))
}

/// Registers it, with the secret by which it looks after itself.
async fn add(
    api: &Api,
    mut client: Client,
) -> Result<(std::sync::Arc<Client>, zeroize::Zeroizing<String>), Problem> {
    let internal = || Problem::new(&lombard_chassis::problems::INTERNAL);
    let token = secret::generate("rt_").map_err(|_| internal())?;
    client.options.registration_sha256 = Some(Box::new(secret::sha256(token.as_bytes())));
    api.keyring.prepare(api, client.options.algorithms()).await?;
    let command = clients::Command::Register {
        client: Box::new(client),
        clients_max: api.config.clients_max,
    };
    let committed = submit(api, Command::Client(command, api.config.lives())).await?;
    match committed.reply {
        Reply::Client(ClientReply::Registered(client)) => Ok((client, token)),
        _ => Err(internal()),
    }
}

/// `GET /oauth/register/{id}` (RFC 7592 section 2.1).
pub(super) async fn get(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let client = own(&api, &headers, &id)?;
    Ok(private(Json(shown(&api, &client))))
}

/// `PUT /oauth/register/{id}` (RFC 7592 section 2.2): what is said takes the place of all that was said before.
pub(super) async fn replace(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(metadata): Json<Metadata>,
) -> Result<Response, Problem> {
    let existing = own(&api, &headers, &id)?;
    let client = match metadata.changed(&api, &existing) {
        Ok(client) => client,
        Err(problem) => return Ok(refused(&problem)),
    };
    api.keyring.prepare(&api, client.options.algorithms()).await?;
    let command = clients::Command::Replace { client: Box::new(client) };
    let committed = submit(&api, Command::Client(command, api.config.lives())).await?;
    let Reply::Client(ClientReply::Replaced(client)) = committed.reply else {
        return Err(Problem::new(&lombard_chassis::problems::INTERNAL));
    };
    tracing::info!(client_id = %client.id, "a client changed its registration");
    let facts = Facts { client: client.id.to_string(), ..Facts::default() };
    Ok(facts.with(private(Json(shown(&api, &client)))))
}

/// `DELETE /oauth/register/{id}` (RFC 7592 section 2.3): what it got is revoked.
pub(super) async fn remove(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let client = own(&api, &headers, &id)?;
    let command = clients::Command::Remove { id: client.id.clone() };
    submit(&api, Command::Client(command, api.config.lives())).await?;
    tracing::info!(client_id = %client.id, "a client removed itself");
    let facts = Facts { client: client.id.to_string(), ..Facts::default() };
    Ok(facts.with(private(StatusCode::NO_CONTENT)))
}

/// The client whose registration access token it is. Clients that are not there are told apart from others in no way (section 2).
fn own(api: &Api, headers: &HeaderMap, id: &str) -> Result<std::sync::Arc<Client>, Problem> {
    let token = bearer_token(headers)?;
    let client = api.view.read(|view| view.state.clients.get(id).cloned());
    let kept =
        client.as_ref().and_then(|client| client.options.registration_sha256.as_deref().copied());
    // The digest is computed whether or not the client exists.
    let fits = secret::fits(token.as_bytes(), &kept.unwrap_or_default()) && kept.is_some();
    let refused = || unauthenticated("the registration access token is not the client's", true);
    client.filter(|_| fits).ok_or_else(refused)
}

impl Metadata {
    /// The client as it shall be.
    fn changed(self, api: &Api, existing: &Client) -> Result<Client, Problem> {
        if self.own.client_id.as_ref().and_then(Value::as_str) != Some(existing.id.as_str()) {
            return Err(invalid("client_id", &"say the one that it has"));
        }
        let Own {
            client_id: _,
            client_secret,
            client_secret_expires_at,
            client_id_issued_at,
            registration_access_token,
            registration_client_uri,
        } = &self.own;
        let servers = [
            ("client_secret", client_secret),
            ("client_secret_expires_at", client_secret_expires_at),
            ("client_id_issued_at", client_id_issued_at),
            ("registration_access_token", registration_access_token),
            ("registration_client_uri", registration_client_uri),
        ];
        if let Some((name, _)) = servers.into_iter().find(|(_, value)| value.is_some()) {
            return Err(invalid(name, &"that is the server's to say: leave it out"));
        }
        let widest: ScopeSet = api.config.registration_scope.parse().unwrap_or_default();
        let client = self.read(api, &existing.registered_by, &widest)?;
        Ok(Client { id: existing.id.clone(), ..client })
    }

    fn read(self, api: &Api, registrant: &str, widest: &ScopeSet) -> Result<Client, Problem> {
        if self.jwks_uri.is_some() {
            return Err(invalid("jwks_uri", &"send the key itself, as jwks"));
        }
        let types = self.response_types.unwrap_or_default();
        if types.iter().any(|name| name != "code") {
            return Err(invalid("response_types", &"code, or none"));
        }
        let rest = self.rest;
        let is_self_signed =
            rest.token_endpoint_auth_method.as_deref() == Some("self_signed_tls_client_auth");
        let (jwk, certificates) = keys(self.jwks, is_self_signed)?;
        let scope = self.scope.unwrap_or_else(|| widest.to_string());
        let client = NewClient {
            client_id: None,
            name: self.client_name.unwrap_or_else(|| "a client without a name".to_owned()),
            scope,
            authorization_details_types: rest.authorization_details_types,
            profile: None,
            jwk,
            token_endpoint_auth_method: rest.token_endpoint_auth_method,
            tls_client_auth_subject_dn: rest.tls_client_auth_subject_dn,
            tls_client_auth_san_dns: rest.tls_client_auth_san_dns,
            tls_client_auth_san_uri: rest.tls_client_auth_san_uri,
            tls_client_auth_san_ip: rest.tls_client_auth_san_ip,
            tls_client_auth_san_email: rest.tls_client_auth_san_email,
            certificates,
            tls_client_certificate_bound_access_tokens: rest
                .tls_client_certificate_bound_access_tokens,
            require_signed_request_object: rest.require_signed_request_object,
            access_token_format: rest.access_token_format,
            access_token_signing_alg: rest.access_token_signing_alg,
            id_token_signed_response_alg: rest.id_token_signed_response_alg,
            grant_types: rest.grant_types,
            redirect_uris: rest.redirect_uris,
            post_logout_redirect_uris: rest.post_logout_redirect_uris,
            backchannel_logout_uri: rest.backchannel_logout_uri,
        };
        let (client, _) = client.read(api, registrant, None)?;
        if !widest.covers(&client.scope) {
            return Err(invalid("scope", &"wider than a client may have that registers itself"));
        }
        Ok(client)
    }
}

/// The one key of a set, and the certificates of `self_signed_tls_client_auth` (RFC 8705 section 2.2).
fn keys(
    jwks: Option<Value>,
    is_self_signed: bool,
) -> Result<(Option<Value>, Vec<String>), Problem> {
    let Some(jwks) = jwks else { return Ok((None, Vec::new())) };
    let keys = jwks.get("keys").and_then(Value::as_array).map(Vec::as_slice);
    match (keys, is_self_signed) {
        (Some([key]), false) => Ok((Some(key.clone()), Vec::new())),
        (Some(keys), true) => {
            let leaf = |key: &Value| Some(key.get("x5c")?.get(0)?.as_str()?.to_owned());
            let (certified, plain): (Vec<_>, Vec<_>) =
                keys.iter().partition(|key| key.get("x5c").is_some());
            let leaves = certified.into_iter().map(leaf).collect::<Option<_>>();
            let leaves = leaves.ok_or_else(|| invalid("jwks", &"an x5c has no certificate"))?;
            match plain.as_slice() {
                [] => Ok((None, leaves)),
                [key] => Ok((Some((*key).clone()), leaves)),
                _ => Err(invalid("jwks", &"one key of signed requests, beside those with x5c")),
            }
        }
        _ => Err(invalid("jwks", &"a set of one key")),
    }
}

/// The metadata as they are now (RFC 7591 section 3.2.1).
fn shown(api: &Api, client: &Client) -> Value {
    let mut shown = serde_json::to_value(ShownClient::new(client, None)).unwrap_or_default();
    if let Value::Object(members) = &mut shown {
        for name in ["name", "registered_at", "registered_by"] {
            members.remove(name);
        }
        if let Some(jwk) = members.remove("jwk") {
            members.insert("jwks".to_owned(), json!({ "keys": [jwk] }));
        }
        let uri = format!("{}/oauth/register/{}", api.issuer, client.id);
        let is_code = client.may_use(GrantType::AuthorizationCode);
        members.insert("client_name".to_owned(), client.name.as_str().into());
        members
            .insert("client_id_issued_at".to_owned(), client.registered_at.unix_seconds().into());
        members.insert("registration_client_uri".to_owned(), uri.into());
        let types = if is_code { json!(["code"]) } else { json!([]) };
        members.insert("response_types".to_owned(), types);
    }
    shown
}

/// RFC 7591 section 3.2.2.
fn refused(problem: &Problem) -> Response {
    if problem.kind().slug != problem::INVALID_CLIENT.slug {
        return problem.clone().into_response();
    }
    let is_uri = problem.member("member") == Some("redirect_uris");
    let error = if is_uri { "invalid_redirect_uri" } else { "invalid_client_metadata" };
    let body = json!({ "error": error, "error_description": problem.detail_text() });
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let facts = Facts { refused: Some(error), ..Facts::default() };
    facts.with((StatusCode::BAD_REQUEST, no_store, Json(body)).into_response())
}
