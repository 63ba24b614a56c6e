//! TLS: which certificate a client is shown, whose certificates clients may show, and what is shown to upstreams.
//!
//! A configuration of TLS is made whole from files and then never changes; new files make a new one, which new connections
//! use. So certificates are replaced without an effect on connections that are there.

use std::{collections::HashMap, path::Path, sync::Arc};

use lombard_chassis::tls::{authorities, certified, read_certificates, read_key};
use lombard_gateway_core::HostPattern;
use rustls::{
    ClientConfig, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::ServerName,
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use crate::settings::{CertificateSettings, ClientAuthSettings, UpstreamTlsSettings};

const H2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// What clients are shown and may show.
pub(crate) fn server(
    certificates: &[CertificateSettings],
    client_auth: ClientAuthSettings,
    client_ca_file: Option<&Path>,
) -> Result<Arc<ServerConfig>, Vec<String>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut mistakes = Vec::new();
    let resolver = Certificates::read(certificates, &provider, &mut mistakes);
    let verifier = client_verifier(client_auth, client_ca_file, &provider)
        .map_err(|mistake| mistakes.push(mistake))
        .ok()
        .flatten();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| vec![error.to_string()])?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1.to_vec()];
    Ok(Arc::new(config))
}

fn client_verifier(
    client_auth: ClientAuthSettings,
    ca_file: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    if client_auth == ClientAuthSettings::None {
        return Ok(None);
    }
    let file = ca_file.ok_or("client_auth: it needs client_ca_file")?;
    let roots = Arc::new(authorities(file)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let builder = if client_auth == ClientAuthSettings::Optional {
        builder.allow_unauthenticated()
    } else {
        builder
    };
    builder.build().map(Some).map_err(|error| format!("client_ca_file: {error}"))
}

/// Whether both sides settled on HTTP/2.
pub(crate) fn is_h2(protocol: Option<&[u8]>) -> bool {
    protocol == Some(H2)
}

/// Certificates by the name that a client asks for (SNI, RFC 6066 section 3).
#[derive(Debug, Default)]
struct Certificates {
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    under: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// For clients that ask for no name: the first of the configuration. Who asks for a name that is not here gets none.
    first: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    fn read(
        settings: &[CertificateSettings],
        provider: &CryptoProvider,
        mistakes: &mut Vec<String>,
    ) -> Self {
        let mut own = Self::default();
        for (index, certificate) in settings.iter().enumerate() {
            let place = format!("certificate {}", index + 1);
            let key = certified(&certificate.certificate_file, &certificate.key_file, provider);
            let key = match key {
                Ok(key) => Arc::new(key),
                Err(mistake) => {
                    mistakes.push(format!("{place}: {mistake}"));
                    continue;
                }
            };
            own.first.get_or_insert_with(|| Arc::clone(&key));
            for name in &certificate.names {
                match name.parse() {
                    Ok(HostPattern::Exact(name)) => drop(own.exact.insert(name, Arc::clone(&key))),
                    Ok(HostPattern::Under(name)) => drop(own.under.insert(name, Arc::clone(&key))),
                    Ok(HostPattern::Any) | Err(_) => {
                        mistakes.push(format!("{place}: {name} is not a host name or *. and one"));
                    }
                }
            }
        }
        if own.first.is_none() && mistakes.is_empty() {
            mistakes.push("certificate: TLS needs at least one".to_owned());
        }
        own
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name() else { return self.first.clone() };
        let name = name.to_ascii_lowercase();
        // A wildcard stands for one label (RFC 6125 section 6.4.3).
        let under = || self.under.get(name.get(name.find('.')?..)?);
        self.exact.get(&*name).or_else(under).cloned()
    }
}

/// How an upstream is spoken to.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamTls {
    pub(crate) config: Arc<ClientConfig>,
    /// The name that its certificate must have; that of the address where it is missing.
    pub(crate) server_name: Option<ServerName<'static>>,
}

impl UpstreamTls {
    /// Reads the files that the settings name.
    pub(crate) fn new(settings: &UpstreamTlsSettings, is_h2: bool) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = authorities(&settings.ca_file)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let mut config = match (&settings.certificate_file, &settings.key_file) {
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(read_certificates(certificate)?, read_key(key)?)
                .map_err(|error| format!("{}: {error}", key.display()))?,
            (None, None) => builder.with_no_client_auth(),
            _ => return Err("certificate_file and key_file belong together".to_owned()),
        };
        config.alpn_protocols = vec![if is_h2 { H2.to_vec() } else { HTTP_1.to_vec() }];
        let server_name = match &settings.server_name {
            Some(name) => Some(
                ServerName::try_from(name.clone())
                    .map_err(|_| format!("{name} is not a server name"))?,
            ),
            None => None,
        };
        Ok(Self { config: Arc::new(config), server_name })
    }
}
