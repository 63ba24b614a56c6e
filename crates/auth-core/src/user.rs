//! A person who may log in, and groups of them.

use std::{collections::BTreeSet, fmt, str::FromStr};

use lombard_token::ScopeSet;
use lombard_types::Timestamp;

/// A person.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Stays the same for ever.
    pub id: UserId,
    /// What the person logs in with.
    pub name: UserName,
    /// What the person is called.
    pub display_name: Option<PersonText>,
    /// Where mail reaches the person, as the administrator says.
    pub email: Option<PersonText>,
    /// What the person may do, and so may allow clients to do.
    pub scope: ScopeSet,
    /// What the person may do beyond that.
    pub groups: BTreeSet<GroupName>,
    /// The password's Argon2id hash as PHC string; without one the person cannot log in.
    pub password: Option<PasswordHash>,
    /// Whether the person may not log in now.
    pub is_disabled: bool,
    /// When the person was made known.
    pub created_at: Timestamp,
    /// The client that did it.
    pub created_by: Box<str>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The id of a person: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub [u8; 16]);

impl UserId {
    /// The subject of tokens (`sub`): no client can have an id with a `/` in it, so a client is never taken for a person
    /// (RFC 9700 section 4.15).
    pub fn subject(&self) -> String {
        format!("users/{self}")
    }

    /// The person whom tokens with this subject are about.
    pub fn from_subject(subject: &str) -> Option<Self> {
        subject.strip_prefix("users/")?.parse().ok()
    }
}

/// A text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 small hexadecimal digits")]
pub struct ParseIdError;

/// 16 bytes as 32 small hexadecimal digits.
pub(crate) fn parse_hex(text: &str) -> Result<[u8; 16], ParseIdError> {
    let fits = text.len() == 32
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let number = if fits { u128::from_str_radix(text, 16).ok() } else { None };
    number.map(u128::to_be_bytes).ok_or(ParseIdError)
}

impl FromStr for UserId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseUserError;

            fn from_str(text: &str) -> Result<Self, ParseUserError> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) { Ok(Self(text.into())) } else { Err(ParseUserError::$name) }
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// A text about a person is not of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseUserError {
    /// Not a name to log in with.
    #[error("a user's name is 1 to 100 small letters, digits, '-', '_', '.', '+' or '@'")]
    UserName,
    /// Not the name of a group.
    #[error("a group's name is 1 to 100 small letters, digits, '-', '_' or '.'")]
    GroupName,
    /// Not a text about a person.
    #[error("must be 1 to 200 bytes without control characters")]
    PersonText,
    /// Not the hash of a password.
    #[error("not a hash of Argon2id")]
    PasswordHash,
}

text! {
    /// What a person logs in with. Small letters only, so that no two names look the same.
    UserName, |text| is_name(text, b"-_.+@")
}
text! {
    /// A group of persons.
    GroupName, |text| is_name(text, b"-_.")
}
text! {
    /// What is said about a person: 1 to 200 bytes without control characters.
    PersonText, |text| !text.trim().is_empty() && text.len() <= 200 && !text.contains(char::is_control)
}
text! {
    /// An Argon2id hash as PHC string. Never shown by `Debug`.
    PasswordHash, |text| text.starts_with("$argon2id$") && text.len() <= 200 && text.is_ascii()
}

fn is_name(text: &str, signs: &[u8]) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || signs.contains(&byte);
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
}

macro_rules! shown {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}
shown!(UserName);
shown!(GroupName);
shown!(PersonText);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars() {
        assert!("ada.lovelace+2@bank.example".parse::<UserName>().is_ok());
        for name in ["", "Ada", "a b", "a/b", "\u{430}da", &"x".repeat(101)] {
            assert!(name.parse::<UserName>().is_err(), "{name}");
        }
        assert!("$argon2id$v=19$m=8".parse::<PasswordHash>().is_ok());
        assert!("$argon2i$v=19$m=8".parse::<PasswordHash>().is_err());
        assert!(" \n".parse::<PersonText>().is_err());
    }

    #[test]
    fn ids_are_subjects_that_no_client_can_have() {
        let id = UserId([0xab; 16]);
        assert_eq!(id.subject(), format!("users/{}", "ab".repeat(16)));
        assert_eq!(UserId::from_subject(&id.subject()), Some(id));
        assert!(id.subject().parse::<lombard_types::ClientId>().is_err());
        for text in ["", "AB", &"AB".repeat(16), &"ab".repeat(17)] {
            assert!(text.parse::<UserId>().is_err());
        }
    }
}
