//! Authorization requests that are under way: pushed (RFC 9126), or waiting for a person to log in and decide.
//!
//! In memory: whoever is asked while the server restarts begins again at the client.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use lombard_auth_core::User;
use lombard_types::Timestamp;
use lombard_webauthn::Challenge;
use parking_lot::Mutex;

use crate::{oauth::AuthorizationRequest, totp::TotpSecret};

/// Names a request: 128 random bits in hexadecimal digits.
pub(crate) type RequestId = Box<str>;

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) request: Arc<AuthorizationRequest>,
    /// When a browser came with it. Who must log in anew does so after this.
    pub(crate) since: Timestamp,
    /// Who has shown the password, as the person was then, where a second factor is missing still.
    pub(crate) passed: Option<Arc<User>>,
    /// The secret of the authenticator app that the person is setting up.
    pub(crate) enrolling: Option<Arc<TotpSecret>>,
    /// What a passkey must sign on the page that was shown last.
    pub(crate) challenge: Option<Challenge>,
    /// SHA-256 of the secret of the browser that came with it, and alone may go on with it.
    browser_sha256: Option<[u8; 32]>,
    expires_at: Timestamp,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct PendingRequests {
    inner: Mutex<Inner>,
    count_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<RequestId, Pending>,
    by_expiry: BTreeSet<(Timestamp, RequestId)>,
}

/// There are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl PendingRequests {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { inner: Mutex::default(), count_max }
    }

    /// Keeps a request that no browser has come with yet.
    pub(crate) fn push(
        &self,
        id: RequestId,
        request: impl Into<Arc<AuthorizationRequest>>,
        life: Duration,
        now: Timestamp,
    ) -> Result<(), Full> {
        let mut inner = self.inner.lock();
        inner.forget(now);
        if inner.by_id.len() >= self.count_max {
            return Err(Full);
        }
        let expires_at = now.plus(life);
        let request = request.into();
        let pending = Pending {
            request,
            since: now,
            passed: None,
            enrolling: None,
            challenge: None,
            browser_sha256: None,
            expires_at,
        };
        inner.by_expiry.insert((expires_at, id.clone()));
        inner.by_id.insert(id, pending);
        Ok(())
    }

    /// A browser comes with a request of `client_id`, once: from then on it is that browser's, for so long.
    pub(crate) fn open(
        &self,
        id: &str,
        client_id: &str,
        browser_sha256: [u8; 32],
        life: Duration,
        now: Timestamp,
    ) -> Option<Pending> {
        let mut inner = self.inner.lock();
        inner.forget(now);
        let pending = inner.by_id.get_mut(id)?;
        if pending.request.client.id.as_str() != client_id {
            return None;
        }
        match pending.browser_sha256 {
            // The same page again.
            Some(browser) => return (browser == browser_sha256).then(|| pending.clone()),
            None => pending.browser_sha256 = Some(browser_sha256),
        }
        let before = pending.expires_at;
        (pending.since, pending.expires_at) = (now, now.plus(life));
        let opened = pending.clone();
        inner.by_expiry.remove(&(before, id.into()));
        inner.by_expiry.insert((opened.expires_at, id.into()));
        Some(opened)
    }

    /// A request that this browser has come with.
    pub(crate) fn of_browser(
        &self,
        id: &str,
        browser_sha256: [u8; 32],
        now: Timestamp,
    ) -> Option<Pending> {
        let mut inner = self.inner.lock();
        inner.forget(now);
        let found = inner.by_id.get(id)?;
        (found.browser_sha256 == Some(browser_sha256)).then(|| found.clone())
    }

    /// Changes a request that this browser has come with.
    pub(crate) fn change<T>(
        &self,
        id: &str,
        browser_sha256: [u8; 32],
        now: Timestamp,
        change: impl FnOnce(&mut Pending) -> T,
    ) -> Option<T> {
        let mut inner = self.inner.lock();
        inner.forget(now);
        let found = inner.by_id.get_mut(id)?;
        (found.browser_sha256 == Some(browser_sha256)).then(|| change(found))
    }

    /// A request is answered. False where it was so already: it is answered once.
    pub(crate) fn close(&self, id: &str) -> bool {
        let mut inner = self.inner.lock();
        let Some(pending) = inner.by_id.remove(id) else { return false };
        inner.by_expiry.remove(&(pending.expires_at, id.into()));
        true
    }
}

impl Inner {
    fn forget(&mut self, now: Timestamp) {
        while let Some((expires_at, _)) = self.by_expiry.first()
            && *expires_at <= now
            && let Some((_, id)) = self.by_expiry.pop_first()
        {
            self.by_id.remove(&id);
        }
    }
}
