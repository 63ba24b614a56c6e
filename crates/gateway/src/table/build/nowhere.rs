//! The surroundings of a file that is checked without a gateway.

use std::sync::Arc;

use lombard_token::Verifier;

use super::{ROLES, Surroundings};
use crate::{
    cluster::{Address, Cluster, ClusterRules, Source, Transport},
    metrics::RouteCounters,
    settings::IssuerSettings,
};

/// For checking a file without a gateway.
pub(crate) struct Nowhere;

struct NoKeys;

impl lombard_token::KeySource for NoKeys {
    fn fetch(
        &self,
    ) -> futures_util::future::BoxFuture<
        '_,
        Result<lombard_token::Jwks, lombard_token::KeySourceError>,
    > {
        Box::pin(async { Ok(lombard_token::Jwks::default()) })
    }
}

impl Surroundings for Nowhere {
    fn role(&self, name: &str) -> Option<Arc<Cluster>> {
        let cluster = || Arc::new(Cluster::new(name, Source::Role, ClusterRules::default()));
        ROLES.contains(&name).then(cluster)
    }

    fn cluster(
        &self,
        name: &str,
        source: Source,
        rules: ClusterRules,
        _: Transport,
        _: &[Address],
    ) -> Arc<Cluster> {
        Arc::new(Cluster::new(name, source, rules))
    }

    fn verifier(
        &self,
        issuer: Option<&IssuerSettings>,
        audience: &str,
    ) -> Result<Verifier, String> {
        if let Some(issuer) = issuer {
            crate::keys::read_key_file(&issuer.jwks_file)?;
        }
        Ok(Verifier::new("", audience, Arc::new(NoKeys)))
    }

    fn issuer(&self) -> &str {
        "http://localhost"
    }

    fn counters(&self, _: &str) -> RouteCounters {
        RouteCounters::default()
    }
}
