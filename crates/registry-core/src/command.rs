//! What can be asked for, and the answers.

use std::{sync::Arc, time::Duration};

use lombard_types::ClientId;

use crate::{Address, Attributes, Doubt, Evidence, Health, InstanceKey, Lease, LeaseId, Note};

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Registers an instance, or registers it again under a new lease.
    Register {
        /// Which one.
        key: InstanceKey,
        /// The lease; its id is random and was never used before.
        lease: Lease,
        /// Where it is reached.
        address: Address,
        /// What it says about itself.
        attributes: Attributes,
        /// How it is from the start.
        health: Health,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// Takes an instance out.
    Deregister {
        /// Which one.
        key: InstanceKey,
        /// Whether the caller may take out what others registered.
        is_admin: bool,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// Says how an instance is.
    Report {
        /// Which one.
        key: InstanceKey,
        /// The lease it lives under: an earlier process of the same name has no say any more.
        lease_id: LeaseId,
        /// How it is.
        health: Health,
        /// Why.
        note: Note,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// Keeps new traffic away from an instance that is about to leave.
    Drain {
        /// Which one.
        key: InstanceKey,
        /// Whether the caller may drain what others registered.
        is_admin: bool,
        /// Why.
        note: Note,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// Takes an instance out of service, or puts it back. For operators; the shell sees to that.
    Maintain {
        /// Which one.
        key: InstanceKey,
        /// Out of service, or back.
        is_out: bool,
        /// Why.
        note: Note,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// It is not known whether the instance lives; it goes on being served.
    Doubt {
        /// Which one.
        key: InstanceKey,
        /// The lease that was not renewed.
        lease_id: LeaseId,
        /// Why that is not held against it.
        doubt: Doubt,
    },
    /// The instance lives: its lease was renewed.
    Confirm {
        /// Which one.
        key: InstanceKey,
        /// The lease.
        lease_id: LeaseId,
    },
    /// The lease has run out, and the instance is to stay for a while without traffic.
    Lapse {
        /// Which one.
        key: InstanceKey,
        /// The lease.
        lease_id: LeaseId,
    },
    /// The registry has asked an instance how it is.
    Observe {
        /// Which one.
        key: InstanceKey,
        /// The lease it lived under when it was asked.
        lease_id: LeaseId,
        /// How it is.
        health: Health,
        /// Why, where it cannot serve.
        note: Note,
    },
    /// Who sends instances their traffic says that one fails.
    Suspect {
        /// Which one.
        key: InstanceKey,
        /// Where it was called.
        address: Address,
        /// What is wrong with it.
        note: Note,
        /// Who says so.
        evidence: Arc<Evidence>,
    },
    /// A damped instance has been steady for long enough.
    Release {
        /// Which one.
        key: InstanceKey,
        /// The lease it was damped under.
        lease_id: LeaseId,
    },
    /// Takes an instance out if it still lives under this lease, which has run out.
    Expire {
        /// Which one.
        key: InstanceKey,
        /// The lease that has run out.
        lease_id: LeaseId,
    },
}

/// What the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The instance is registered.
    Registered,
    /// The instance is gone.
    Deregistered,
    /// The instance stands as was asked for, since now or before.
    Stands,
    /// The instance lives under another lease by now, or is gone: nothing happened.
    NotUnderThisLease,
    /// Enough instances of the service are without traffic already: it keeps its own.
    Spared,
}

/// Why a command has no effect. Where several apply, the first in this order is answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such instance is registered.
    #[error("no instance of this name is registered")]
    InstanceNotFound,
    /// Another client has registered the instance, and its lease lives.
    #[error("another client has registered the instance; choose another instance id")]
    InstanceTaken {
        /// That client. For the log, not for the caller.
        client_id: ClientId,
    },
    /// Another client has registered the instance, so only that one may take it out.
    #[error("another client has registered the instance")]
    NotRegistrant,
    /// The instance lives under another lease.
    #[error("the instance lives under another lease")]
    LeaseUnknown,
    /// One service more would be over the limit.
    #[error("there are {count_max} services already, which is the limit")]
    TooManyServices {
        /// The limit.
        count_max: usize,
    },
    /// One instance of the service more would be over the limit.
    #[error("the service has {count_max} instances already, which is the limit")]
    TooManyInstances {
        /// The limit.
        count_max: usize,
    },
}

/// How much may be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Services.
    pub services_max: usize,
    /// Instances of one service.
    pub instances_max: usize,
    /// How often an instance may become unable to serve within [`Self::flap_window`] before it is damped; 0 to damp none.
    pub flaps_max: usize,
    /// See there.
    pub flap_window: Duration,
    /// How many of a service's instances, in percent, may be without traffic because their callers say that they fail;
    /// never all that have some.
    pub suspects_percent_max: usize,
}
