//! Which servers want nonces in proofs of possession (RFC 9449), and the secret that they make them from.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use lombard_token::DpopNonces;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{data_directory::DataDirectory, role::Role};

/// The table `dpop`, which every role reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DpopConfig {
    /// The servers that want them, such as `["gateway", "auth"]`.
    pub(crate) nonces: Vec<Role>,
    /// How long a nonce is good at least; it is so for less than twice as long.
    pub(crate) nonce_seconds: u64,
    /// The file of the 32 bytes that nonces are made from. Servers with the same take each other's nonces. Where none is
    /// said it is in the data directory, and made if it is not there.
    pub(crate) nonce_secret_file: Option<PathBuf>,
}

impl Default for DpopConfig {
    fn default() -> Self {
        Self { nonces: Vec::new(), nonce_seconds: 300, nonce_secret_file: None }
    }
}

impl DpopConfig {
    /// What `role` makes nonces with, if it wants them.
    pub(crate) fn nonces_of(
        &self,
        role: Role,
        directory: &DataDirectory,
    ) -> anyhow::Result<Option<Arc<DpopNonces>>> {
        ensure!((10..=3600).contains(&self.nonce_seconds), "dpop.nonce_seconds is not 10 to 3600");
        if self.nonces.contains(&Role::Console) {
            bail!("dpop.nonces has the console, which takes no proofs");
        }
        if !self.nonces.contains(&role) {
            return Ok(None);
        }
        let own = directory.path().join("identity").join("dpop-nonce.secret");
        let path = self.nonce_secret_file.as_ref().unwrap_or(&own);
        let may_make = self.nonce_secret_file.is_none();
        let secret = read_or_make(path, may_make)
            .with_context(|| format!("failed to read the secret of nonces {}", path.display()))?;
        Ok(Some(Arc::new(DpopNonces::new(&secret, Duration::from_secs(self.nonce_seconds)))))
    }
}

/// Several roles may come at once: the first one's secret is everybody's.
fn read_or_make(path: &std::path::Path, may_make: bool) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    if may_make && !path.exists() {
        let mut secret = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *secret).map_err(|_| anyhow::anyhow!("no randomness"))?;
        let made = path.with_extension(format!("made-by-{}", std::process::id()));
        crate::data_directory::write_private(&made, &*secret)?;
        let linked = fs::hard_link(&made, path);
        fs::remove_file(&made)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
    }
    let bytes = Zeroizing::new(fs::read(path)?);
    let secret = <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new);
    secret.map_err(|_| anyhow::anyhow!("it is not 32 bytes"))
}

#[cfg(test)]
mod tests {
    use lombard_types::Timestamp;

    use super::*;

    #[test]
    fn servers_of_one_platform_take_each_others_nonces() {
        let place = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open_or_create(&place.path().join("data")).unwrap();
        let config =
            DpopConfig { nonces: vec![Role::Auth, Role::Gateway], ..DpopConfig::default() };
        let nonces_of = |role| config.nonces_of(role, &directory).unwrap();
        assert!(nonces_of(Role::Ledger).is_none());
        let (auth, gateway) = (nonces_of(Role::Auth).unwrap(), nonces_of(Role::Gateway).unwrap());
        let now = Timestamp::from_unix_seconds(1_000_000);
        assert!(gateway.is_good(&auth.fresh(now), now));
    }

    #[test]
    fn mistakes_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open_or_create(&place.path().join("data")).unwrap();
        let good = DpopConfig { nonces: vec![Role::Auth], ..DpopConfig::default() };
        for (config, said) in [
            (DpopConfig { nonce_seconds: 1, ..good.clone() }, "nonce_seconds"),
            (DpopConfig { nonces: vec![Role::Console], ..good.clone() }, "console"),
            (DpopConfig { nonce_secret_file: Some("/nonexistent".into()), ..good }, "secret"),
        ] {
            let error = config.nonces_of(Role::Auth, &directory).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
