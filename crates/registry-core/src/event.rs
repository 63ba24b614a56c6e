//! What happened.

use std::sync::Arc;

use lombard_types::{ClientId, RequestId};

use crate::{Address, Attributes, Health, InstanceKey, Lease, LeaseId, Liveness, Note, Standing};

/// A change of what is registered. The only thing that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An instance was registered.
    Registered {
        /// Which one.
        key: InstanceKey,
        /// The lease it lives under.
        lease: Lease,
        /// Where it is reached.
        address: Address,
        /// What it says about itself.
        attributes: Attributes,
        /// Who asked; its client owns the registration.
        evidence: Arc<Evidence>,
    },
    /// An instance stands otherwise than before. One that was just registered passes and serves.
    Stood {
        /// Which one.
        key: InstanceKey,
        /// How it stands.
        standing: Standing,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// Something else than before is known of an instance's process. One that was just registered is confirmed.
    LivenessChanged {
        /// Which one.
        key: InstanceKey,
        /// The lease it lives under.
        lease_id: LeaseId,
        /// What is known.
        liveness: Liveness,
    },
    /// The registry has asked an instance how it is, and that is news.
    Observed {
        /// Which one.
        key: InstanceKey,
        /// The lease it lives under.
        lease_id: LeaseId,
        /// How it is.
        health: Health,
        /// Why, where it cannot serve.
        note: Note,
    },
    /// An instance that goes up and down too often gets no traffic, or does again. Also where it is damped anew.
    DampingChanged {
        /// Which one.
        key: InstanceKey,
        /// The lease it lives under.
        lease_id: LeaseId,
        /// Whether it gets none.
        is_damped: bool,
    },
    /// Who sends an instance its traffic says that it fails: it gets none for a while.
    Suspected {
        /// Which one.
        key: InstanceKey,
        /// The lease it lives under.
        lease_id: LeaseId,
        /// What is wrong with it.
        note: Note,
        /// Who says so.
        evidence: Arc<Evidence>,
    },
    /// An instance went away.
    Deregistered {
        /// Which one.
        key: InstanceKey,
        /// The lease it had lived under.
        lease_id: LeaseId,
        /// Why.
        reason: Reason,
        /// Who asked; nobody where the lease ran out.
        evidence: Option<Arc<Evidence>>,
    },
}

// === impl Event ===

impl Event {
    /// The instance that it is about.
    pub const fn key(&self) -> &InstanceKey {
        match self {
            Self::Registered { key, .. }
            | Self::Stood { key, .. }
            | Self::LivenessChanged { key, .. }
            | Self::Observed { key, .. }
            | Self::DampingChanged { key, .. }
            | Self::Suspected { key, .. }
            | Self::Deregistered { key, .. } => key,
        }
    }

    /// Who asked; nobody where a lease ran out, or the registry saw something by itself.
    pub const fn evidence(&self) -> Option<&Arc<Evidence>> {
        match self {
            Self::Registered { evidence, .. }
            | Self::Stood { evidence, .. }
            | Self::Suspected { evidence, .. } => Some(evidence),
            Self::LivenessChanged { .. } | Self::Observed { .. } | Self::DampingChanged { .. } => {
                None
            }
            Self::Deregistered { evidence, .. } => evidence.as_ref(),
        }
    }
}

/// Why an instance went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Somebody asked for it.
    Requested,
    /// Its lease ran out.
    Expired,
    /// Its client registered it again, in the same record.
    Replaced,
}

impl Reason {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Requested, Self::Expired, Self::Replaced];

    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
        }
    }
}

/// The chain from an event back to the HTTP request that caused it. Of it the rules look at the client only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The OAuth client that asked.
    pub client_id: ClientId,
    /// On whose behalf (`sub`); the client itself where there is no user.
    pub subject: Box<str>,
    /// The access token's id (`jti`). Never the token.
    pub token_id: Box<str>,
    /// The HTTP request.
    pub request_id: RequestId,
    /// Its W3C trace, where it had one.
    pub traceparent: Option<Box<str>>,
}
