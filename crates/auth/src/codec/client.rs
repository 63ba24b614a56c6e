//! A client's stored form.
//!
//! ```text
//!  v1  id text | name text | scope text | authentication | registered at u64 | registered by text
//!  v2  v1 | count of attributes u8 | attributes: kind u8, byte string
//!
//!  authentication  0, SHA-256 of the secret, 32 bytes  |  1, public JWK as JSON text  |  2, none  |
//!                  3, name of the member that says the certificate's subject text, its value text  |
//!                  4, count u8, SHA-256 of certificates, 32 bytes each
//!  attributes      in the order of their kinds; one that is empty is left out. Each is a list of texts:
//!                  1 types of authorization details, 2 grant types (without it: client_credentials alone),
//!                  3 redirect URIs, 4 redirect URIs after logout, 5 profile (without it: oauth-2.1),
//!                  6 options: certificate_bound, signed_requests, opaque_access_tokens,
//!                  7 SHA-256 of the registration access token in base64url,
//!                  8 algorithm of ID tokens (without it: ES256), 9 algorithm of access tokens,
//!                  10 key of request objects as JSON text, 20 URI for back-channel logout
//! ```

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::{
    AccessTokenFormat, Authentication, CertificateSubject, Client, ClientName, ClientOptions,
    GrantType, Profile, RedirectUri,
};
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_token::{Algorithm, PublicJwk};

use super::{parse, put_time, time};

const SECRET: u8 = 0;
const KEY: u8 = 1;
const NOTHING: u8 = 2;
const CERTIFICATE: u8 = 3;
const SELF_SIGNED: u8 = 4;
const DETAILS_TYPES: u8 = 1;
const GRANT_TYPES: u8 = 2;
const REDIRECT_URIS: u8 = 3;
const POST_LOGOUT_REDIRECT_URIS: u8 = 4;
const PROFILE: u8 = 5;
const OPTIONS: u8 = 6;
const REGISTRATION: u8 = 7;
const ID_TOKEN_ALGORITHM: u8 = 8;
const ACCESS_TOKEN_ALGORITHM: u8 = 9;
const REQUEST_OBJECT_KEY: u8 = 10;
const CERTIFICATE_BOUND: &str = "certificate_bound";
const SIGNED_REQUESTS: &str = "signed_requests";
const OPAQUE_ACCESS_TOKENS: &str = "opaque_access_tokens";
const BACKCHANNEL_LOGOUT_URI: u8 = 20;

/// Writes the newest version.
pub(super) fn put(writer: &mut Writer<'_>, client: &Client) {
    writer.text(client.id.as_str());
    writer.text(client.name.as_str());
    writer.text(&client.scope.to_string());
    match &client.authentication {
        Authentication::Secret { sha256 } => {
            writer.put(&[SECRET]);
            writer.put(sha256);
        }
        Authentication::Key(key) => {
            writer.put(&[KEY]);
            writer.text(&serde_json::to_string(key).unwrap_or_default());
        }
        Authentication::Nothing => writer.put(&[NOTHING]),
        Authentication::Certificate(subject) => {
            writer.put(&[CERTIFICATE]);
            writer.text(subject.member());
            writer.text(&subject.value());
        }
        Authentication::SelfSignedCertificate { sha256s } => {
            writer.put(&[SELF_SIGNED, u8::try_from(sha256s.len()).unwrap_or(u8::MAX)]);
            sha256s.iter().for_each(|sha256| writer.put(sha256));
        }
    }
    put_time(writer, client.registered_at);
    writer.text(&client.registered_by);
    put_attributes(writer, client);
}

fn put_attributes(writer: &mut Writer<'_>, client: &Client) {
    let types = client.authorization_details_types.iter().map(|name| name.as_str());
    let is_default = client.grant_types == default_grant_types();
    let profile = Some(client.profile).filter(|profile| *profile != Profile::OAuth21);
    let grant_types = client.grant_types.iter().filter(|_| !is_default);
    let registration =
        client.options.registration_sha256.as_deref().map(|sha256| URL_SAFE_NO_PAD.encode(sha256));
    let id_token_algorithm = Some(client.options.id_token_algorithm);
    let id_token_algorithm = id_token_algorithm.filter(|it| *it != Algorithm::default());
    let access_token_algorithm = client.options.access_token_algorithm;
    let request_object_key = client.options.request_object_key.as_deref();
    let request_object_key =
        request_object_key.map(|key| serde_json::to_string(key).unwrap_or_default());
    let attributes = [
        (DETAILS_TYPES, texts(types)),
        (GRANT_TYPES, texts(grant_types.map(|grant_type| grant_type.name()))),
        (REDIRECT_URIS, texts(client.redirect_uris.iter().map(RedirectUri::as_str))),
        (
            POST_LOGOUT_REDIRECT_URIS,
            texts(client.post_logout_redirect_uris.iter().map(RedirectUri::as_str)),
        ),
        (PROFILE, texts(profile.iter().map(|profile| profile.name()))),
        (OPTIONS, texts(options(&client.options).into_iter())),
        (REGISTRATION, texts(registration.iter().map(String::as_str))),
        (ID_TOKEN_ALGORITHM, texts(id_token_algorithm.iter().map(|it| it.name()))),
        (ACCESS_TOKEN_ALGORITHM, texts(access_token_algorithm.iter().map(|it| it.name()))),
        (REQUEST_OBJECT_KEY, texts(request_object_key.iter().map(String::as_str))),
        (
            BACKCHANNEL_LOGOUT_URI,
            texts(client.backchannel_logout_uri.iter().map(RedirectUri::as_str)),
        ),
    ];
    let said = || attributes.iter().filter(|(_, value)| !value.is_empty());
    writer.put(&[u8::try_from(said().count()).unwrap_or(u8::MAX)]);
    for (kind, value) in said() {
        writer.put(&[*kind]);
        writer.bytes(value);
    }
}

