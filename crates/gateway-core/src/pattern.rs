//! Which paths a configured route takes, and what it captures of them.

use crate::NormalPath;

/// The paths of a route: literal segments and parameters such as `{id}`, each of which stands for one segment that is
/// not empty; then the end of the path, or anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub(crate) segments: Vec<Segment>,
    pub(crate) end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(Box<str>),
    Parameter(Box<str>),
}

/// What follows the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Nothing.
    Exact,
    /// Nothing, or more segments.
    Prefix,
}

/// A text is not the pattern of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePatternError {
    /// Not in the one spelling of [`NormalPath`].
    #[error(
        "its literal parts are not a normalized path: begin with '/', no empty, '.' or '..' segment, capital hexadecimal digits"
    )]
    NotNormal,
    /// A prefix that ends with `/` is the same as the one without, so only that is taken.
    #[error("a prefix does not end with '/'")]
    ClosingSlash,
    /// Braces elsewhere than around a whole segment, or a name that is none.
    #[error("a parameter is a whole segment {{name}} of small letters, digits and '_'")]
    Parameter,
    /// The same name twice.
    #[error("two parameters have the same name")]
    RepeatedParameter,
    /// Too many.
    #[error(
        "there are more than {} segments, or more than {} parameters",
        Pattern::SEGMENTS_MAX,
        Pattern::PARAMETERS_MAX
    )]
    TooLong,
}

/// Where the parameters of a pattern are in a path, and where what follows a prefix begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    spans: [(u16, u16); Pattern::PARAMETERS_MAX],
    count: usize,
    pub(crate) rest: u16,
}

impl Pattern {
    /// Most segments.
    pub const SEGMENTS_MAX: usize = 32;
    /// Most parameters.
    pub const PARAMETERS_MAX: usize = 8;

    /// Reads a pattern such as `/customers/{id}/payments`.
    pub fn parse(text: &str, end: End) -> Result<Self, ParsePatternError> {
        // With its parameters replaced by any word, a pattern is a path as it is matched.
        let mut plain = String::new();
        let mut segments = Vec::new();
        for segment in segments_of(text.strip_prefix('/').ok_or(ParsePatternError::NotNormal)?) {
            plain.push('/');
            match parameter(segment)? {
                Some(name) => {
                    plain.push('x');
                    segments.push(Segment::Parameter(name.into()));
                }
                None => {
                    plain.push_str(segment);
                    segments.push(Segment::Literal(segment.into()));
                }
            }
        }
        if plain.is_empty() {
            plain.push('/');
        }
        if !NormalPath::parse(&plain).is_ok_and(|path| path.as_str() == plain) {
            return Err(ParsePatternError::NotNormal);
        }
        if end == End::Prefix && plain.len() > 1 && plain.ends_with('/') {
            return Err(ParsePatternError::ClosingSlash);
        }
        let pattern = Self { segments, end };
        let names: Vec<&str> = pattern.parameters().collect();
        if pattern.segments.len() > Self::SEGMENTS_MAX || names.len() > Self::PARAMETERS_MAX {
            return Err(ParsePatternError::TooLong);
        }
        if (1..names.len()).any(|index| {
            names
                .get(..index)
                .is_some_and(|before| names.get(index).is_some_and(|name| before.contains(name)))
        }) {
            return Err(ParsePatternError::RepeatedParameter);
        }
        Ok(pattern)
    }

    /// The names of the parameters, in their order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter(name) => Some(&**name),
        })
    }

    /// What follows the segments.
    pub const fn end(&self) -> End {
        self.end
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.segments.is_empty() {
            f.write_str("/")?;
        }
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
            }
        }
        match self.end {
            End::Exact => Ok(()),
            End::Prefix if self.segments.is_empty() => f.write_str("*"),
            End::Prefix => f.write_str("/*"),
        }
    }
}

impl Captures {
    pub(crate) fn push(&mut self, start: usize, end: usize) {
        // A path is at most 8192 bytes long, and a pattern has at most as many parameters as there is room for.
        let span = (offset(start), offset(end));
        if let Some(free) = self.spans.get_mut(self.count) {
            *free = span;
            self.count += 1;
        }
    }

    pub(crate) fn pop(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    pub(crate) fn end_at(&mut self, start: usize) {
        self.rest = offset(start);
    }

    /// The text of a parameter, by its number.
    pub fn get<'a>(&self, path: &'a NormalPath, index: usize) -> &'a str {
        let span = self.spans.get(index).filter(|_| index < self.count);
        let (start, end) = span.copied().unwrap_or_default();
        path.as_str().get(usize::from(start)..usize::from(end)).unwrap_or_default()
    }

    /// What follows the segments of a prefix: nothing, or a text that begins with `/`.
    pub fn rest<'a>(&self, path: &'a NormalPath) -> &'a str {
        path.as_str().get(usize::from(self.rest)..).unwrap_or_default()
    }
}

/// The segments of a path without its first `/`; none of `/` itself.
pub(crate) fn segments_of(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(move |_| !path.is_empty())
}

fn offset(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

fn parameter(segment: &str) -> Result<Option<&str>, ParsePatternError> {
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    match inner {
        Some(name) if is_name(name) => Ok(Some(name)),
        None if !segment.contains(['{', '}']) => Ok(None),
        _ => Err(ParsePatternError::Parameter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        use ParsePatternError as E;
        for (text, end, expected) in [
            ("/", End::Exact, Ok("/")),
            ("/", End::Prefix, Ok("/*")),
            ("/a/{id}/b", End::Exact, Ok("/a/{id}/b")),
            ("/a/{id}", End::Prefix, Ok("/a/{id}/*")),
            ("/a/", End::Exact, Ok("/a/")),
            ("/a/", End::Prefix, Err(E::ClosingSlash)),
            ("a", End::Exact, Err(E::NotNormal)),
            ("", End::Exact, Err(E::NotNormal)),
            ("/a//b", End::Exact, Err(E::NotNormal)),
            ("/../b", End::Exact, Err(E::NotNormal)),
            ("/%7e", End::Exact, Err(E::NotNormal)),
            ("/a;b", End::Exact, Err(E::NotNormal)),
            ("/a{id}", End::Exact, Err(E::Parameter)),
            ("/{}", End::Exact, Err(E::Parameter)),
            ("/{Id}", End::Exact, Err(E::Parameter)),
            ("/{a}/{a}", End::Exact, Err(E::RepeatedParameter)),
            ("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", End::Exact, Err(E::TooLong)),
        ] {
            let parsed = Pattern::parse(text, end).map(|pattern| pattern.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        }
    }
}
