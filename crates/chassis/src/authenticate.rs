//! (being written)
/// .
#[derive(Debug)]
pub struct Authenticated;
