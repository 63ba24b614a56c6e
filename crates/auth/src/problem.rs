//! The problems of the administration: the only place that names their status codes.

use std::time::Duration;

use lombard_auth_core::{
    Rejection, clients, grants, opaque_tokens, passkeys, second_factors, sessions, signing_keys,
    users,
};
use lombard_chassis::{Problem, ProblemType, problems};
use lombard_engine::SubmitError;

/// The `client_id`, name, scope or key is not of its form.
pub const INVALID_CLIENT: ProblemType =
    ProblemType::new(400, "invalid-client-metadata", "Invalid client metadata");
/// A client with this id exists and is another one.
pub const CLIENT_EXISTS: ProblemType = ProblemType::new(409, "client-exists", "Client exists");
/// There is no such client.
pub const CLIENT_NOT_FOUND: ProblemType =
    ProblemType::new(404, "client-not-found", "Client not found");
/// The client authenticates with a key and has no secret to rotate.
pub const CLIENT_HAS_NO_SECRET: ProblemType =
    ProblemType::new(409, "client-has-no-secret", "Client has no secret");
/// There are as many clients as there may be.
pub const TOO_MANY_CLIENTS: ProblemType =
    ProblemType::new(507, "too-many-clients", "Too many clients");
/// The `Idempotency-Key` is not 1 to 255 visible ASCII characters.
pub const IDEMPOTENCY_KEY_INVALID: ProblemType =
    ProblemType::new(400, "idempotency-key-invalid", "Idempotency-Key invalid");

/// A name, scope, group or other text about a person or a group is not of its form.
pub const INVALID_USER: ProblemType = ProblemType::new(400, "invalid-user", "Invalid user");
/// The password is too short, too long, or one that everybody tries first.
pub const PASSWORD_REFUSED: ProblemType =
    ProblemType::new(400, "password-refused", "Password refused");
/// Another person has this name.
pub const USER_EXISTS: ProblemType = ProblemType::new(409, "user-exists", "User exists");
/// There is no such person.
pub const USER_NOT_FOUND: ProblemType = ProblemType::new(404, "user-not-found", "User not found");
/// The person has a second factor already.
pub const SECOND_FACTOR_EXISTS: ProblemType =
    ProblemType::new(409, "second-factor-exists", "Second factor exists");
/// The person has no second factor.
pub const SECOND_FACTOR_NOT_FOUND: ProblemType =
    ProblemType::new(404, "second-factor-not-found", "Second factor not found");
/// There is such a passkey already, or as many as one person may have.
pub const PASSKEY_EXISTS: ProblemType = ProblemType::new(409, "passkey-exists", "Passkey exists");
/// The person has no such passkey.
pub const PASSKEY_NOT_FOUND: ProblemType =
    ProblemType::new(404, "passkey-not-found", "Passkey not found");
/// There is no such group.
pub const USER_GROUP_NOT_FOUND: ProblemType =
    ProblemType::new(404, "user-group-not-found", "User group not found");
/// Persons are in the group.
pub const USER_GROUP_IN_USE: ProblemType =
    ProblemType::new(409, "user-group-in-use", "User group in use");
/// There are as many persons, or as many groups, as there may be.
pub const TOO_MANY_USERS: ProblemType = ProblemType::new(507, "too-many-users", "Too many users");
/// There are as many sessions or grants as there may be.
pub const TOO_MANY_GRANTS: ProblemType =
    ProblemType::new(507, "too-many-grants", "Too many grants");
/// There is no such session, or no such grant of a person.
pub const GRANT_NOT_FOUND: ProblemType =
    ProblemType::new(404, "grant-not-found", "Grant not found");

/// No such key is published.
pub const SIGNING_KEY_NOT_FOUND: ProblemType =
    ProblemType::new(404, "signing-key-not-found", "Signing key not found");
/// The next key was not published for long enough.
pub const SIGNING_KEY_NOT_READY: ProblemType =
    ProblemType::new(409, "signing-key-not-ready", "Signing key not ready");
/// As many keys are published as verifiers take.
pub const TOO_MANY_SIGNING_KEYS: ProblemType =
    ProblemType::new(409, "too-many-signing-keys", "Too many signing keys");

/// There are as many revocations as are kept.
pub const TOO_MANY_REVOCATIONS: ProblemType =
    ProblemType::new(503, "too-many-revocations", "Too many revocations");

/// All of this role's own, for documentation and its test.
pub const ALL: &[ProblemType] = &[
    INVALID_CLIENT,
    CLIENT_EXISTS,
    CLIENT_NOT_FOUND,
    CLIENT_HAS_NO_SECRET,
    TOO_MANY_CLIENTS,
    IDEMPOTENCY_KEY_INVALID,
    INVALID_USER,
    PASSWORD_REFUSED,
    USER_EXISTS,
    USER_NOT_FOUND,
    SECOND_FACTOR_EXISTS,
    SECOND_FACTOR_NOT_FOUND,
    PASSKEY_EXISTS,
    PASSKEY_NOT_FOUND,
    USER_GROUP_NOT_FOUND,
    USER_GROUP_IN_USE,
    TOO_MANY_USERS,
    TOO_MANY_GRANTS,
    GRANT_NOT_FOUND,
    SIGNING_KEY_NOT_FOUND,
    SIGNING_KEY_NOT_READY,
    TOO_MANY_SIGNING_KEYS,
    TOO_MANY_REVOCATIONS,
];

