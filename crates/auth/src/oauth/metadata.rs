//! `GET /.well-known/oauth-authorization-server` (RFC 8414) and `openid-configuration` (OpenID Connect Discovery): what
//! this server can do, and nothing that it cannot.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{Acr, GrantType};
use lombard_chassis::Json;
use lombard_token::Algorithm;
use serde_json::{Value, json};

use crate::service::Api;

/// What clients with certificates call at another URL (RFC 8705 section 5).
const ALIASES: [(&str, &str); 6] = [
    ("token_endpoint", "/oauth/token"),
    ("pushed_authorization_request_endpoint", "/oauth/par"),
    ("device_authorization_endpoint", "/oauth/device_authorization"),
    ("introspection_endpoint", "/oauth/introspect"),
    ("revocation_endpoint", "/oauth/revoke"),
    ("userinfo_endpoint", "/oauth/userinfo"),
];

pub(super) async fn get(State(api): State<Api>) -> Response {
    let issuer = &*api.issuer;
    let details_types: Vec<_> = api.config.details_types().collect();
    let algorithms = Algorithm::ALL.map(Algorithm::name);
    let mut methods = vec!["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
    let mtls_url = api.config.mtls.url.as_deref();
    if mtls_url.is_some() {
        methods.push("self_signed_tls_client_auth");
        if api.client_certificates.has_authorities() {
            methods.push("tls_client_auth");
        }
    }
    let scopes = ["openid", "profile", "email", "offline_access"];
    let is_there = |acr: &Acr| *acr != Acr::Passkey || api.relying_party.is_some();
    let acrs: Vec<_> = Acr::ALL.into_iter().filter(is_there).map(Acr::name).collect();
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "pushed_authorization_request_endpoint": format!("{issuer}/oauth/par"),
        "device_authorization_endpoint": format!("{issuer}/oauth/device_authorization"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "userinfo_endpoint": format!("{issuer}/oauth/userinfo"),
        "end_session_endpoint": format!("{issuer}/oauth/logout"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "jwks_uri": format!("{issuer}/oauth/jwks"),
        "grant_types_supported": GrantType::ALL.map(GrantType::name),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "query.jwt", "form_post.jwt", "jwt"],
        "authorization_signing_alg_values_supported": [Algorithm::Es256.name()],
        "introspection_signing_alg_values_supported": [Algorithm::Es256.name()],
        "request_object_signing_alg_values_supported": algorithms,
        "require_signed_request_object": false,
        "scopes_supported": scopes,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", "name",
            "preferred_username", "email",
        ],
        "acr_values_supported": acrs,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
        "authorization_details_types_supported": details_types,
    });
    if let Value::Object(members) = &mut metadata {
        for endpoint in ["token", "introspection", "revocation"] {
            let name = |what: &str| format!("{endpoint}_endpoint_auth_{what}_supported");
            members.insert(name("methods"), methods.clone().into());
            members.insert(name("signing_alg_values"), algorithms.into());
        }
    }
    if let (false, Value::Object(members)) =
        (api.config.registration_scope.is_empty(), &mut metadata)
    {
        let endpoint = format!("{issuer}/oauth/register");
        members.insert("registration_endpoint".to_owned(), endpoint.into());
    }
    if let (Some(url), Value::Object(members)) = (mtls_url, &mut metadata) {
        let aliases = ALIASES.map(|(name, path)| (name.to_owned(), format!("{url}{path}").into()));
        members.insert(
            "mtls_endpoint_aliases".to_owned(),
            Value::Object(aliases.into_iter().collect()),
        );
        members.insert("tls_client_certificate_bound_access_tokens".to_owned(), true.into());
    }
    let caching = [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))];
    (caching, Json(metadata)).into_response()
}
