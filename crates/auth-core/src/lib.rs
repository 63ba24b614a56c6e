//! The rules of the authorization server: who may log in, which clients there are, and what may be granted to them.
//!
//! Pure: time, ids and digests come in with the command. [`State`] is the state, [`State::decide`] and [`State::apply`] its
//! rules; [`grant`] settles what a token may say, and writes nothing, because a grant that creates no new right is no event.
//!
//! **Invariants**
//! - No secret is here, only SHA-256 digests of secrets that have 256 random bits, and Argon2id hashes of passwords.
//! - A grant is never wider than what the client is registered for, nor than what the person may do who makes it, and is for
//!   exactly one resource.
//! - A code gives one success, and a second showing takes back what it gave. A refresh token has one successor. A code of a
//!   second factor is good once.
//! - Once begun, one key signs and one is next, which verifiers know before it does.
//! - What is over is forgotten with the next event: expired codes, sessions, grants and opaque tokens are in no snapshot.
#![warn(missing_docs)]

mod audit;
mod certificate;
mod client;
pub mod clients;
mod decision;
mod distinguished_name;
mod exchange;
mod grant;
pub mod grants;
pub mod logouts;
pub mod opaque_tokens;
pub mod passkeys;
mod profile;
mod redirect_uri;
mod revocations;
pub mod second_factors;
pub mod sessions;
pub mod signing_keys;
mod state;
mod user;
mod user_grant;
pub mod users;

pub use audit::AuditEntry;
pub use certificate::{CertificateNames, CertificateSubject};
pub use client::{
    AccessTokenFormat, Authentication, Client, ClientName, ClientOptions, GrantType,
    InvalidClientName,
};
pub use clients::Clients;
pub use decision::Decision;
pub use distinguished_name::{DistinguishedName, ParseDistinguishedNameError, RelativeName};
pub use exchange::{ExchangeError, exchange};
pub use grant::{Authority, GrantError, Granted, Request, grant, resource_of_family};
pub use grants::Grants;
pub use logouts::{Logout, Logouts, Telling};
pub use opaque_tokens::{HandleSha256, OpaqueTokens};
pub use passkeys::{CredentialId, Passkey, Passkeys};
pub use profile::{Profile, ProfileError};
pub use redirect_uri::{ParseRedirectUriError, RedirectUri};
pub use revocations::{Revocations, Target};
pub use second_factors::{SecondFactor, SecondFactors};
pub use sessions::{Acr, Session, SessionId, Sessions};
pub use signing_keys::{PublishedKey, SigningKeys};
pub use state::{Command, Event, Lives, Rejection, Reply, RestoreError, State};
pub use user::{
    GroupName, ParseIdError, ParseUserError, PasswordHash, PersonText, User, UserId, UserName,
};
pub use user_grant::{Code, GrantId, Refresh, UserGrant};
pub use users::Users;
