//! The read side: where events stand, and pages of them.

mod index;
mod page;

pub use index::{EventIndex, Located, StreamSummary};
pub(crate) use page::{EventPage, PageError, read_page};
