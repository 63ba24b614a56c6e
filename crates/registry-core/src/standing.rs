//! How an instance stands: what it says of its health, and whether somebody keeps traffic away from it.

use std::{fmt, str::FromStr};

/// What an instance says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Not yet able to serve.
    Starting,
    /// Able to serve.
    #[default]
    Passing,
    /// Able to serve, with something wrong.
    Warning,
    /// Not able to serve.
    Critical,
}

/// Whether traffic is kept away from an instance, whatever its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// It is not.
    #[default]
    Serving,
    /// It is about to leave: it finishes what it has and gets nothing new.
    Draining,
    /// An operator has taken it out, until they say otherwise; also over a new registration.
    Maintenance,
}

/// Both, and what was said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the instance says.
    pub health: Health,
    /// Whether traffic is kept away.
    pub mode: Mode,
    /// Why, in the words of whoever said so last. May be empty.
    pub note: Note,
}

/// A reason in words: at most 200 bytes without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note(Box<str>);

/// A text is no note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a note is at most {} bytes without control characters", Note::BYTES_MAX)]
pub struct ParseNoteError;

/// A text names no health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be starting, passing, warning or critical")]
pub struct ParseHealthError;

// === impl Health ===

impl Health {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Starting, Self::Passing, Self::Warning, Self::Critical];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The worse of two words about one instance. What cannot serve is worse than what can.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |health: Self| match health {
            Self::Passing => 0,
            Self::Warning => 1,
            Self::Starting => 2,
            Self::Critical => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    /// Whether it is able to serve.
    pub const fn can_serve(self) -> bool {
        matches!(self, Self::Passing | Self::Warning)
    }
}

impl FromStr for Health {
    type Err = ParseHealthError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|health| health.name() == text);
        found.copied().ok_or(ParseHealthError)
    }
}

// === impl Mode ===

impl Mode {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Serving, Self::Draining, Self::Maintenance];
}

// === impl Standing ===

impl Standing {
    /// Whether new requests may be sent to it.
    pub fn takes_traffic(&self) -> bool {
        self.mode == Mode::Serving && self.health.can_serve()
    }

    /// One word for both: the mode where traffic is kept away, the health where it is not. [`crate::Instance::state`] also
    /// knows of its lease.
    pub const fn state(&self) -> &'static str {
        match self.mode {
            Mode::Serving => self.health.name(),
            Mode::Draining => "draining",
            Mode::Maintenance => "maintenance",
        }
    }
}

// === impl Note ===

impl Note {
    /// Longest note.
    pub const BYTES_MAX: usize = 200;

    /// The note as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Note {
    type Err = ParseNoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::BYTES_MAX || text.chars().any(char::is_control) {
            return Err(ParseNoteError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_serves_and_can_gets_traffic() {
        for (mode, health, takes_traffic, state) in [
            (Mode::Serving, Health::Starting, false, "starting"),
            (Mode::Serving, Health::Passing, true, "passing"),
            (Mode::Serving, Health::Warning, true, "warning"),
            (Mode::Serving, Health::Critical, false, "critical"),
            (Mode::Draining, Health::Passing, false, "draining"),
            (Mode::Maintenance, Health::Passing, false, "maintenance"),
        ] {
            let standing = Standing { health, mode, note: Note::default() };
            assert_eq!((standing.takes_traffic(), standing.state()), (takes_traffic, state));
        }
    }

    #[test]
    fn names_and_notes_have_a_grammar() {
        for health in Health::ALL {
            assert_eq!(health.name().parse(), Ok(*health));
        }
        assert_eq!("Passing".parse::<Health>(), Err(ParseHealthError));
        assert_eq!("the disk is slow".parse::<Note>().unwrap().as_str(), "the disk is slow");
        for text in ["a\nb", &"x".repeat(201)] {
            assert_eq!(text.parse::<Note>(), Err(ParseNoteError));
        }
    }
}
