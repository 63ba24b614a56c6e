//! Certificates that are replaced on disk are used without being told: whoever renews them need not know of the gateway.

use std::path::PathBuf;

use lombard_chassis::FileStamps;

use crate::{
    Config,
    settings::{self, CertificateSettings, UpstreamSettings},
    worker::Shared,
};

/// Looks at the files of TLS for ever, and applies the configuration in use again when one has changed. Files that do not fit
/// together change nothing: whoever replaces two of them is seen between the one and the other.
pub(crate) async fn follow(shared: &Shared) {
    let mut seen = stamps(&shared.current());
    loop {
        let config = shared.current();
        tokio::time::sleep(config.certificate_check()).await;
        let now = stamps(&shared.current());
        if now == seen {
            continue;
        }
        seen = now;
        if let Err(error) = shared.apply(shared.current()) {
            tracing::warn!(%error, "new files of TLS are not used");
        }
    }
}

fn stamps(config: &Config) -> FileStamps {
    FileStamps::of(files(config))
}

fn files(config: &Config) -> Vec<PathBuf> {
    // The configuration is in use, so there are no mistakes in it.
    let mut none = Vec::new();
    let certificates: Vec<CertificateSettings> =
        settings::read("certificate", &config.certificate, &mut none);
    let upstreams: Vec<UpstreamSettings> = settings::read("upstream", &config.upstream, &mut none);
    let mut files: Vec<PathBuf> = config.client_ca_file.iter().cloned().collect();
    for certificate in certificates {
        files.extend([certificate.certificate_file, certificate.key_file]);
    }
    for tls in upstreams.into_iter().filter_map(|upstream| upstream.tls) {
        files.push(tls.ca_file);
        files.extend(tls.certificate_file);
        files.extend(tls.key_file);
    }
    files
}
