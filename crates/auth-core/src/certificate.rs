//! Which certificates are a client's (RFC 8705 section 2.1).

use std::net::IpAddr;

use crate::DistinguishedName;

/// What a client's certificate must say, which an authority has signed: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSubject {
    /// Its subject.
    DistinguishedName(DistinguishedName),
    /// A name of a host.
    Dns(Box<str>),
    /// A URI, compared as it stands.
    Uri(Box<str>),
    /// An address.
    Ip(IpAddr),
    /// A mail address, compared as it stands.
    Email(Box<str>),
}

/// What a certificate says whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNames {
    /// Its subject.
    pub subject: DistinguishedName,
    /// Its other names (RFC 5280 section 4.2.1.6).
    pub dns: Vec<Box<str>>,
    /// URIs.
    pub uris: Vec<Box<str>>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
    /// Mail addresses.
    pub emails: Vec<Box<str>>,
}

impl CertificateSubject {
    /// The members of a registration that say it (RFC 8705 section 2.1.2).
    pub const MEMBERS: [&'static str; 5] = [
        "tls_client_auth_subject_dn",
        "tls_client_auth_san_dns",
        "tls_client_auth_san_uri",
        "tls_client_auth_san_ip",
        "tls_client_auth_san_email",
    ];
    /// Longest name but the subject, in bytes.
    const BYTES_MAX: usize = 255;

    /// Reads a member of a registration.
    pub fn parse(member: &str, value: &str) -> Option<Self> {
        let is_name = !value.is_empty()
            && value.len() <= Self::BYTES_MAX
            && value.bytes().all(|byte| byte.is_ascii_graphic());
        match member {
            "tls_client_auth_subject_dn" => value.parse().ok().map(Self::DistinguishedName),
            "tls_client_auth_san_ip" => value.parse().ok().map(Self::Ip),
            // A wildcard says nothing of who it is.
            "tls_client_auth_san_dns" if is_name && !value.contains('*') => {
                Some(Self::Dns(value.into()))
            }
            "tls_client_auth_san_uri" if is_name && value.contains(':') => {
                Some(Self::Uri(value.into()))
            }
            "tls_client_auth_san_email" if is_name && value.contains('@') => {
                Some(Self::Email(value.into()))
            }
            _ => None,
        }
    }

    /// The member that says it.
    pub const fn member(&self) -> &'static str {
        let [subject_dn, dns, uri, ip, email] = Self::MEMBERS;
        match self {
            Self::DistinguishedName(_) => subject_dn,
            Self::Dns(_) => dns,
            Self::Uri(_) => uri,
            Self::Ip(_) => ip,
            Self::Email(_) => email,
        }
    }

    /// What it says.
    pub fn value(&self) -> String {
        match self {
            Self::DistinguishedName(name) => name.as_str().to_owned(),
            Self::Dns(text) | Self::Uri(text) | Self::Email(text) => text.to_string(),
            Self::Ip(address) => address.to_string(),
        }
    }

    /// Whether a certificate says that.
    pub fn is_among(&self, names: &CertificateNames) -> bool {
        match self {
            Self::DistinguishedName(name) => names.subject == *name,
            Self::Dns(name) => names.dns.iter().any(|other| other.eq_ignore_ascii_case(name)),
            Self::Uri(uri) => names.uris.contains(uri),
            Self::Ip(address) => names.ips.contains(address),
            Self::Email(address) => names.emails.contains(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_it_or_not() {
        let names = CertificateNames {
            subject: "CN=shop,O=Shop".parse().unwrap(),
            dns: vec!["*.example".into(), "Shop.example".into()],
            uris: vec!["spiffe://bank/shop".into()],
            ips: vec!["10.0.0.7".parse().unwrap()],
            emails: vec!["shop@bank.example".into()],
        };
        for (member, value, is_there) in [
            ("tls_client_auth_subject_dn", "cn=shop, o=Shop", true),
            ("tls_client_auth_subject_dn", "CN=shop", false),
            ("tls_client_auth_san_dns", "shop.EXAMPLE", true),
            ("tls_client_auth_san_dns", "till.example", false),
            ("tls_client_auth_san_uri", "spiffe://bank/shop", true),
            ("tls_client_auth_san_uri", "spiffe://bank/Shop", false),
            ("tls_client_auth_san_ip", "10.0.0.7", true),
            ("tls_client_auth_san_ip", "10.0.0.8", false),
            ("tls_client_auth_san_email", "shop@bank.example", true),
            ("tls_client_auth_san_email", "Shop@bank.example", false),
        ] {
            let subject = CertificateSubject::parse(member, value).unwrap();
            assert_eq!(subject.member(), member);
            assert_eq!(subject.is_among(&names), is_there, "{member} {value}");
            assert_eq!(CertificateSubject::parse(member, &subject.value()), Some(subject));
        }
        for (member, value) in [
            ("tls_client_auth_subject_dn", "shop"),
            ("tls_client_auth_san_dns", "*.example"),
            ("tls_client_auth_san_dns", "a b"),
            ("tls_client_auth_san_uri", "shop"),
            ("tls_client_auth_san_ip", "10.0.0"),
            ("tls_client_auth_san_email", "shop"),
            ("tls_client_auth_san", "shop"),
        ] {
            assert_eq!(CertificateSubject::parse(member, value), None, "{member} {value}");
        }
    }
}
