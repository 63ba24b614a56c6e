//! Receipts as text: `3.1042.2`, which is of the third group, for the event at 1042, the second attempt. Consumers take
//! it as it is.

use lombard_chassis::Problem;
use lombard_eventstore_core::{EventPosition, group::Receipt};

use crate::problem;

pub(crate) fn write(receipt: Receipt) -> String {
    let Receipt { epoch, position, attempt } = receipt;
    format!("{epoch}.{position}.{attempt}")
}

fn read(text: &str) -> Option<Receipt> {
    let mut parts = text.splitn(3, '.');
    let epoch = parts.next()?.parse().ok()?;
    let position = EventPosition::new(parts.next()?.parse().ok()?);
    let receipt = Receipt { epoch, position, attempt: parts.next()?.parse().ok()? };
    // One receipt has one spelling.
    (write(receipt) == text).then_some(receipt)
}

/// The receipts of a settlement: at least one.
pub(super) fn read_all(texts: &[String], most: usize) -> Result<Vec<Receipt>, Problem> {
    if texts.is_empty() || texts.len() > most {
        return Err(problem::invalid_member("receipts", format!("must be 1 to {most}")));
    }
    let read = |text: &String| {
        read(text).ok_or_else(|| problem::invalid_member("receipts", format!("{text:?} is none")))
    };
    texts.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_have_one_spelling() {
        let receipt = Receipt { epoch: 3, position: EventPosition::new(1042), attempt: 2 };
        assert_eq!(read(&write(receipt)), Some(receipt));
        for text in ["", "3.1042", "3.1042.02", "+3.1042.2", "3.1042.2.1", "3.1042.4294967296"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
