//! Devices that wait for a person to allow them something in a browser elsewhere (RFC 8628).
//!
//! In memory: a device that waits while the server restarts begins again. What a person has allowed is in the log.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use lombard_types::Timestamp;
use parking_lot::Mutex;

use crate::oauth::AuthorizationRequest;

/// SHA-256 of a device code.
type CodeHash = [u8; 32];

/// Letters of user codes: no vowels, so that no words come of them, and nothing that looks like a digit (section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LETTERS_COUNT: usize = 8;
/// By how much a device must slow down each time that it asks too early (section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// What a person types in: 8 letters, 34 bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UserCode(String);

impl UserCode {
    /// Of random bytes; `None` where they would give some letters more often than others.
    pub(crate) fn from_random(bytes: &[u8]) -> Option<Self> {
        let fair =
            bytes.iter().filter(|byte| usize::from(**byte) < 256 / LETTERS.len() * LETTERS.len());
        let letters = fair.filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()));
        let text: String = letters.take(LETTERS_COUNT).map(|byte| char::from(*byte)).collect();
        (text.len() == LETTERS_COUNT).then_some(Self(text))
    }

    /// As somebody types it: in any case, with or without what is between.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let is_between = |c: char| c == '-' || c == ' ';
        let text: String =
            text.chars().filter(|c| !is_between(*c)).take(LETTERS_COUNT + 1).collect();
        let text = text.to_ascii_uppercase();
        let fits = text.len() == LETTERS_COUNT && text.bytes().all(|byte| LETTERS.contains(&byte));
        fits.then_some(Self(text))
    }

    /// As it is shown: `WDJB-MJHT`.
    pub(crate) fn shown(&self) -> String {
        let (head, tail) = self.0.split_at(LETTERS_COUNT / 2);
        format!("{head}-{tail}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Waiting,
    Allowed,
    Denied,
}

#[derive(Debug)]
struct Device {
    request: Arc<AuthorizationRequest>,
    user_code: UserCode,
    standing: Standing,
    expires_at: Timestamp,
    /// How long it must wait between two questions.
    interval: Duration,
    may_ask_at: Timestamp,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct DeviceRequests {
    inner: Mutex<Inner>,
    count_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    by_code: HashMap<CodeHash, Device>,
    by_user_code: HashMap<UserCode, CodeHash>,
    by_expiry: BTreeSet<(Timestamp, CodeHash)>,
}

/// A device cannot wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BeginError {
    /// There are too many.
    Full,
    /// Another one shows the same code.
    CodeTaken,
}

/// What a device is told that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// Nobody has decided.
    Waiting,
    /// It asks more often than it may.
    TooOften,
    Allowed,
    Denied,
    /// Never heard of, or too old, or of another client.
    Unknown,
}

impl DeviceRequests {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { inner: Mutex::default(), count_max }
    }

    /// A device begins to wait.
    pub(crate) fn begin(
        &self,
        code: CodeHash,
        user_code: UserCode,
        request: AuthorizationRequest,
        (life, interval): (Duration, Duration),
        now: Timestamp,
    ) -> Result<(), BeginError> {
        let mut inner = self.inner.lock();
        inner.forget(now);
        if inner.by_code.len() >= self.count_max {
            return Err(BeginError::Full);
        }
        if inner.by_user_code.contains_key(&user_code) {
            return Err(BeginError::CodeTaken);
        }
        let expires_at = now.plus(life);
        inner.by_expiry.insert((expires_at, code));
        inner.by_user_code.insert(user_code.clone(), code);
        let device = Device {
            request: Arc::new(request),
            user_code,
            standing: Standing::Waiting,
            expires_at,
            interval,
            may_ask_at: now,
        };
        inner.by_code.insert(code, device);
        Ok(())
    }

    /// What the device with this code asks for, while nobody has decided.
    pub(crate) fn find(
        &self,
        user_code: &UserCode,
        now: Timestamp,
    ) -> Option<Arc<AuthorizationRequest>> {
        let mut inner = self.inner.lock();
        inner.forget(now);
        let device = inner.by_code.get(inner.by_user_code.get(user_code)?)?;
        (device.standing == Standing::Waiting).then(|| Arc::clone(&device.request))
    }

    /// A person decides, once. False where that was so already, or the device waits no more.
    pub(crate) fn decide(&self, code: &CodeHash, is_allowed: bool, now: Timestamp) -> bool {
        let mut inner = self.inner.lock();
        inner.forget(now);
        let Some(device) = inner.by_code.get_mut(code) else { return false };
        if device.standing != Standing::Waiting {
            return false;
        }
        device.standing = if is_allowed { Standing::Allowed } else { Standing::Denied };
        true
    }

    /// The device asks. One that asks too often has to wait longer from then on.
    pub(crate) fn poll(&self, code: &CodeHash, client_id: &str, now: Timestamp) -> Poll {
        let mut inner = self.inner.lock();
        inner.forget(now);
        let Some(device) = inner.by_code.get_mut(code) else { return Poll::Unknown };
        if device.request.client.id.as_str() != client_id {
            return Poll::Unknown;
        }
        match device.standing {
            Standing::Denied => return Poll::Denied,
            Standing::Allowed => return Poll::Allowed,
            Standing::Waiting => {}
        }
        let is_early = now < device.may_ask_at;
        if is_early {
            device.interval += SLOW_DOWN;
        }
        device.may_ask_at = now.plus(device.interval);
        if is_early { Poll::TooOften } else { Poll::Waiting }
    }
}

