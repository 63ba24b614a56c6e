//! Finds the route of a request among many: a tree over the segments of paths for each host.
//!
//! The order in which routes are tried is a total one, so that adding a route never changes what another request gets:
//! an exact host before a wildcard (the longer first) before any host; then segment by segment a literal before a
//! parameter before the end of a prefix; then the one with methods before the one without, the one with more headers
//! before the one with fewer, and the first of the file.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use crate::{
    NormalPath,
    pattern::{Captures, End, Pattern, Segment},
};

/// What is looked up here comes from the configuration and is never iterated: no caller can fill a bucket.
type Map<V> = HashMap<Box<str>, V, BuildHasherDefault<DefaultHasher>>;

/// Which hosts a route takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostPattern {
    /// All of them.
    #[default]
    Any,
    /// This one; small letters, no port.
    Exact(Box<str>),
    /// All that end with this, such as `.example.com` for `*.example.com`.
    Under(Box<str>),
}

/// A text is not a host or `*.` and a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host is a name or an address without a port, such as api.example.com, or *.example.com")]
pub struct ParseHostError;

/// A header that a request must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// In small letters.
    pub name: Box<str>,
    /// Its value; any where it is missing.
    pub value: Option<Box<str>>,
}

/// Which requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// By host.
    pub host: HostPattern,
    /// By path.
    pub pattern: Pattern,
    /// By method; all where there is none.
    pub methods: Vec<Box<str>>,
    /// By headers; all of them must fit.
    pub headers: Vec<HeaderRule>,
}

/// What is asked about a request.
pub struct Asked<'a, H> {
    /// The Host header or the authority, as it came.
    pub host: &'a str,
    /// The normalized path.
    pub path: &'a NormalPath,
    /// The method.
    pub method: &'a str,
    /// Whether the request has such a header.
    pub has_header: H,
}

impl<H> std::fmt::Debug for Asked<'_, H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked")
            .field("host", &self.host)
            .field("path", &self.path)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// The routes of a configuration, ready to be searched. Search takes time by the length of the path and not by the number of
/// routes.
#[derive(Clone, Debug, Default)]
pub struct RouteIndex {
    rules: Vec<Arc<Rule>>,
    exact: Map<Tree>,
    under: Map<Tree>,
    any: Tree,
}

#[derive(Clone, Debug, Default)]
struct Tree {
    /// The first is the root, which is made with the first rule.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    literals: Map<usize>,
    parameter: Option<usize>,
    /// Rules whose path ends here, in the order of trying.
    exact: Vec<usize>,
    /// Rules whose prefix ends here.
    prefix: Vec<usize>,
}

impl RouteIndex {
    /// Most routes with the same host and path, which are told apart by method and headers one after the other.
    pub const ALIKE_MAX: usize = 64;

    /// An index over rules, which may be those of another index. A route is later named by its place in this list. Says which rules have more than
    /// [`Self::ALIKE_MAX`] others with the same host and path.
    pub fn new(rules: Vec<impl Into<Arc<Rule>>>) -> Result<Self, Vec<usize>> {
        let rules: Vec<Arc<Rule>> = rules.into_iter().map(Into::into).collect();
        let mut index = Self::default();
        let mut too_many = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            let tree = match &rule.host {
                HostPattern::Any => &mut index.any,
                HostPattern::Exact(host) => index.exact.entry(host.clone()).or_default(),
                HostPattern::Under(suffix) => index.under.entry(suffix.clone()).or_default(),
            };
            let alike = tree.insert(&rule.pattern);
            alike.push(number);
            // What is tried first: methods, then headers, then the place in the file. The sort is stable.
            alike.sort_by_key(|number| rules.get(*number).map(|rule| precedence(rule)));
            if alike.len() > Self::ALIKE_MAX {
                too_many.push(number);
            }
        }
        index.rules = rules;
        if too_many.is_empty() { Ok(index) } else { Err(too_many) }
    }

    /// The rule that takes a request, and what it captures.
    pub fn find<H: Fn(&HeaderRule) -> bool>(
        &self,
        asked: &Asked<'_, H>,
    ) -> Option<(usize, Captures)> {
        if self.rules.is_empty() {
            return None;
        }
        let search = Search { rules: &self.rules, asked };
        if !self.exact.is_empty() || !self.under.is_empty() {
            let host = normal_host(asked.host);
            if let Some(found) = self.exact.get(&*host).and_then(|tree| search.tree(tree)) {
                return Some(found);
            }
            for (dot, _) in host.match_indices('.') {
                let suffix = host.get(dot..).unwrap_or_default();
                if let Some(found) = self.under.get(suffix).and_then(|tree| search.tree(tree)) {
                    return Some(found);
                }
            }
        }
        search.tree(&self.any)
    }

    /// The rules, in their order.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }
}

