//! Certificates of clients (RFC 8705): where they are shown, and whose they are.

mod renewal;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use lombard_auth_core::{
    Authentication, CertificateNames, Client, DistinguishedName, RelativeName,
};
use lombard_chassis::{
    ClientCertificate,
    tls::{self, ServerCertificate},
};
use lombard_types::Timestamp;
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, UnixTime},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use serde::{Deserialize, Serialize};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
    time::ASN1Time,
    x509::X509Name,
};

pub(crate) use renewal::follow;

/// Where clients show certificates: the table `[auth.mtls]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MtlsConfig {
    /// Where the server listens with TLS of its own. Without it a proxy ends TLS, which `[server]
    /// client_certificate_headers_from` must believe.
    pub listen: Option<SocketAddr>,
    /// The public URL of that, or of the proxy, such as `https://mtls.bank.example`. Without it no client can authenticate with a
    /// certificate.
    pub url: Option<String>,
    /// The server's certificate with its chain, in PEM. This file and the next two are read again when they are replaced.
    pub certificate_file: Option<PathBuf>,
    /// Its private key, in PEM.
    pub key_file: Option<PathBuf>,
    /// The authorities that sign the certificates of clients of `tls_client_auth`, in PEM. Without it there are none such.
    pub client_ca_file: Option<PathBuf>,
    /// How often it is looked whether these files were replaced.
    pub files_check_ms: u64,
}

impl Default for MtlsConfig {
    fn default() -> Self {
        Self {
            listen: None,
            url: None,
            certificate_file: None,
            key_file: None,
            client_ca_file: None,
            files_check_ms: 10_000,
        }
    }
}

impl MtlsConfig {
    /// What is wrong with it, one line each.
    pub(crate) fn mistakes(&self) -> Vec<&'static str> {
        let mut mistakes = Vec::new();
        let url = self.url.as_deref();
        if url.is_some_and(|url| !url.starts_with("https://") || url.ends_with('/')) {
            mistakes.push("mtls.url is not an https URL without a slash at its end");
        }
        if self.listen.is_some()
            && (self.certificate_file.is_none() || self.key_file.is_none() || url.is_none())
        {
            mistakes.push("mtls.listen takes mtls.url, mtls.certificate_file and mtls.key_file");
        }
        if self.client_ca_file.is_some() && url.is_none() {
            mistakes.push("mtls.client_ca_file takes mtls.url");
        }
        if self.files_check_ms < 10 {
            mistakes.push("mtls.files_check_ms is below 10");
        }
        mistakes
    }

    /// What the listener shows; `None` where there is none.
    pub(crate) fn server(&self) -> Result<Option<Arc<ServerCertificate>>, String> {
        match (self.listen, &self.certificate_file, &self.key_file) {
            (Some(_), Some(certificate), Some(key)) => {
                ServerCertificate::read(certificate, key).map(|it| Some(Arc::new(it)))
            }
            _ => Ok(None),
        }
    }

    /// The files that may be replaced.
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate_file, &self.key_file, &self.client_ca_file].into_iter().flatten()
    }

    pub(crate) const fn files_check(&self) -> Duration {
        Duration::from_millis(self.files_check_ms)
    }
}

/// Whose certificates are taken.
#[derive(Debug)]
pub(crate) struct ClientCertificates {
    /// Checks what authorities have signed.
    authorities: ArcSwapOption<Authorities>,
}

type Authorities = Arc<dyn ClientCertVerifier>;

/// Why a certificate does not show that it is the client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    /// The client does not authenticate so.
    #[error("the client does not authenticate with a certificate")]
    OtherMethod,
    /// Only its digest is known.
    #[error("the certificate itself was not passed on")]
    DigestOnly,
    /// There are no authorities.
    #[error("no authorities are configured (client_ca_file)")]
    NoAuthorities,
    /// Not signed by one of them for this purpose, or at another time.
    #[error("it is not signed by a known authority, or not good now: {0}")]
    Chain(String),
    /// It is of somebody else.
    #[error("it is not the client's")]
    OtherSubject,
    /// It cannot be read.
    #[error("it cannot be read")]
    Malformed,
    /// Too old, or from the future.
    #[error("it has expired or is not valid yet")]
    Expired,
}