fn options(options: &ClientOptions) -> Vec<&'static str> {
    let is_opaque = options.access_token_format == AccessTokenFormat::Opaque;
    [
        (CERTIFICATE_BOUND, options.certificate_bound_tokens),
        (SIGNED_REQUESTS, options.signed_requests_only),
        (OPAQUE_ACCESS_TOKENS, is_opaque),
    ]
    .into_iter()
    .filter_map(|(name, is_said)| is_said.then_some(name))
    .collect()
}

fn set_option(options: &mut ClientOptions, name: &str) -> Result<(), DecodeError> {
    match name {
        CERTIFICATE_BOUND => options.certificate_bound_tokens = true,
        SIGNED_REQUESTS => options.signed_requests_only = true,
        OPAQUE_ACCESS_TOKENS => options.access_token_format = AccessTokenFormat::Opaque,
        _ => return Err(DecodeError("unknown option of a client")),
    }
    Ok(())
}

fn algorithm(name: &str) -> Result<Algorithm, DecodeError> {
    Algorithm::from_name(name).ok_or(DecodeError("unknown algorithm"))
}

/// How clients ask that say nothing else.
fn default_grant_types() -> BTreeSet<GrantType> {
    [GrantType::ClientCredentials].into()
}

fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer(&mut bytes);
    texts.for_each(|text| writer.text(text));
    bytes
}

pub(super) fn v1(reader: &mut Reader<'_>) -> Result<Client, DecodeError> {
    Ok(Client {
        id: parse(reader.text()?)?,
        name: ClientName::new(reader.text()?).map_err(|_| DecodeError("client name"))?,
        scope: parse(reader.text()?)?,
        authorization_details_types: BTreeSet::new(),
        profile: Profile::OAuth21,
        authentication: match reader.byte()? {
            SECRET => Authentication::Secret { sha256: reader.array()? },
            KEY => {
                let key = PublicJwk::parse(reader.text()?.as_bytes());
                Authentication::Key(Box::new(key.map_err(|_| DecodeError("public key"))?))
            }
            NOTHING => Authentication::Nothing,
            CERTIFICATE => {
                let subject = CertificateSubject::parse(reader.text()?, reader.text()?);
                let subject = subject.ok_or(DecodeError("subject of a certificate"))?;
                Authentication::Certificate(Box::new(subject))
            }
            SELF_SIGNED => {
                let count = reader.byte()?;
                let sha256s = (0..count).map(|_| reader.array()).collect::<Result<_, _>>()?;
                Authentication::SelfSignedCertificate { sha256s }
            }
            _ => return Err(DecodeError("unknown kind of authentication")),
        },
        grant_types: default_grant_types(),
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        options: ClientOptions::default(),
        backchannel_logout_uri: None,
        registered_at: time(reader)?,
        registered_by: reader.text()?.into(),
    })
}

pub(super) fn v2(reader: &mut Reader<'_>) -> Result<Client, DecodeError> {
    let mut client = v1(reader)?;
    for _ in 0..reader.byte()? {
        let kind = reader.byte()?;
        let mut values = Reader(reader.bytes()?);
        if kind == GRANT_TYPES {
            client.grant_types.clear();
        }
        while !values.0.is_empty() {
            let value = values.text()?;
            match kind {
                DETAILS_TYPES => drop(client.authorization_details_types.insert(parse(value)?)),
                GRANT_TYPES => {
                    let grant_type = GrantType::from_name(value);
                    client.grant_types.insert(grant_type.ok_or(DecodeError("unknown grant type"))?);
                }
                REDIRECT_URIS => client.redirect_uris.push(parse(value)?),
                POST_LOGOUT_REDIRECT_URIS => client.post_logout_redirect_uris.push(parse(value)?),
                BACKCHANNEL_LOGOUT_URI => client.backchannel_logout_uri = Some(parse(value)?),
                PROFILE => {
                    let profile = Profile::from_name(value);
                    client.profile = profile.ok_or(DecodeError("unknown profile"))?;
                }
                REGISTRATION => {
                    let sha256 = URL_SAFE_NO_PAD.decode(value).ok();
                    let sha256 = sha256.and_then(|bytes| bytes.try_into().ok());
                    let sha256 = sha256.ok_or(DecodeError("registration access token"))?;
                    client.options.registration_sha256 = Some(Box::new(sha256));
                }
                ID_TOKEN_ALGORITHM => client.options.id_token_algorithm = algorithm(value)?,
                ACCESS_TOKEN_ALGORITHM => {
                    client.options.access_token_algorithm = Some(algorithm(value)?);
                }
                REQUEST_OBJECT_KEY => {
                    let key = PublicJwk::parse(value.as_bytes());
                    let key = key.map_err(|_| DecodeError("key of request objects"))?;
                    client.options.request_object_key = Some(Box::new(key));
                }
                OPTIONS => set_option(&mut client.options, value)?,
                _ => return Err(DecodeError("unknown kind of attribute of a client")),
            }
        }
    }
    Ok(client)
}
