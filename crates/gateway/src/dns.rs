//! Looks up the addresses of upstreams that are host names. What was found last stays in use when a look-up fails.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    cluster::{Address, Cluster, Source},
    worker::Shared,
};

/// A look-up that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing is looked up where there is nothing to look up.
const IDLE: Duration = Duration::from_secs(3600);

/// Looks up for ever, and at once what a new configuration brings.
pub(crate) async fn follow(shared: &Shared) {
    let mut due: HashMap<Box<str>, Instant> = HashMap::new();
    loop {
        let clusters = shared.endpoints.with_dns();
        due.retain(|name, _| clusters.iter().any(|cluster| cluster.name == *name));
        let now = Instant::now();
        for cluster in &clusters {
            let Source::Dns { host, port, refresh } = &cluster.source else { continue };
            if !cluster.is_empty() && due.get(&cluster.name).is_some_and(|due| *due > now) {
                continue;
            }
            look_up(shared, cluster, host, *port).await;
            due.insert(cluster.name.clone(), Instant::now() + *refresh);
        }
        let next = due.values().min().copied().unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = shared.reconfigured.notified() => {}
        }
    }
}

async fn look_up(shared: &Shared, cluster: &Arc<Cluster>, host: &str, port: u16) {
    // Brackets are for URLs.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    match tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((name, port))).await {
        Ok(Ok(found)) => {
            let mut addresses: Vec<Address> = found
                .map(|address| Address { authority: address.to_string().into(), zone: None })
                .collect();
            addresses.sort_by(|a, b| a.authority.cmp(&b.authority));
            if !addresses.is_empty() {
                shared.endpoints.set_members(cluster, &addresses);
            }
        }
        Ok(Err(error)) => {
            tracing::warn!(upstream = &*cluster.name, host, %error, "failed to look up; the last addresses stay in use");
        }
        Err(_) => {
            tracing::warn!(
                upstream = &*cluster.name,
                host,
                "no answer to a look-up; the last addresses stay in use"
            );
        }
    }
}