fn precedence(rule: &Rule) -> (bool, std::cmp::Reverse<usize>) {
    (rule.methods.is_empty(), std::cmp::Reverse(rule.headers.len()))
}

impl Tree {
    fn insert(&mut self, pattern: &Pattern) -> &mut Vec<usize> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for segment in &pattern.segments {
            let free = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { break };
            at = match segment {
                Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(free),
                Segment::Parameter(_) => *node.parameter.get_or_insert(free),
            };
            if at == free {
                self.nodes.push(Node::default());
            }
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "every index that a node holds was made with a node"
        )]
        let node = &mut self.nodes[at];
        match pattern.end {
            End::Exact => &mut node.exact,
            End::Prefix => &mut node.prefix,
        }
    }
}

struct Search<'a, H> {
    rules: &'a [Arc<Rule>],
    asked: &'a Asked<'a, H>,
}

impl<H: Fn(&HeaderRule) -> bool> Search<'_, H> {
    fn tree(&self, tree: &Tree) -> Option<(usize, Captures)> {
        let mut captures = Captures::default();
        let length = self.asked.path.as_str().len();
        // Without its first '/'. A path of nothing else has no segment.
        let start = if length == 1 { None } else { Some(1) };
        let found = self.node(tree, 0, start, 0, &mut captures)?;
        Some((found, captures))
    }

    /// `start`: where the next segment begins, `None` behind the last one. `end`: where the last one ended. The depth is
    /// bounded by the longest pattern, and no node is looked at twice.
    fn node(
        &self,
        tree: &Tree,
        at: usize,
        start: Option<usize>,
        end: usize,
        captures: &mut Captures,
    ) -> Option<usize> {
        let node = tree.nodes.get(at)?;
        if let Some(start) = start {
            let left = self.asked.path.as_str().get(start..)?;
            let segment = left.split('/').next().unwrap_or_default();
            let end = start + segment.len();
            let next = (segment.len() < left.len()).then_some(end + 1);
            if let Some(child) = node.literals.get(segment)
                && let Some(found) = self.node(tree, *child, next, end, captures)
            {
                return Some(found);
            }
            if let Some(child) = node.parameter
                && !segment.is_empty()
            {
                captures.push(start, end);
                if let Some(found) = self.node(tree, child, next, end, captures) {
                    return Some(found);
                }
                captures.pop();
            }
        } else if let Some(found) = self.first(&node.exact) {
            captures.end_at(end);
            return Some(found);
        }
        let found = self.first(&node.prefix)?;
        captures.end_at(end);
        Some(found)
    }

    fn first(&self, candidates: &[usize]) -> Option<usize> {
        candidates
            .iter()
            .copied()
            .find(|number| self.rules.get(*number).is_some_and(|rule| self.fits(rule)))
    }

    fn fits(&self, rule: &Rule) -> bool {
        let is_method = rule.methods.is_empty()
            || rule.methods.iter().any(|method| **method == *self.asked.method);
        is_method && rule.headers.iter().all(|header| (self.asked.has_header)(header))
    }
}

/// A host in small letters, without its port and the dot of the root.
pub fn normal_host(host: &str) -> std::borrow::Cow<'_, str> {
    let without_port = match host.rfind(':') {
        // The colons of an address of version 6 are inside brackets.
        Some(colon) if !host.get(colon..).is_some_and(|rest| rest.contains(']')) => {
            host.get(..colon).unwrap_or_default()
        }
        _ => host,
    };
    let name = without_port.strip_suffix('.').unwrap_or(without_port);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}

impl std::str::FromStr for HostPattern {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Self, ParseHostError> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let is_ip6 = name.len() == text.len()
            && name
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
        if name.len() > 253 || !(is_ip6 || name.split('.').all(is_label)) {
            return Err(ParseHostError);
        }
        if name.len() == text.len() {
            Ok(Self::Exact(name.into()))
        } else {
            Ok(Self::Under(format!(".{name}").into()))
        }
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(host) => f.write_str(host),
            Self::Under(suffix) => write!(f, "*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests;
