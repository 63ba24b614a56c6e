//! What the build made of `proto/`, in modules as the packages are nested: the generated code refers to them so.
#![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated; documented in proto/")]

pub mod lombard {
    pub mod eventstore {
        /// Version 1: `lombard.eventstore.v1`.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/lombard.eventstore.v1.rs"));
        }
    }
    pub mod ledger {
        /// Version 1: `lombard.ledger.v1`.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/lombard.ledger.v1.rs"));
        }
    }
}

pub mod google {
    /// gRPC's error model.
    pub mod rpc {
        include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
    }
}

pub mod grpc {
    pub mod health {
        /// Version 1: `grpc.health.v1`.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
        }
    }
}
