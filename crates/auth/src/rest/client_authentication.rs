//! How a client that is being registered will authenticate: what its registration says, checked.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lombard_auth_core::{Authentication, CertificateSubject};
use lombard_chassis::Problem;
use lombard_token::PublicJwk;
use zeroize::Zeroizing;

use super::clients::{invalid, new_secret};
use crate::mtls;

/// Most certificates of one client: the present one, the next one, and some to spare.
const CERTIFICATES_MAX: usize = 8;

/// What a registration says about it.
#[derive(Default)]
pub(super) struct Said {
    /// `token_endpoint_auth_method`; without it, it follows from the rest.
    pub(super) method: Option<String>,
    pub(super) jwk: Option<serde_json::Value>,
    /// The `tls_client_auth_*` that is there, by its name.
    pub(super) subjects: Vec<(&'static str, String)>,
    /// In base64, as `x5c` has them.
    pub(super) certificates: Vec<String>,
}

/// How a client authenticates, and what else it has.
pub(super) struct Keys {
    pub(super) authentication: Authentication,
    /// Its secret, where one is made.
    pub(super) secret: Option<Zeroizing<String>>,
    /// The key that its requests are signed with, where it authenticates with a certificate.
    pub(super) request_object_key: Option<Box<PublicJwk>>,
}

impl From<Authentication> for Keys {
    fn from(authentication: Authentication) -> Self {
        Self { authentication, secret: None, request_object_key: None }
    }
}

/// What the server can check.
#[derive(Clone, Copy)]
pub(super) struct Offered {
    /// Whether certificates can be shown.
    pub(super) certificates: bool,
    /// Whether there are authorities that sign them.
    pub(super) authorities: bool,
}

impl Said {
    /// The method, checked. The `jwk` of a client with a certificate is for its requests.
    pub(super) fn read(self, offered: Offered) -> Result<Keys, Problem> {
        let Self { method, jwk, subjects, certificates } = self;
        let (has_subject, has_certificates) = (!subjects.is_empty(), !certificates.is_empty());
        let method = match method.as_deref() {
            Some(method) => method,
            None if has_subject => "tls_client_auth",
            None if has_certificates => "self_signed_tls_client_auth",
            None if jwk.is_some() => "private_key_jwt",
            None => "client_secret_basic",
        };
        let fits = match method {
            "private_key_jwt" => jwk.is_some() && !has_subject && !has_certificates,
            "tls_client_auth" => !has_certificates,
            "self_signed_tls_client_auth" => !has_subject,
            _ => jwk.is_none() && !has_subject && !has_certificates,
        };
        let is_offered = match method {
            "tls_client_auth" => offered.authorities,
            "self_signed_tls_client_auth" => offered.certificates,
            _ => true,
        };
        if !is_offered {
            let cause = "certificates are not configured here ([auth.mtls])";
            return Err(invalid("token_endpoint_auth_method", &cause));
        }
        match method {
            "none" if fits => Ok(Authentication::Nothing.into()),
            "client_secret_basic" | "client_secret_post" if fits => {
                let (authentication, secret) = new_secret()?;
                Ok(Keys { secret: Some(secret), ..authentication.into() })
            }
            "private_key_jwt" if fits => Ok(Authentication::Key(key(jwk)?).into()),
            "tls_client_auth" if fits => with_certificate(subject(subjects)?, jwk),
            "self_signed_tls_client_auth" if fits => {
                with_certificate(self_signed(&certificates)?, jwk)
            }
            _ => {
                let cause = "one of client_secret_basic, private_key_jwt with jwk, tls_client_auth with one tls_client_auth_*, \
                             self_signed_tls_client_auth with certificates, and none";
                Err(invalid("token_endpoint_auth_method", &cause))
            }
        }
    }
}

fn with_certificate(
    authentication: Authentication,
    jwk: Option<serde_json::Value>,
) -> Result<Keys, Problem> {
    let request_object_key = jwk.map(|jwk| key(Some(jwk))).transpose()?;
    Ok(Keys { request_object_key, ..authentication.into() })
}

fn key(jwk: Option<serde_json::Value>) -> Result<Box<PublicJwk>, Problem> {
    let text = jwk.unwrap_or_default().to_string();
    PublicJwk::parse(text.as_bytes()).map(Box::new).map_err(|error| invalid("jwk", &error))
}

/// Exactly one (RFC 8705 section 2.1.2).
fn subject(subjects: Vec<(&'static str, String)>) -> Result<Authentication, Problem> {
    let [(member, value)] = subjects.as_slice() else {
        let cause = "tls_client_auth takes exactly one of the members tls_client_auth_*";
        return Err(invalid("token_endpoint_auth_method", &cause));
    };
    let subject = CertificateSubject::parse(member, value);
    let subject = subject.ok_or_else(|| invalid(member, &"not a name of that kind"))?;
    Ok(Authentication::Certificate(Box::new(subject)))
}

fn self_signed(certificates: &[String]) -> Result<Authentication, Problem> {
    if certificates.is_empty() || certificates.len() > CERTIFICATES_MAX {
        let cause = format!("1 to {CERTIFICATES_MAX} certificates");
        return Err(invalid("certificates", &cause));
    }
    let read = |text: &String| mtls::register(&STANDARD.decode(text).ok()?.into());
    let sha256s = certificates.iter().map(read).collect::<Option<_>>();
    let sha256s = sha256s.ok_or_else(|| {
        invalid("certificates", &"one is not an X.509 certificate in DER, in base64")
    })?;
    Ok(Authentication::SelfSignedCertificate { sha256s })
}
