//! Scopes: what a token permits. `family:operation`, optionally `:path`, whose end `*` stands for any continuation; and the
//! words of OpenID Connect, which permit nothing at a resource.

use std::{fmt, str::FromStr};

/// The scope that permits everything at the resource that the token is for.
const ADMIN: &str = "admin";
/// The scopes of OpenID Connect (Core sections 5.4 and 11): what a client may know of a person, and whether it may go on
/// while the person is away.
const IDENTITY: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// One scope, such as `ledger:write:customers/42/*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    text: Box<str>,
}

/// A text is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is `admin`, `openid`, `profile`, `email`, `offline_access`, `family:operation` or `family:operation:path` of \
     at most 200 characters without spaces, where \
     only the end of the path may be `*`"
)]
pub struct ParseScopeError;

impl Scope {
    const BYTES_MAX: usize = 200;

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is `admin`.
    pub fn is_admin(&self) -> bool {
        &*self.text == ADMIN
    }

    /// Whether this is one of `openid`, `profile`, `email` and `offline_access`, which are about a person and permit nothing
    /// at a resource.
    pub fn is_identity(&self) -> bool {
        IDENTITY.contains(&&*self.text)
    }

    /// What the scope is about: `ledger`. `None` for `admin`, which is about anything, and for those about a person.
    pub fn family(&self) -> Option<&str> {
        Some(self.text.split_once(':')?.0)
    }

    fn parts(&self) -> Option<(&str, &str, Option<&str>)> {
        let mut parts = self.text.splitn(3, ':');
        Some((parts.next()?, parts.next()?, parts.next()))
    }

    /// Whether this scope permits `operation` of `family`, on `path`, or on everything where `path` is `None`.
    pub fn permits(&self, family: &str, operation: &str, path: Option<&str>) -> bool {
        if self.is_admin() {
            return true;
        }
        let Some((own_family, own_operation, pattern)) = self.parts() else { return false };
        own_family == family && own_operation == operation && matches(pattern, path)
    }

    /// Whether whoever holds this scope may give away `narrower`.
    pub fn covers(&self, narrower: &Self) -> bool {
        match narrower.parts() {
            None => self.is_admin() || self == narrower,
            Some((family, operation, pattern)) => {
                match pattern.map(|pattern| pattern.strip_suffix('*').unwrap_or(pattern)) {
                    None => self.permits(family, operation, None),
                    Some(stem) => {
                        // A narrower prefix is covered by a wider one; an exact path by the same path or a prefix.
                        let is_prefix = narrower.text.ends_with('*');
                        self.is_admin()
                            || self.parts().is_some_and(|(own_family, own_operation, own)| {
                                let is_same = own_family == family && own_operation == operation;
                                is_same
                                    && match own {
                                        None => true,
                                        Some(own) => match own.strip_suffix('*') {
                                            Some(prefix) => stem.starts_with(prefix),
                                            None => !is_prefix && own == stem,
                                        },
                                    }
                            })
                    }
                }
            }
        }
    }
}

fn matches(pattern: Option<&str>, path: Option<&str>) -> bool {
    match (pattern, path) {
        (None, _) => true,
        // A scope with a path does not permit what has none, that is everything.
        (Some("*"), None) => true,
        (Some(_), None) => false,
        (Some(pattern), Some(path)) => match pattern.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => pattern == path,
        },
    }
}

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        let is_word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word.bytes().all(|byte| {
                    byte.is_ascii_lowercase()
                        || byte.is_ascii_digit()
                        || byte == b'-'
                        || byte == b'_'
                })
        };
        let is_path = |path: &str| {
            let stem = path.strip_suffix('*').unwrap_or(path);
            !path.is_empty()
                && stem
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:@/".contains(&byte))
                && !stem.split('/').any(|segment| segment == "..")
        };
        let fits = text == ADMIN || IDENTITY.contains(&text) || {
            let mut parts = text.splitn(3, ':');
            parts.next().is_some_and(is_word)
                && parts.next().is_some_and(is_word)
                && parts.next().is_none_or(is_path)
        };
        if text.len() > Self::BYTES_MAX || !fits {
            return Err(ParseScopeError);
        }
        Ok(Self { text: text.into() })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A list of scopes in its own order, each once. Its text form has one space between them (RFC 6749 section 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// Most scopes in one set.
    pub const COUNT_MAX: usize = 50;

    /// The scopes.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this very scope is in it.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|own| *own.text == *scope)
    }

    /// Whether any scope permits `operation` of `family`, on `path`, or on everything where `path` is `None`.
    pub fn permits(&self, family: &str, operation: &str, path: Option<&str>) -> bool {
        self.0.iter().any(|scope| scope.permits(family, operation, path))
    }

    /// Whether any scope is of this family, or `admin`.
    pub fn has_family(&self, family: &str) -> bool {
        self.0.iter().any(|scope| scope.is_admin() || scope.family() == Some(family))
    }

    /// What of these somebody with `rights` may give: those that the rights cover, and of wider ones the rights within them.
    /// Scopes about a person are that person's to give.
    #[must_use]
    pub fn within(&self, rights: &Self) -> Self {
        let within = |scope: &Scope| -> Vec<Scope> {
            if scope.is_identity() || rights.iter().any(|right| right.covers(scope)) {
                return vec![scope.clone()];
            }
            rights.iter().filter(|right| scope.covers(right)).cloned().collect()
        };
        self.iter().flat_map(within).collect()
    }

    /// Whether each scope of `narrower` is covered by one of these.
    pub fn covers(&self, narrower: &Self) -> bool {
        narrower.0.iter().all(|scope| self.0.iter().any(|own| own.covers(scope)))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Self::default();
        for scope in scopes {
            if !set.0.contains(&scope) {
                set.0.push(scope);
            }
        }
        set
    }
}

impl FromStr for ScopeSet {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.split(' ').count() > Self::COUNT_MAX {
            return Err(ParseScopeError);
        }
        text.split(' ').map(str::parse).collect()
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&scope.text)?;
        }
        Ok(())
    }
}
