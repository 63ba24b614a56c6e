//! What a request expects of the stream, as RFC 9110 section 13.1 says it.

use http::HeaderMap;
use lombard_chassis::{Problem, extract::single_header};
use lombard_eventstore_core::Expected;

use crate::problem;

const IF_MATCH: &str = "if-match";
const IF_NONE_MATCH: &str = "if-none-match";

/// `If-Match: "7"`: the last revision is 7. `If-Match: *`: the stream exists. `If-None-Match: *`: it does not. Neither
/// header: anything.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let wanted = single_header(headers, IF_MATCH)?;
    let unwanted = single_header(headers, IF_NONE_MATCH)?;
    match (wanted, unwanted) {
        (None, None) => Ok(Expected::Any),
        (Some("*"), None) => Ok(Expected::StreamExists),
        (Some(tag), None) => revision(tag).ok_or_else(|| {
            problem::invalid_header(IF_MATCH, "must be one revision in quotes, such as \"7\", or *")
        }),
        (None, Some("*")) => Ok(Expected::NoStream),
        (None, Some(_)) => Err(problem::invalid_header(IF_NONE_MATCH, "must be *")),
        (Some(_), Some(_)) => {
            Err(problem::invalid_header(IF_NONE_MATCH, "cannot stand beside if-match"))
        }
    }
}

/// A strong entity tag that is one of ours: no other spelling of a number, so that equal tags are equal texts.
fn revision(tag: &str) -> Option<Expected> {
    let text = tag.strip_prefix('"')?.strip_suffix('"')?;
    let revision: lombard_types::Revision = text.parse().ok()?;
    (revision.to_string() == text).then_some(Expected::Exactly(revision))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use lombard_types::Revision;

    use super::*;

    #[test]
    fn headers_become_expectations() {
        let exactly_7 = Some(Expected::Exactly(Revision::new(7)));
        for (headers, wanted) in [
            (&[][..], Some(Expected::Any)),
            (&[(IF_MATCH, "\"7\"")], exactly_7),
            (&[(IF_MATCH, "*")], Some(Expected::StreamExists)),
            (&[(IF_NONE_MATCH, "*")], Some(Expected::NoStream)),
            (&[(IF_MATCH, "7")], None),
            (&[(IF_MATCH, "\"07\"")], None),
            (&[(IF_MATCH, "\"-1\"")], None),
            (&[(IF_MATCH, "W/\"7\"")], None),
            (&[(IF_MATCH, "\"7\", \"8\"")], None),
            (&[(IF_MATCH, "\"18446744073709551616\"")], None),
            (&[(IF_MATCH, "\"")], None),
            (&[(IF_MATCH, "")], None),
            (&[(IF_MATCH, "\"7\""), (IF_MATCH, "\"7\"")], None),
            (&[(IF_NONE_MATCH, "\"7\"")], None),
            (&[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")], None),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(expected(&map).ok(), wanted, "{headers:?}");
        }
    }
}