impl ClientCertificates {
    /// Reads the authorities that the configuration names.
    pub(crate) fn new(config: &MtlsConfig) -> Result<Self, String> {
        let own = Self { authorities: ArcSwapOption::empty() };
        own.reload(config)?;
        Ok(own)
    }

    /// Reads them again: from the next request on they are the ones that count. A file that cannot be used changes nothing.
    pub(crate) fn reload(&self, config: &MtlsConfig) -> Result<(), String> {
        let Some(file) = &config.client_ca_file else { return Ok(()) };
        let roots = Arc::new(tls::authorities(file)?);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
        let verifier = verifier.map_err(|error| format!("{}: {error}", file.display()))?;
        self.authorities.store(Some(Arc::new(verifier)));
        Ok(())
    }

    /// Whether there can be clients of `tls_client_auth`.
    pub(crate) fn has_authorities(&self) -> bool {
        self.authorities.load().is_some()
    }

    /// Checks that a certificate, whose key somebody has proved, is the client's now: also on a connection that is older.
    pub(crate) fn check(
        &self,
        client: &Client,
        shown: &ClientCertificate,
        now: Timestamp,
    ) -> Result<(), CertificateError> {
        match &client.authentication {
            Authentication::Certificate(subject) => {
                let names = self.verified_names(&shown.chain, now)?;
                if subject.is_among(&names) { Ok(()) } else { Err(CertificateError::OtherSubject) }
            }
            Authentication::SelfSignedCertificate { sha256s } => {
                if !sha256s.contains(&shown.sha256) {
                    return Err(CertificateError::OtherSubject);
                }
                let leaf = shown.chain.first().ok_or(CertificateError::DigestOnly)?;
                check_validity(&read(leaf)?, now)
            }
            _ => Err(CertificateError::OtherMethod),
        }
    }

    /// What a certificate says that an authority has signed.
    fn verified_names(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<CertificateNames, CertificateError> {
        let (leaf, intermediates) = chain.split_first().ok_or(CertificateError::DigestOnly)?;
        let authorities = self.authorities.load();
        let authorities = authorities.as_ref().ok_or(CertificateError::NoAuthorities)?;
        let time = std::time::Duration::from_secs(now.unix_seconds());
        authorities
            .verify_client_cert(leaf, intermediates, UnixTime::since_unix_epoch(time))
            .map_err(|error| CertificateError::Chain(error.to_string()))?;
        names(&read(leaf)?).ok_or(CertificateError::Malformed)
    }
}

/// Reads a certificate that is to be registered itself, and its digest.
pub(crate) fn register(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    read(certificate).ok()?;
    Some(lombard_chassis::certificate_sha256(certificate))
}

fn read<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, CertificateError> {
    match X509Certificate::from_der(certificate) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::Malformed),
    }
}

fn check_validity(
    certificate: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<(), CertificateError> {
    let now = i64::try_from(now.unix_seconds()).ok();
    let now = now.and_then(|now| ASN1Time::from_timestamp(now).ok());
    if now.is_some_and(|now| certificate.validity().is_valid_at(now)) {
        Ok(())
    } else {
        Err(CertificateError::Expired)
    }
}

/// `None` where the certificate has two lists of other names, or attributes that are no text.
fn names(certificate: &X509Certificate<'_>) -> Option<CertificateNames> {
    let subject = DistinguishedName::of_certificate(relative_names(certificate.subject())?);
    let (mut dns, mut uris, mut ips, mut emails) = (vec![], vec![], vec![], vec![]);
    if let Some(others) = certificate.subject_alternative_name().ok()? {
        for name in &others.value.general_names {
            match name {
                GeneralName::DNSName(name) => dns.push((*name).into()),
                GeneralName::URI(uri) => uris.push((*uri).into()),
                GeneralName::RFC822Name(address) => emails.push((*address).into()),
                GeneralName::IPAddress(bytes) => ips.push(address(bytes)?),
                _ => {}
            }
        }
    }
    Some(CertificateNames { subject, dns, uris, ips, emails })
}

fn relative_names(name: &X509Name<'_>) -> Option<Vec<RelativeName>> {
    let level = |level: &x509_parser::x509::RelativeDistinguishedName<'_>| {
        level
            .iter()
            .map(|attribute| {
                let oid = attribute.attr_type().to_id_string();
                Some((oid.into(), attribute.as_str().ok()?.into()))
            })
            .collect::<Option<RelativeName>>()
    };
    name.iter_rdn().map(level).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
