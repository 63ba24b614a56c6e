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
    pub mod registry {
        /// Version 1: `lombard.registry.v1`.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/lombard.registry.v1.rs"));
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

/// The part of xDS that is used here.
pub mod envoy {
    pub mod config {
        pub mod core {
            pub mod v3 {
                include!(concat!(env!("OUT_DIR"), "/envoy.config.core.v3.rs"));
            }
        }
        pub mod cluster {
            pub mod v3 {
                include!(concat!(env!("OUT_DIR"), "/envoy.config.cluster.v3.rs"));
            }
        }
        pub mod endpoint {
            pub mod v3 {
                include!(concat!(env!("OUT_DIR"), "/envoy.config.endpoint.v3.rs"));
            }
        }
        pub mod listener {
            pub mod v3 {
                include!(concat!(env!("OUT_DIR"), "/envoy.config.listener.v3.rs"));
            }
        }
        pub mod route {
            pub mod v3 {
                include!(concat!(env!("OUT_DIR"), "/envoy.config.route.v3.rs"));
            }
        }
    }
    pub mod extensions {
        pub mod filters {
            pub mod http {
                pub mod router {
                    pub mod v3 {
                        include!(concat!(
                            env!("OUT_DIR"),
                            "/envoy.extensions.filters.http.router.v3.rs"
                        ));
                    }
                }
            }
            pub mod network {
                pub mod http_connection_manager {
                    pub mod v3 {
                        include!(concat!(
                            env!("OUT_DIR"),
                            "/envoy.extensions.filters.network.http_connection_manager.v3.rs"
                        ));
                    }
                }
            }
        }
    }
    pub mod service {
        pub mod discovery {
            pub mod v3 {
                include!(concat!(env!("OUT_DIR"), "/envoy.service.discovery.v3.rs"));
            }
        }
    }
}
