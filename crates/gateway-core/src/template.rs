//! Texts with parameters of a path in them: the path that an upstream sees, the scope that a token must have.

use lombard_token::{Scope, ScopeSet};

use crate::{Captures, End, NormalPath, Pattern};

/// A text such as `customers/{id}/*`, whose parameters are those of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Capture(usize),
}

/// A text is not a template for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTemplateError {
    /// A brace without its other one.
    #[error("a brace has no other one")]
    Brace,
    /// Not a parameter of the route's path.
    #[error("it names a parameter that the route's path does not have")]
    UnknownParameter,
    /// Not in the one spelling of a path, or a parameter that is not a whole segment.
    #[error("it is not a normalized path whose parameters are whole segments")]
    NotAPath,
    /// Not a scope with words in place of the parameters.
    #[error("it is not a scope such as ledger:write:customers/{{id}}/*")]
    NotAScope,
}

impl Template {
    fn parse(text: &str, pattern: &Pattern) -> Result<Self, ParseTemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let (literal, after) = rest.split_at(brace);
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.into()));
            }
            let inner = after.strip_prefix('{').ok_or(ParseTemplateError::Brace)?;
            let (name, after) = inner.split_once('}').ok_or(ParseTemplateError::Brace)?;
            let index = pattern.parameters().position(|parameter| parameter == name);
            parts.push(Part::Capture(index.ok_or(ParseTemplateError::UnknownParameter)?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        Ok(Self { parts })
    }

    fn fill_with<'a>(&'a self, get: impl Fn(usize) -> &'a str) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => &**text,
                Part::Capture(index) => get(*index),
            })
            .collect()
    }

    fn fill(&self, path: &NormalPath, captures: &Captures) -> String {
        let mut filled = String::with_capacity(64);
        for part in &self.parts {
            filled.push_str(match part {
                Part::Literal(text) => text,
                Part::Capture(index) => captures.get(path, *index),
            });
        }
        filled
    }

    fn has_captures(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Capture(_)))
    }
}

/// The path that an upstream sees. Under a prefix, what followed it follows here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    template: Template,
    end: End,
}

impl Rewrite {
    /// Reads the path for an upstream, such as `/v2/{id}`, for a route with this pattern.
    pub fn parse(text: &str, pattern: &Pattern) -> Result<Self, ParseTemplateError> {
        let template = Template::parse(text, pattern)?;
        // Each parameter is a whole segment: two different words both give the path with that word as a segment.
        let plain = template.fill_with(|_| "x");
        let is_normal = NormalPath::parse(&plain).is_ok_and(|path| path.as_str() == plain);
        let is_whole = text.split('/').all(|segment| {
            !segment.contains('{')
                || (segment.starts_with('{') && segment.find('}') == Some(segment.len() - 1))
        });
        let closes = pattern.end() == End::Prefix && plain.len() > 1 && plain.ends_with('/');
        if !is_normal || !is_whole || closes {
            return Err(ParseTemplateError::NotAPath);
        }
        Ok(Self { template, end: pattern.end() })
    }

    /// The path for the upstream. It is normalized, as both its parts are.
    pub fn apply(&self, path: &NormalPath, captures: &Captures) -> String {
        let mut filled = self.template.fill(path, captures);
        if self.end == End::Prefix {
            let rest = captures.rest(path);
            if filled == "/" && !rest.is_empty() {
                filled.clear();
            }
            filled.push_str(rest);
        }
        filled
    }
}

/// Any text with parameters of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathText {
    template: Template,
}

impl PathText {
    /// Reads a text such as `customers/{id}`, for a route with this pattern.
    pub fn parse(text: &str, pattern: &Pattern) -> Result<Self, ParseTemplateError> {
        Template::parse(text, pattern).map(|template| Self { template })
    }

    /// The text for this path.
    pub fn fill(&self, path: &NormalPath, captures: &Captures) -> String {
        self.template.fill(path, captures)
    }
}

/// A scope that a token must cover, which may depend on the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredScope {
    template: Template,
    /// Where it does not depend on the path.
    fixed: Option<Scope>,
}

impl RequiredScope {
    /// Reads a scope such as `ledger:write:customers/{id}/*`, for a route with this pattern.
    pub fn parse(text: &str, pattern: &Pattern) -> Result<Self, ParseTemplateError> {
        let template = Template::parse(text, pattern)?;
        let sample: Scope =
            template.fill_with(|_| "x").parse().map_err(|_| ParseTemplateError::NotAScope)?;
        // A parameter in the family or the operation would let the caller choose what is asked of it.
        let fixed_part = text.split(':').take(2).any(|part| part.contains('{'));
        if fixed_part {
            return Err(ParseTemplateError::NotAScope);
        }
        let fixed = (!template.has_captures()).then_some(sample);
        Ok(Self { template, fixed })
    }

