//! How many refusals are written: whoever can be refused must not be able to fill the disk.

use lombard_auth_core::AuditEntry;
use parking_lot::Mutex;

/// Counts refusals by the second.
#[derive(Debug)]
pub(super) struct Refusals {
    per_second_max: u32,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    second: u64,
    written: u32,
    left_out: u64,
}

/// What becomes of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Whether it is written.
    pub(super) is_taken: bool,
    /// What stands for those that were not.
    pub(super) others: Option<AuditEntry>,
}

impl Refusals {
    pub(super) fn new(per_second_max: u32) -> Self {
        Self { per_second_max, inner: Mutex::default() }
    }

    pub(super) fn take(&self, entry: &AuditEntry) -> Taken {
        let (mut inner, second) = (self.inner.lock(), entry.at.unix_seconds());
        let mut others = None;
        if inner.second != second {
            (inner.second, inner.written) = (second, 0);
            let left_out = std::mem::take(&mut inner.left_out);
            others = (left_out > 0).then(|| together(left_out, entry));
        }
        if entry.refused.is_none() {
            return Taken { is_taken: true, others };
        }
        let is_taken = inner.written < self.per_second_max;
        if is_taken {
            inner.written += 1;
        } else {
            inner.left_out += 1;
        }
        Taken { is_taken, others }
    }
}

fn together(count: u64, next: &AuditEntry) -> AuditEntry {
    AuditEntry {
        at: next.at,
        action: "refusals".into(),
        refused: Some("too_many_to_tell".into()),
        client: "".into(),
        subject: "".into(),
        address: "".into(),
        request_id: "".into(),
        detail: format!("{count} more were refused before this").into(),
    }
}

#[cfg(test)]
mod tests {
    use lombard_types::Timestamp;

    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted() {
        let refusals = Refusals::new(2);
        let entry = |seconds, refused: Option<&str>| AuditEntry {
            refused: refused.map(Into::into),
            action: "token".into(),
            ..together(0, &AuditEntry { at: Timestamp::from_unix_seconds(seconds), ..first() })
        };
        let no = Some("invalid_client");
        for (seconds, refused, is_taken, others) in [
            (1, no, true, None),
            (1, no, true, None),
            (1, no, false, None),
            (1, None, true, None),
            (1, no, false, None),
            (2, None, true, Some("2 more were refused before this")),
            (2, no, true, None),
        ] {
            let taken = refusals.take(&entry(seconds, refused));
            assert_eq!(taken.is_taken, is_taken, "{seconds} {refused:?}");
            assert_eq!(taken.others.map(|entry| entry.detail.to_string()).as_deref(), others);
        }
    }

    fn first() -> AuditEntry {
        AuditEntry {
            at: Timestamp::EPOCH,
            action: "".into(),
            refused: None,
            client: "".into(),
            subject: "".into(),
            address: "".into(),
            request_id: "".into(),
            detail: "".into(),
        }
    }
}
