//! Names as certificates have them (RFC 4514).

use std::{collections::BTreeSet, fmt, str::FromStr};

/// A distinguished name: what says in a certificate whose it is. Two are the same if they have the same attributes in the same
/// order; values count as they stand, also their case.
#[derive(Clone)]
pub struct DistinguishedName {
    /// As it was said.
    text: Box<str>,
    /// From the most particular to the widest, as RFC 4514 writes them.
    names: Vec<RelativeName>,
}

/// The attributes of one level, each as its OID in dotted form and its value. Their order means nothing.
pub type RelativeName = BTreeSet<(Box<str>, Box<str>)>;

/// A text is not a distinguished name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a distinguished name is like CN=shop,O=Shop Ltd,C=DE (RFC 4514), of at most 1024 bytes, with attributes CN, C, L, ST, STREET, \
     O, OU, DC, UID, SERIALNUMBER, organizationIdentifier, emailAddress or an OID"
)]
pub struct ParseDistinguishedNameError;

/// Short names of attributes (RFC 4514 section 3, RFC 4519, and those in certificates of banks).
const ATTRIBUTES: [(&str, &str); 12] = [
    ("CN", "2.5.4.3"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("organizationIdentifier", "2.5.4.97"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("emailAddress", "1.2.840.113549.1.9.1"),
];
const BYTES_MAX: usize = 1024;

impl DistinguishedName {
    /// From the attributes of a certificate, which has the widest first.
    pub fn of_certificate(names: Vec<RelativeName>) -> Self {
        Self { text: Box::default(), names: names.into_iter().rev().collect() }
    }

    /// As it was said; empty where it comes from a certificate.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl Eq for DistinguishedName {}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl FromStr for DistinguishedName {
    type Err = ParseDistinguishedNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > BYTES_MAX {
            return Err(ParseDistinguishedNameError);
        }
        let mut names = Vec::new();
        for level in split(text, ',') {
            let mut name = RelativeName::new();
            for attribute in split(level, '+') {
                if !name.insert(read_attribute(attribute).ok_or(ParseDistinguishedNameError)?) {
                    return Err(ParseDistinguishedNameError);
                }
            }
            names.push(name);
        }
        Ok(Self { text: text.into(), names })
    }
}

/// Splits where the separator is not escaped.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut is_escaped) = (0, false);
    for (index, character) in text.char_indices() {
        if !is_escaped && character == separator {
            parts.push(text.get(start..index).unwrap_or_default());
            start = index + character.len_utf8();
        }
        is_escaped = !is_escaped && character == '\\';
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

fn read_attribute(text: &str) -> Option<(Box<str>, Box<str>)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim();
    let known = ATTRIBUTES.iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
    let oid = match known {
        Some((_, oid)) => oid,
        None if is_oid(name) => name,
        None => return None,
    };
    let value = unescape(value)?;
    // `#` begins a value in BER, which no name here needs.
    (!value.is_empty()).then(|| (oid.into(), value.into()))
}

fn is_oid(name: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.contains('.') && name.split('.').all(is_number)
}

/// Takes spaces around a value away that are not escaped, and escapes (RFC 4514 section 2.4).
fn unescape(value: &str) -> Option<String> {
    let value = value.trim_start_matches(' ');
    if value.starts_with('#') {
        return None;
    }
    let mut bytes = Vec::with_capacity(value.len());
    // How much of it stays, whatever is trimmed at the end.
    let mut kept = 0;
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => {
                let next = rest.next()?;
                match char::from(next).to_digit(16) {
                    Some(high) => {
                        let low = char::from(rest.next()?).to_digit(16)?;
                        bytes.push(u8::try_from(high << 4 | low).ok()?);
                    }
                    None if b" \"#+,;<=>\\".contains(&next) => bytes.push(next),
                    None => return None,
                }
                kept = bytes.len();
            }
            b'"' | b';' | b'<' | b'>' | 0 => return None,
            b' ' => bytes.push(b' '),
            byte => {
                bytes.push(byte);
                kept = bytes.len();
            }
        }
    }
    bytes.truncate(kept);
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<DistinguishedName> {
        text.parse().ok()
    }

    /// In the order of a certificate.
    fn certificate(names: &[&[(&str, &str)]]) -> DistinguishedName {
        let own = |(oid, value): &(&str, &str)| ((*oid).into(), (*value).into());
        DistinguishedName::of_certificate(
            names.iter().map(|name| name.iter().map(own).collect()).collect(),
        )
    }

    #[test]
    fn names_are_compared_as_rfc_4514_reads_them() {
        let shop = certificate(&[
            &[("2.5.4.6", "DE")],
            &[("2.5.4.10", "Shop, Söhne & Co.")],
            &[("2.5.4.3", "shop"), ("0.9.2342.19200300.100.1.1", "7")],
        ]);
        for text in [
            "CN=shop+UID=7,O=Shop\\, Söhne & Co.,C=DE",
            "uid=7+cn=shop, O = Shop\\2C S\\C3\\B6hne & Co. , C=DE",
            "2.5.4.3=shop+0.9.2342.19200300.100.1.1=7,2.5.4.10=Shop\\, Söhne & Co.,2.5.4.6=DE",
        ] {
            assert_eq!(parse(text), Some(shop.clone()), "{text}");
        }
        for text in [
            "C=DE,O=Shop\\, Söhne & Co.,CN=shop+UID=7",
            "CN=shop,O=Shop\\, Söhne & Co.,C=DE",
            "CN=Shop+UID=7,O=Shop\\, Söhne & Co.,C=DE",
            "CN=shop,UID=7,O=Shop\\, Söhne & Co.,C=DE",
            "CN=shop+UID=7,O=Shop\\, Söhne & Co.,C=DE,C=DE",
            "CN=shop+UID=7,O=Shop\\, Söhne & Co.\\ ,C=DE",
        ] {
            let other = parse(text);
            assert!(other.is_some() && other != Some(shop.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("CN={}", "a".repeat(BYTES_MAX));
        for text in [
            "",
            ",",
            "CN",
            "CN=",
            "CN= ",
            "=x",
            "XX=x",
            "CN=a,",
            "CN=a+",
            "CN=a\\",
            "CN=a\\z",
            "CN=a\\f",
            "CN=\\ff",
            "CN=\"a\"",
            "CN=#04024869",
            "CN=a;O=b",
            "CN=<a>",
            "2.=x",
            "2=x",
            "CN=a+CN=a",
            &long,
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
