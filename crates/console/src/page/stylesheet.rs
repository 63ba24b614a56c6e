//! The style sheet, built in.

use aws_lc_rs::digest;

/// The style sheet's address, which changes with its content.
#[derive(Debug)]
pub(crate) struct Stylesheet {
    path: String,
}

impl Stylesheet {
    pub(crate) const TEXT: &str = include_str!("style.css");

    pub(crate) fn new() -> Self {
        let hash = digest::digest(&digest::SHA256, Self::TEXT.as_bytes());
        let short: String =
            hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("/console/style-{short}.css") }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}