impl Inner {
    fn forget(&mut self, now: Timestamp) {
        while let Some((expires_at, _)) = self.by_expiry.first()
            && *expires_at <= now
            && let Some((_, code)) = self.by_expiry.pop_first()
        {
            if let Some(device) = self.by_code.remove(&code) {
                debug_assert!(device.expires_at <= now, "it is known by one expiry");
                self.by_user_code.remove(&device.user_code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn code(text: &str) -> UserCode {
        UserCode::read(text).unwrap()
    }

    fn devices() -> DeviceRequests {
        let devices = DeviceRequests::new(2);
        begin(&devices, 1, "BCDFGHJK", 100).unwrap();
        devices
    }

    fn begin(devices: &DeviceRequests, number: u8, text: &str, now: u64) -> Result<(), BeginError> {
        let times = (Duration::from_secs(60), Duration::from_secs(5));
        let request = AuthorizationRequest::for_tests();
        devices.begin([number; 32], code(text), request, times, at(now))
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for text in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht "] {
            assert_eq!(UserCode::read(text).unwrap().shown(), "WDJB-MJHT", "{text}");
        }
        for text in ["", "WDJB", "WDJB-MJHTX", "WDJA-MJHT", "WDJ1-MJHT", "WDJB-MJH\u{130}"] {
            assert_eq!(UserCode::read(text), None, "{text}");
        }
        assert_eq!(UserCode::from_random(&[0; 8]).unwrap().shown(), "BBBB-BBBB");
        assert_eq!(UserCode::from_random(&[255; 100]), None, "would make some letters likelier");
        assert_eq!(UserCode::from_random(&[0; 7]), None);
    }

    #[test]
    fn a_device_that_asks_too_often_is_slowed_down() {
        let devices = devices();
        for (seconds, expected) in [
            (100, Poll::Waiting),
            (104, Poll::TooOften),
            // From now on every ten seconds.
            (113, Poll::TooOften),
            // Every fifteen.
            (128, Poll::Waiting),
            (143, Poll::Waiting),
        ] {
            assert_eq!(devices.poll(&[1; 32], "shop", at(seconds)), expected, "{seconds}");
        }
        assert_eq!(devices.poll(&[1; 32], "other", at(159)), Poll::Unknown);
        assert_eq!(devices.poll(&[1; 32], "shop", at(160)), Poll::Unknown, "too old");
        assert!(devices.find(&code("BCDFGHJK"), at(160)).is_none());
    }

    #[test]
    fn a_person_decides_once() {
        for (is_allowed, expected) in [(true, Poll::Allowed), (false, Poll::Denied)] {
            let devices = devices();
            assert!(devices.find(&code("bcdf-ghjk"), at(101)).is_some());
            assert!(devices.decide(&[1; 32], is_allowed, at(101)));
            assert!(!devices.decide(&[1; 32], !is_allowed, at(102)));
            assert!(devices.find(&code("bcdf-ghjk"), at(102)).is_none());
            assert_eq!(devices.poll(&[1; 32], "shop", at(102)), expected);
        }
        assert!(!devices().decide(&[1; 32], true, at(160)));
    }

    #[test]
    fn memory_is_bounded_and_codes_are_told_apart() {
        let devices = devices();
        assert_eq!(begin(&devices, 2, "BCDFGHJK", 101), Err(BeginError::CodeTaken));
        begin(&devices, 2, "CCCCCCCC", 101).unwrap();
        assert_eq!(begin(&devices, 3, "DDDDDDDD", 101), Err(BeginError::Full));
        begin(&devices, 3, "BCDFGHJK", 160).unwrap();
    }
}
