//! Access tokens: made ([`SigningKey`], [`Claims`]) and checked ([`Verifier`]), strictly.
//!
//! JWTs per RFC 9068, signed with ES256, EdDSA or PS256, in the JWS compact form and no other. The kind of a key fixes its
//! one algorithm, each purpose has its `typ`; members said twice, `crit`, embedded keys, padding, oversize and deep nesting are refused. Keys
//! arrive through a [`KeySource`]: this crate does no I/O.
//!
//! Start reading at [`Verifier`], then `jws`.
#![warn(missing_docs)]

mod algorithm;
mod assertion;
mod authorization_details;
mod claims;
mod confirmation;
mod dpop;
mod dpop_nonces;
mod id_token;
mod json;
mod jwk;
mod jws;
mod request_object;
mod revocation;
mod scope;
mod signing_key;
mod used_proofs;
mod verification_key;
mod verifier;

pub use algorithm::Algorithm;
pub use assertion::{
    AssertionError, CLIENT_ASSERTION_TYPE, ClientAssertion, claimed_client, client_assertion,
    verify_client_assertion,
};
pub use authorization_details::{
    AuthorizationDetail, AuthorizationDetails, Decimal, DetailType, OpaqueDetail,
    ParseDecimalError, ParseDetailTypeError, ParseDetailsError, ParsePaymentIdError, Payment,
    PaymentId,
};
pub use claims::{ACCESS_TOKEN_TYPE, Actor, Claims, ClaimsError, OPAQUE_TOKEN_PREFIX, UserGrant};
pub use confirmation::{Confirmation, Presented};
pub use dpop::{
    DpopError, DpopProof, DpopRequest, dpop_proof, dpop_proof_with_nonce, verify_dpop_proof,
};
pub use dpop_nonces::DpopNonces;
pub use id_token::{ID_TOKEN_TYPE, verify_own_id_token};
pub use json::parse_json_without_duplicates;
pub use jwk::{Jwks, ParseJwkError, PublicJwk};
pub use jws::{JwsError, TOKEN_BYTES_MAX};
pub use request_object::{RequestObjectError, verify_request_object};
pub use revocation::{ParseRevocationKeyError, Revocation, RevocationKey, RevokedTokens};
pub use scope::{ParseScopeError, Scope, ScopeSet};
pub use signing_key::{KeyError, SigningKey};
pub use verifier::{Generation, KeySource, KeySourceError, Verifier, VerifyError};
