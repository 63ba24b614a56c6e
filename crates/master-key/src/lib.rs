//! The key that wraps a role's other keys at rest, and where it comes from: a file, an environment variable, or a command
//! such as that of a KMS.
//!
//! It knows no role, and nothing of what the wrapped keys are for.
//!
//! **Invariants**
//! - What is wrapped is bound to what it is for: the same bytes are opened for nothing else.
//! - No key is shown by `Debug` or an error, and a key is made only where the caller says that none can be missing.
//!
//! Start reading at [`MasterKeySource`].
#![warn(missing_docs)]

mod key;
mod source;

pub use key::{KEY_BYTES, MasterKey, NONCE_BYTES, TAG_BYTES, open, seal};
pub use source::{MasterKeyError, MasterKeyPlaces, MasterKeySource};
