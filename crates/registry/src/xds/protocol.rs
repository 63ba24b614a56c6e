//! What both variants of the protocol have in common.

use std::collections::BTreeSet;

use super::kind::Kind;
use crate::view::RegistryView;

/// What a request said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It may have changed what is wanted.
    Taken,
    /// The last answer was refused, for this reason. It is not sent again before something changes.
    Refused(String),
    /// It answers to an answer that was followed by another.
    Outdated,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The type is not served.
    UnknownType,
    /// More names than the limit.
    TooManyNames,
}

/// What one type asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) names: &'a BTreeSet<String>,
    pub(super) is_all: bool,
}

impl<'a> Wanted<'a> {
    /// `None` where it is nothing.
    pub(super) fn some(names: &'a BTreeSet<String>, is_all: bool) -> Option<Self> {
        (is_all || !names.is_empty()).then_some(Self { names, is_all })
    }
}

/// One variant of it, on one stream.
pub(super) trait Protocol: Sized {
    type Request;
    type Response;

    /// A stream that may ask for so many names of each type.
    fn new(names_max: usize) -> Self;

    /// How the client calls itself.
    fn node(request: &Self::Request) -> &str;

    fn receive(&mut self, request: Self::Request) -> Result<Received, Broken>;

    /// What is asked for of a type; `None` where that is nothing.
    fn wanted(&self, kind: Kind) -> Option<Wanted<'_>>;

    /// The only service whose changes concern this stream; `None` where it is more than one, or none yet.
    fn only_name(&self) -> Option<&str> {
        let mut all = Kind::ALL.into_iter().filter_map(|kind| self.wanted(kind));
        let wants_all = all.any(|wanted| wanted.is_all);
        let names = self.wanted(Kind::Endpoints)?.names;
        names.first().filter(|_| names.len() == 1 && !wants_all).map(String::as_str)
    }

    /// What is to be sent now, in the order in which resources refer to each other.
    fn due(&mut self, view: &RegistryView) -> Vec<Self::Response>;
}