pub(crate) fn from_submit_error(error: SubmitError<Rejection>) -> Problem {
    let again = Duration::from_secs(1);
    match error {
        SubmitError::Rejected { rejection, .. } => from_rejection(rejection),
        SubmitError::Overloaded | SubmitError::Expired => {
            Problem::new(&problems::OVERLOADED).detail("nothing was done").retry_after(again)
        }
        SubmitError::DiskFull => Problem::new(&problems::DISK_FULL).retry_after(again),
        SubmitError::TooLarge { .. } => {
            Problem::new(&problems::BODY_TOO_LARGE).detail("the client is too large to be recorded")
        }
        SubmitError::OutcomeUnknown => Problem::new(&problems::OUTCOME_UNKNOWN)
            .detail("the change may or may not have happened: look, or repeat it with the same Idempotency-Key"),
        SubmitError::Stopped => Problem::new(&problems::STOPPING).retry_after(again),
    }
}

fn from_rejection(rejection: Rejection) -> Problem {
    match rejection {
        Rejection::Client(rejection) => from_client_rejection(rejection),
        Rejection::User(rejection) => from_user_rejection(rejection),
        Rejection::Passkey(rejection) => from_passkey_rejection(rejection),
        Rejection::SecondFactor(rejection) => from_second_factor_rejection(rejection),
        Rejection::Session(sessions::Rejection::TooManySessions)
        | Rejection::Grant(grants::Rejection::TooManyGrants) => Problem::new(&TOO_MANY_GRANTS),
        // The protocol answers these in its own form; none of them comes from the administration.
        Rejection::Grant(_) => Problem::new(&GRANT_NOT_FOUND),
        // So does the token endpoint.
        Rejection::OpaqueToken(opaque_tokens::Rejection::TooManyTokens) => {
            Problem::new(&TOO_MANY_GRANTS)
        }
        Rejection::SigningKey(rejection) => from_signing_key_rejection(rejection),
        Rejection::TooManyRevocations => {
            Problem::new(&TOO_MANY_REVOCATIONS).retry_after(Duration::from_secs(10))
        }
    }
}

fn from_client_rejection(rejection: clients::Rejection) -> Problem {
    match rejection {
        clients::Rejection::ClientExists => Problem::new(&CLIENT_EXISTS).detail(
            "a client with this id exists and is another one, or was registered by somebody else",
        ),
        clients::Rejection::TooManyClients => Problem::new(&TOO_MANY_CLIENTS),
        clients::Rejection::ClientNotFound => Problem::new(&CLIENT_NOT_FOUND),
        clients::Rejection::HasNoSecret => Problem::new(&CLIENT_HAS_NO_SECRET)
            .detail("the client authenticates with a private key, or not at all"),
    }
}

fn from_signing_key_rejection(rejection: signing_keys::Rejection) -> Problem {
    use signing_keys::Rejection;
    match rejection {
        Rejection::KeyNotFound => Problem::new(&SIGNING_KEY_NOT_FOUND),
        Rejection::TooEarly { ready_at } => Problem::new(&SIGNING_KEY_NOT_READY)
            .detail(format!("not every verifier knows the next key before {ready_at}"))
            .with("ready_at", ready_at.to_string()),
        Rejection::NotRetiring => {
            Problem::new(&SIGNING_KEY_NOT_READY).detail("the key is in use, or not yet")
        }
        Rejection::TooManyKeys => Problem::new(&TOO_MANY_SIGNING_KEYS)
            .detail("wait until keys that were used before are published no more"),
        // Keys are random: two with one id are a broken source of randomness. Successors are made here.
        Rejection::KeyExists | Rejection::OtherAlgorithm => Problem::new(&problems::INTERNAL),
    }
}

fn from_passkey_rejection(rejection: passkeys::Rejection) -> Problem {
    use passkeys::Rejection;
    match rejection {
        Rejection::UserNotFound => Problem::new(&USER_NOT_FOUND),
        Rejection::PasskeyExists | Rejection::TooManyPasskeys => Problem::new(&PASSKEY_EXISTS),
        // That a passkey seems to be copied is answered on pages only.
        Rejection::PasskeyNotFound | Rejection::Copied => Problem::new(&PASSKEY_NOT_FOUND),
    }
}

fn from_second_factor_rejection(rejection: second_factors::Rejection) -> Problem {
    use second_factors::Rejection;
    match rejection {
        Rejection::UserNotFound => Problem::new(&USER_NOT_FOUND),
        Rejection::AlreadyEnrolled => {
            Problem::new(&SECOND_FACTOR_EXISTS).detail("remove it first; logins of the person end")
        }
        // That a code was used is answered on pages only.
        Rejection::NotEnrolled | Rejection::CodeUsed => Problem::new(&SECOND_FACTOR_NOT_FOUND),
    }
}

fn from_user_rejection(rejection: users::Rejection) -> Problem {
    match rejection {
        users::Rejection::UserNotFound => Problem::new(&USER_NOT_FOUND),
        users::Rejection::GroupNotFound => Problem::new(&USER_GROUP_NOT_FOUND),
        users::Rejection::UserExists => Problem::new(&USER_EXISTS).detail(
            "a person with this name exists and is another one, or was made known by somebody else",
        ),
        users::Rejection::TooManyUsers | users::Rejection::TooManyGroups => {
            Problem::new(&TOO_MANY_USERS)
        }
        users::Rejection::GroupInUse => {
            Problem::new(&USER_GROUP_IN_USE).detail("take the persons out of the group first")
        }
    }
}
