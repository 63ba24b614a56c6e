//! The grammars of attribute values.

/// RFC 3986, as far as its characters go: a URI reference has no spaces, controls, quotes, angle or curly brackets, and
/// `%` only before two hexadecimal digits.
pub(super) fn is_uri_reference(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                let mut is_hex = || bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
                is_hex() && is_hex()
            }
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            byte => byte.is_ascii_graphic(),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// A URI reference that begins with a scheme.
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && is_uri_reference(text)
}

/// `type/subtype`, then parameters after `;` (RFC 2046).
pub(super) fn is_media_type(text: &str) -> bool {
    let is_token = |token: &str| {
        !token.is_empty()
            && token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// RFC 3339, section 5.6: `2026-01-31T09:30:00.5+01:00`.
pub(super) fn is_instant(text: &str) -> bool {
    let is_shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                b'+' => matches!(byte, b'+' | b'-'),
                wanted => byte == wanted,
            })
    };
    let Some((instant, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else {
        return false;
    };
    let digits = rest.strip_prefix('.').map(|rest| {
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest.split_at_checked(length).unwrap_or_default()
    });
    let zone = match digits {
        None => rest,
        Some(("", _)) => return false,
        Some((_, zone)) => zone,
    };
    is_shaped(instant, "0000-00-00T00:00:00")
        && (zone.eq_ignore_ascii_case("z") || is_shaped(zone, "+00:00"))
        // Months have so many days, and the like.
        && text.parse::<lombard_types::Timestamp>().is_ok()
}

/// What names of attributes are made of.
pub(super) fn is_attribute_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(is_right: fn(&str) -> bool, right: &[&str], wrong: &[&str]) {
        for text in right {
            assert!(is_right(text), "{text:?}");
        }
        for text in wrong {
            assert!(!is_right(text), "{text:?}");
        }
    }

    #[test]
    fn grammars() {
        check(
            is_uri_reference,
            &["/payments", "urn:x:y", "https://a.example/b?c=%20#d", "a@b"],
            &["a b", "\u{7f}", "ä", "%2", "%zz", "<a>", "{a}"],
        );
        check(is_uri, &["https://a.example/s", "urn:x"], &["/a", "a", "1a:b", ":x", "a b:c"]);
        check(
            is_media_type,
            &["application/json", "text/plain; charset=utf-8", "application/x+json ;a"],
            &["", "json", "a/", "/b", "a b/c", "a/b c"],
        );
        check(
            is_instant,
            &[
                "2026-01-31T09:30:00Z",
                "2026-01-31t09:30:00.123456789z",
                "2026-01-31T09:30:00+01:00",
            ],
            &[
                "",
                "2026-01-31",
                "2026-02-30T00:00:00Z",
                "2026-01-31 09:30:00Z",
                "2026-01-31T09:30:00",
                "2026-01-31T09:30:00.Z",
                "2026-01-31T09:30:00Z[UTC]",
                "2026-01-31T09:30Z",
                "2026-01-31T09:30:00+01",
                "٢٠٢٦-01-31T09:30:00Z",
            ],
        );
    }
}
