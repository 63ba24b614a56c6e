//! Names: texts with a grammar and a length.

use std::{borrow::Borrow, fmt, str::FromStr};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $bytes_max:literal, $grammar:literal, $is_valid:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Longest, in bytes.
            pub const BYTES_MAX: usize = $bytes_max;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.is_empty() || text.len() > Self::BYTES_MAX || !$is_valid(text) {
                    return Err(ParseNameError { grammar: $grammar, bytes_max: $bytes_max });
                }
                Ok(Self(text.into()))
            }
        }

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

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// Where an account stands in the tree of accounts: `customers/42/wallet`.
    AccountPath, 200,
    "segments of letters, digits, '-', '_', '.', ':' or '@', joined by '/', none of them empty, '.' or '..'",
    is_account_path
}
name! {
    /// A service of the registry, the first path segment under which the gateway serves it, and the family of its scopes:
    /// `payments`. Names that mean something of the platform's own in one of these places are taken.
    ServiceName, 63,
    "a DNS label (small letters, digits and '-', beginning with a letter and not ending with '-') that is not one of the \
     platform's own names",
    is_service_name
}
name! {
    /// One running instance of a service, unique within it.
    InstanceId, 100,
    "letters, digits, '-', '_', '.' or ':'",
    is_token
}
name! {
    /// An OAuth client.
    ClientId, 100,
    "letters, digits, '-', '_', '.' or ':'",
    is_token
}
name! {
    /// A stream of events: `payment-42`.
    StreamName, 200,
    "letters, digits, '-', '_', '.' or ':'",
    is_token
}
name! {
    /// Consumers that share the events of a filter between them: `mail-sender`.
    GroupName, 100,
    "letters, digits, '-', '_', '.' or ':'",
    is_token
}
name! {
    /// One consumer of a group: `mail-sender-7c9f`.
    ConsumerName, 100,
    "letters, digits, '-', '_', '.' or ':'",
    is_token
}
name! {
    /// Follows one HTTP request through every role, log line and event.
    RequestId, 100,
    "letters, digits, '-', '_', '.' or ':'",
    is_token
}

fn is_token(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

fn is_account_path(text: &str) -> bool {
    text.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@')
            })
    })
}

/// First path segments, roles and families of scopes of the platform itself.
const TAKEN_SERVICE_NAMES: [&str; 14] = [
    "admin",
    "auth",
    "console",
    "events",
    "eventstore",
    "gateway",
    "ledger",
    "livez",
    "lombard",
    "metrics",
    "oauth",
    "readyz",
    "registry",
    "v1",
];

fn is_service_name(text: &str) -> bool {
    !TAKEN_SERVICE_NAMES.contains(&text)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A text is not a name of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {bytes_max} bytes: {grammar}")]
pub struct ParseNameError {
    grammar: &'static str,
    bytes_max: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars() {
        assert!("customers/42/wallet".parse::<AccountPath>().is_ok());
        assert!("world".parse::<AccountPath>().is_ok());
        for path in ["", "/a", "a/", "a//b", "a/../b", ".", "a b", "ä", "a/*", &"x".repeat(201)] {
            assert!(path.parse::<AccountPath>().is_err(), "{path:?}");
        }
        assert!("payments-2".parse::<ServiceName>().is_ok());
        for name in [
            "",
            "v1",
            "ledger",
            "admin",
            "Payments",
            "2pay",
            "pay-",
            "pay.ments",
            "v1/x",
            &"x".repeat(64),
        ] {
            assert!(name.parse::<ServiceName>().is_err(), "{name:?}");
        }
        assert!("payment-42:a.b_c".parse::<StreamName>().is_ok());
        for name in ["", "a/b", "a b", "a\n", "\u{0}"] {
            assert!(name.parse::<StreamName>().is_err(), "{name:?}");
        }
    }
}