    /// Whether scopes cover it for this path. A path that makes no scope is covered by `admin` only.
    pub fn is_met_by(&self, scopes: &ScopeSet, path: &NormalPath, captures: &Captures) -> bool {
        let is_covered = |wanted: &Scope| scopes.iter().any(|own| own.covers(wanted));
        match &self.fixed {
            Some(fixed) => is_covered(fixed),
            None => match self.template.fill(path, captures).parse() {
                Ok(wanted) => is_covered(&wanted),
                Err(_) => scopes.iter().any(Scope::is_admin),
            },
        }
    }

    /// The scope to ask for, as text.
    pub fn text(&self, path: &NormalPath, captures: &Captures) -> String {
        self.template.fill(path, captures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Asked, HostPattern, RouteIndex, Rule};

    fn captured(pattern: &Pattern, path: &str) -> (NormalPath, Captures) {
        let path = NormalPath::parse(path).unwrap();
        let rule = Rule {
            host: HostPattern::Any,
            pattern: pattern.clone(),
            methods: Vec::new(),
            headers: Vec::new(),
        };
        let index = RouteIndex::new(vec![rule]).unwrap();
        let asked = Asked { host: "", path: &path, method: "GET", has_header: |_: &_| true };
        let captures = index.find(&asked).unwrap().1;
        (path, captures)
    }

    #[test]
    fn rewrites() {
        for (pattern, end, rewrite, path, expected) in [
            ("/a", End::Prefix, "/", "/a", "/"),
            ("/a", End::Prefix, "/", "/a/", "/"),
            ("/a", End::Prefix, "/", "/a/b", "/b"),
            ("/a", End::Prefix, "/v2", "/a", "/v2"),
            ("/a", End::Prefix, "/v2", "/a/b/", "/v2/b/"),
            ("/c/{id}", End::Prefix, "/x/{id}/y", "/c/7/p%C3%A9", "/x/7/y/p%C3%A9"),
            ("/c/{a}/{b}", End::Exact, "/{b}/{a}", "/c/1/2", "/2/1"),
            ("/", End::Prefix, "/v1", "/", "/v1/"),
            ("/", End::Prefix, "/v1", "/a", "/v1/a"),
        ] {
            let pattern = Pattern::parse(pattern, end).unwrap();
            let rewrite = Rewrite::parse(rewrite, &pattern).unwrap();
            let (path, captures) = captured(&pattern, path);
            let written = rewrite.apply(&path, &captures);
            assert_eq!(written, expected);
            assert_eq!(NormalPath::parse(&written).unwrap().as_str(), written);
        }
        let pattern = Pattern::parse("/c/{id}", End::Prefix).unwrap();
        for (text, error) in [
            ("/{other}", ParseTemplateError::UnknownParameter),
            ("/{id", ParseTemplateError::Brace),
            ("/id}", ParseTemplateError::Brace),
            ("/x{id}", ParseTemplateError::NotAPath),
            ("/{id}{id}", ParseTemplateError::NotAPath),
            ("x", ParseTemplateError::NotAPath),
            ("/a/../b", ParseTemplateError::NotAPath),
            ("/a/", ParseTemplateError::NotAPath),
        ] {
            assert_eq!(Rewrite::parse(text, &pattern), Err(error), "{text}");
        }
    }

    #[test]
    fn scopes_follow_the_path() {
        let pattern = Pattern::parse("/c/{id}", End::Prefix).unwrap();
        let required = RequiredScope::parse("ledger:write:customers/{id}/*", &pattern).unwrap();
        for (path, scopes, expected) in [
            ("/c/42/x", "ledger:write:customers/42/*", true),
            ("/c/42/x", "ledger:write:customers/*", true),
            ("/c/42/x", "ledger:write", true),
            ("/c/42/x", "admin", true),
            ("/c/42/x", "ledger:write:customers/4/*", false),
            ("/c/42/x", "ledger:write:customers/42", false),
            ("/c/42/x", "ledger:read:customers/42/*", false),
            // What would widen the scope that is asked for makes none.
            ("/c/*/x", "ledger:write:customers/42/*", false),
            ("/c/*/x", "ledger:write", false),
            ("/c/*/x", "admin", true),
            ("/c/4%202/x", "ledger:write", false),
        ] {
            let (path, captures) = captured(&pattern, path);
            let scopes = scopes.parse().unwrap();
            assert_eq!(required.is_met_by(&scopes, &path, &captures), expected, "{path} {scopes}");
        }
        for text in ["{id}:write", "ledger:{id}", "ledger", "ledger:write:{id}*x"] {
            let error = RequiredScope::parse(text, &pattern);
            assert_eq!(error, Err(ParseTemplateError::NotAScope), "{text}");
        }
    }
}
