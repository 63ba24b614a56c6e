//! The certificate that a client has shown: in the handshake of its connection, or to a proxy that ends TLS and is trusted to
//! say so.

use std::sync::Arc;

use axum::extract::Request;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use rustls::pki_types::CertificateDer;

/// RFC 9440 section 2.2.
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
/// RFC 9440 section 2.3.
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
/// What our own gateway says: the SHA-256 in hexadecimal digits.
const SHA256: HeaderName = HeaderName::from_static("x-lombard-client-certificate");
/// Most certificates between a client's and its authority's.
const CHAIN_MAX: usize = 8;

/// A client's certificate. An extension of a request, which is there where the client has shown one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The SHA-256 of it: what tokens are bound to (RFC 8705 section 3.1).
    pub sha256: [u8; 32],
    /// The certificate and those that signed it, in this order. Empty where a proxy has said no more than the digest.
    pub chain: Arc<[CertificateDer<'static>]>,
}

impl ClientCertificate {
    /// What was shown in a handshake; `None` without a certificate.
    pub fn of_chain(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let sha256 = sha256(chain.first()?);
        Some(Self { sha256, chain: chain.iter().map(|each| each.clone().into_owned()).collect() })
    }

    /// What a proxy says that it was shown. Who is no proxy that is trusted can say anything.
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let Some(leaf) = single(headers, &CLIENT_CERT) else {
            let sha256 = digest_in_hex(single(headers, &SHA256)?)?;
            return Some(Self { sha256, chain: Arc::new([]) });
        };
        let mut chain = vec![byte_sequence(leaf)?];
        for text in headers.get_all(CLIENT_CERT_CHAIN) {
            for each in text.to_str().ok()?.split(',') {
                chain.push(byte_sequence(each)?);
            }
        }
        if chain.len() > CHAIN_MAX {
            return None;
        }
        Self::of_chain(&chain)
    }

    /// Gives a request the certificate that came with it; nobody else can have put one there.
    pub(crate) fn put(certificate: Option<Self>, request: &mut Request) {
        request.extensions_mut().remove::<Self>();
        if let Some(certificate) = certificate {
            request.extensions_mut().insert(certificate);
        }
    }
}

/// The SHA-256 of a certificate.
pub fn sha256(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let mut sha256 = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    sha256.copy_from_slice(digest.as_ref());
    sha256
}

/// A header that is there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

/// `:` base64 `:` (RFC 8941 section 3.3.5).
fn byte_sequence(text: &str) -> Option<CertificateDer<'static>> {
    let encoded = text.trim().strip_prefix(':')?.strip_suffix(':')?;
    Some(STANDARD.decode(encoded).ok()?.into())
}

fn digest_in_hex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_says_is_read_strictly() {
        let of = |said: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in said {
                headers.append(*name, value.parse().unwrap());
            }
            ClientCertificate::of_headers(&headers)
        };
        let leaf =
            of(&[("client-cert", ":AQID:"), ("client-cert-chain", ":BA==:, :BQ==:")]).unwrap();
        assert_eq!(
            leaf.chain.iter().map(|each| each.to_vec()).collect::<Vec<_>>(),
            [vec![1, 2, 3], vec![4], vec![5]]
        );
        assert_eq!(leaf.sha256, sha256(&vec![1, 2, 3].into()));
        let hex = "0f".repeat(32);
        let digest = of(&[("x-lombard-client-certificate", &hex)]).unwrap();
        assert_eq!((digest.sha256, digest.chain.len()), ([15; 32], 0));
        let long = ":AQ==:,".repeat(8) + ":AQ==:";
        for said in [
            &[][..],
            &[("client-cert", "AQID")],
            &[("client-cert", ":AQID")],
            &[("client-cert", ":A_ID:")],
            &[("client-cert", ":AQID:"), ("client-cert", ":AQID:")],
            &[("client-cert", ":AQID:"), ("client-cert-chain", "x")],
            &[("client-cert", ":AQID:"), ("client-cert-chain", &long)],
            &[("x-lombard-client-certificate", "0f")],
            &[("x-lombard-client-certificate", &"zz".repeat(32))],
            &[("x-lombard-client-certificate", &hex), ("x-lombard-client-certificate", &hex)],
        ] {
            assert_eq!(of(said), None, "{said:?}");
        }
    }
}
