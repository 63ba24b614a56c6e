//! Registering a service under a lease, and finding others.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Call, Error, Platform};

const PREFIX: &str = "/v1/registry";

/// The registry, as one client sees it.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) platform: Platform,
}

/// A running instance of a service.
#[derive(Clone, Debug, Deserialize)]
pub struct Instance {
    /// Its id, unique within the service.
    pub instance: String,
    /// Where it listens.
    pub url: String,
}

#[derive(Deserialize)]
struct Instances {
    instances: Vec<Instance>,
}

#[derive(Clone, Debug, Deserialize)]
struct Lease {
    lease_id: String,
    renew_after_seconds: f64,
}

/// What a registration says.
#[derive(Clone, Debug)]
struct Announcement {
    path: String,
    body: serde_json::Value,
}

/// A registration that is renewed in the background. [`Registration::release`] takes it back at once; dropping it
/// ends the renewals, so that the lease runs out.
#[derive(Debug)]
pub struct Registration {
    platform: Platform,
    announcement: Announcement,
    renewals: DropGuard,
}

impl Registry {
    /// Registers an instance of `service` that listens at `url`, and keeps its lease of `ttl` renewed.
    ///
    /// The platform serves it under `/<service>/...` from then on. Needs the scope `registry:register:<service>`.
    pub async fn register(
        &self,
        service: &str,
        instance: &str,
        url: &str,
        ttl: Duration,
    ) -> Result<Registration, Error> {
        let announcement = Announcement {
            path: format!("/services/{service}/instances/{instance}"),
            body: json!({ "url": url, "ttl_seconds": ttl.as_secs().max(1) }),
        };
        let lease = announce(&self.platform, &announcement).await?;
        let stop = CancellationToken::new();
        let renewing = renew(self.platform.clone(), announcement.clone(), lease);
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = renewing => {}
            }
        });
        Ok(Registration {
            platform: self.platform.clone(),
            announcement,
            renewals: stop.drop_guard(),
        })
    }

    /// The instances of a service that are alive now. Needs the scope `registry:read`.
    pub async fn instances(&self, service: &str) -> Result<Vec<Instance>, Error> {
        let path = format!("/services/{service}");
        let call = |url| Call::new(Method::GET, url);
        let found = self.platform.call::<Instances>(PREFIX, &path, call).await?;
        Ok(found.body.instances)
    }

    /// The names of all services that are registered, with how many instances each has.
    pub async fn services(&self) -> Result<BTreeMap<String, u64>, Error> {
        #[derive(Deserialize)]
        struct Services {
            services: Vec<Service>,
        }
        #[derive(Deserialize)]
        struct Service {
            service: String,
            instance_count: u64,
        }
        let call = |url| Call::new(Method::GET, url);
        let found = self.platform.call::<Services>(PREFIX, "/services", call).await?;
        Ok(found
            .body
            .services
            .into_iter()
            .map(|each| (each.service, each.instance_count))
            .collect())
    }
}

impl Registration {
    /// Takes the registration back, so that no new requests come.
    pub async fn release(self) -> Result<(), Error> {
        drop(self.renewals);
        let call = |url| Call::new(Method::DELETE, url).repeatable();
        self.platform.call::<serde_json::Value>(PREFIX, &self.announcement.path, call).await?;
        Ok(())
    }
}

async fn announce(platform: &Platform, announcement: &Announcement) -> Result<Lease, Error> {
    let call = |url| Call::new(Method::PUT, url).json(announcement.body.clone()).repeatable();
    Ok(platform.call(PREFIX, &announcement.path, call).await?.body)
}

/// Renews until stopped. A lease that the registry does not know any more is replaced by a new registration.
async fn renew(platform: Platform, announcement: Announcement, mut lease: Lease) {
    loop {
        tokio::time::sleep(Duration::from_secs_f64(lease.renew_after_seconds.clamp(0.1, 3600.0)))
            .await;
        let path = format!("{}/renew", announcement.path);
        let body = json!({ "lease_id": lease.lease_id });
        let call = |url| Call::new(Method::POST, url).json(body).repeatable();
        match platform.call::<serde_json::Value>(PREFIX, &path, call).await {
            Ok(_) => {}
            Err(Error::Refused(problem)) if problem.status == 404 => {
                match announce(&platform, &announcement).await {
                    Ok(renewed) => lease = renewed,
                    Err(error) => tracing::warn!(%error, "failed to register again"),
                }
            }
            Err(error) => tracing::warn!(%error, "failed to renew the registration"),
        }
    }
}
