//! What is known of an instance's process.

/// Whether an instance lives, as far as its lease tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Liveness {
    /// Its lease is renewed.
    #[default]
    Confirmed,
    /// Its lease was not renewed, for which there is another explanation than its death. It is served as before.
    Unknown(Doubt),
    /// Its lease has run out. It stays for a while, without traffic.
    Lapsed,
}

/// Why a lease that is not renewed goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// The registry was away, and has not heard of the instance since.
    Restart,
    /// Many instances of the service fell silent at once: it is likely that the way to the registry is broken.
    Silence,
    /// Many streams that hold leases broke at once.
    BrokenStreams,
}

impl Doubt {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Restart, Self::Silence, Self::BrokenStreams];

    /// The reason in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Restart => "the registry was restarted",
            Self::Silence => "many instances of the service fell silent at once",
            Self::BrokenStreams => "many streams that hold leases broke at once",
        }
    }
}
