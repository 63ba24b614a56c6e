//! Who asks for passkeys: the origin that people's browsers see, and the two ceremonies.

use std::net::IpAddr;

use aws_lc_rs::digest;

use crate::{CredentialKey, authenticator_data::AuthenticatorData, cbor::Reader, client_data};

/// Longest id of a credential that is taken (section 4: 1023 bytes).
pub const CREDENTIAL_ID_BYTES_MAX: usize = 1023;
/// Longer attestation objects have a statement that was not asked for.
const ATTESTATION_BYTES_MAX: usize = 4096;

/// What a browser is given to sign, once.
pub type Challenge = [u8; 32];

/// A relying party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    id: Box<str>,
    id_sha256: [u8; 32],
    origin: Box<str>,
}

/// A passkey that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub id: Box<[u8]>,
    /// Its public key.
    pub key: CredentialKey,
    /// How often it was used, or 0 where the authenticator does not count.
    pub sign_count: u32,
    /// Whether it is on more devices than one.
    pub is_backed_up: bool,
}

/// What a browser brings of a passkey that is used.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// `clientDataJSON`.
    pub client_data: &'a [u8],
    /// `authenticatorData`.
    pub authenticator_data: &'a [u8],
    /// `signature`.
    pub signature: &'a [u8],
}

/// A passkey that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// How often it was, or 0 where the authenticator does not count.
    pub sign_count: u32,
    /// Whether it is on more devices than one.
    pub is_backed_up: bool,
}

/// Why a ceremony is refused. Checked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not of its form.
    #[error("malformed")]
    Malformed,
    /// A passkey was made where one should be used, or the other way round.
    #[error("another ceremony")]
    OtherCeremony,
    /// It was made for another challenge.
    #[error("another challenge")]
    OtherChallenge,
    /// A page of another origin asked for it, or one that is framed by another.
    #[error("another origin")]
    OtherOrigin,
    /// It is about another relying party.
    #[error("another relying party")]
    OtherParty,
    /// The authenticator did not verify who uses it.
    #[error("the user was not verified")]
    UserNotVerified,
    /// The key is of a kind that is not taken.
    #[error("a key of another kind")]
    OtherKey,
    /// The signature is not the passkey's.
    #[error("another signature")]
    Signature,
}

impl RelyingParty {
    /// The relying party of an origin such as `https://bank.example`. None where it cannot be one: an address is no domain,
    /// and browsers make passkeys over https only, but for `localhost` (section 5.1.3).
    pub fn of_origin(origin: &str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        let host = authority.split(':').next().unwrap_or_default();
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        let is_domain = !host.is_empty() && host.bytes().all(is_name);
        let is_secure = scheme == "https" || host == "localhost" && scheme == "http";
        if !is_domain || !is_secure || host.parse::<IpAddr>().is_ok() || authority.contains('/') {
            return None;
        }
        Some(Self { id: host.into(), id_sha256: sha256(host.as_bytes()), origin: origin.into() })
    }

    /// The id that browsers are given.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A passkey is made (section 7.1). Whether its id is new, only the caller can tell.
    pub fn register(
        &self,
        challenge: &Challenge,
        client_data: &[u8],
        attestation_object: &[u8],
    ) -> Result<Registered, Refusal> {
        client_data::check(client_data, "webauthn.create", challenge, &self.origin)?;
        let data = authenticator_data_of(attestation_object)?;
        let data = AuthenticatorData::read(data, &self.id_sha256)?;
        let (id, key) = data.credential.ok_or(Refusal::Malformed)?;
        let (sign_count, is_backed_up) = (data.sign_count, data.is_backed_up);
        Ok(Registered { id: id.into(), key, sign_count, is_backed_up })
    }

    /// A passkey is used (section 7.2), whose key is known from when it was made. Whether its count has grown, only the
    /// caller can tell.
    pub fn authenticate(
        &self,
        challenge: &Challenge,
        key: &CredentialKey,
        assertion: Assertion<'_>,
    ) -> Result<Used, Refusal> {
        let Assertion { client_data, authenticator_data, signature } = assertion;
        client_data::check(client_data, "webauthn.get", challenge, &self.origin)?;
        let data = AuthenticatorData::read(authenticator_data, &self.id_sha256)?;
        if data.credential.is_some() {
            return Err(Refusal::Malformed);
        }
        let message = [authenticator_data, &sha256(client_data)].concat();
        if !key.verifies(&message, signature) {
            return Err(Refusal::Signature);
        }
        Ok(Used { sign_count: data.sign_count, is_backed_up: data.is_backed_up })
    }
}

/// Out of an attestation object (section 6.5.4) without a statement.
fn authenticator_data_of(object: &[u8]) -> Result<&[u8], Refusal> {
    let malformed = |_| Refusal::Malformed;
    if object.len() > ATTESTATION_BYTES_MAX {
        return Err(Refusal::Malformed);
    }
    let mut reader = Reader(object);
    let (mut format, mut statement, mut data) = (None, None, None);
    for _ in 0..reader.map().map_err(malformed)? {
        let is_new = match reader.text().map_err(malformed)? {
            "fmt" => format.replace(reader.text().map_err(malformed)?).is_none(),
            "attStmt" => statement.replace(reader.map().map_err(malformed)?).is_none(),
            "authData" => data.replace(reader.bytes().map_err(malformed)?).is_none(),
            _ => false,
        };
        if !is_new {
            return Err(Refusal::Malformed);
        }
    }
    reader.end().map_err(malformed)?;
    match (format, statement, data) {
        (Some("none"), Some(0), Some(data)) => Ok(data),
        _ => Err(Refusal::Malformed),
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    sha256
}
