//! Certificates and authorities that are replaced on disk are used without being told: whoever renews them need not know of this
//! server. Connections that are there go on; which authorities count is asked at each request.

use lombard_chassis::{FileStamps, tls::ServerCertificate};

use super::{ClientCertificates, MtlsConfig};

/// Looks at the files for ever. Those that do not fit together change nothing: whoever replaces two of them is seen between the one
/// and the other.
pub(crate) async fn follow(
    config: &MtlsConfig,
    shown: Option<&ServerCertificate>,
    clients: &ClientCertificates,
) {
    let mut seen = FileStamps::of(config.files().cloned());
    loop {
        tokio::time::sleep(config.files_check()).await;
        let now = FileStamps::of(config.files().cloned());
        if now == seen {
            continue;
        }
        seen = now;
        if let Some(Err(error)) = shown.map(ServerCertificate::reload) {
            tracing::warn!(error, "the new certificate of the server is not used");
        }
        match clients.reload(config) {
            Ok(()) => tracing::info!("read the files of [auth.mtls] again"),
            Err(error) => tracing::warn!(error, "the new authorities of clients are not used"),
        }
    }
}
