//! Proofs of possession that were used: each is good once (RFC 9449 section 11.1).

use std::collections::{BTreeMap, HashSet};

use aws_lc_rs::digest;
use lombard_types::Timestamp;
use parking_lot::Mutex;

use crate::{DpopProof, VerifyError};

/// Proofs that are remembered until they expire, a minute and a half at most: 2000 requests a second.
const COUNT_MAX: usize = 200_000;

/// The proofs that could still be replayed, by half of their SHA-256.
#[derive(Debug, Default)]
pub(crate) struct UsedProofs {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    seen: HashSet<[u8; 16]>,
    /// By the second in which they expire, so that they are forgotten by the second.
    by_expiry: BTreeMap<u64, Vec<[u8; 16]>>,
}

impl UsedProofs {
    /// Uses a proof. Where no more can be remembered, none is taken.
    pub(crate) fn spend(&self, proof: &DpopProof, now: Timestamp) -> Result<(), VerifyError> {
        self.spend_within(proof, now, COUNT_MAX)
    }

    fn spend_within(
        &self,
        proof: &DpopProof,
        now: Timestamp,
        count_max: usize,
    ) -> Result<(), VerifyError> {
        let mut context = digest::Context::new(&digest::SHA256);
        // A thumbprint has always the same length, so that it ends where the id begins.
        context.update(proof.key_thumbprint.as_bytes());
        context.update(proof.token_id.as_bytes());
        let mut key = [0; 16];
        for (byte, hashed) in key.iter_mut().zip(context.finish().as_ref()) {
            *byte = *hashed;
        }
        let mut inner = self.inner.lock();
        inner.forget(now);
        if inner.seen.contains(&key) {
            return Err(VerifyError::ProofReplayed);
        }
        if inner.seen.len() >= count_max {
            return Err(VerifyError::TooManyProofs);
        }
        inner.seen.insert(key);
        inner.by_expiry.entry(proof.expires_at.unix_seconds()).or_default().push(key);
        Ok(())
    }
}

impl Inner {
    /// Forgets what has expired before the current second.
    fn forget(&mut self, now: Timestamp) {
        let current = self.by_expiry.split_off(&now.unix_seconds());
        for key in std::mem::replace(&mut self.by_expiry, current).into_values().flatten() {
            self.seen.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_until_it_expires_and_memory_is_bounded() {
        let used = UsedProofs::default();
        let at = Timestamp::from_unix_seconds;
        let spend = |id: &str, now| {
            let proof = DpopProof {
                key_thumbprint: "k".into(),
                token_id: id.into(),
                nonce: None,
                expires_at: at(100),
            };
            used.spend_within(&proof, at(now), 2)
        };
        assert_eq!(spend("a", 1), Ok(()));
        assert_eq!(spend("a", 100), Err(VerifyError::ProofReplayed));
        assert_eq!(spend("b", 1), Ok(()));
        assert_eq!(spend("c", 1), Err(VerifyError::TooManyProofs));
        assert_eq!(spend("c", 101), Ok(()));
    }
}
