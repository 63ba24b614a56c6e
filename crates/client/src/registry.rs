//! Registering a service under a lease, and finding others.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Call, Error, Platform};

const PREFIX: &str = "/v1/registry";

/// The registry, as one client sees it.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) platform: Platform,
}

/// A registered instance of a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Instance {
    /// Its id, unique within the service.
    pub instance: String,
    /// Where it listens.
    pub url: String,
    /// `starting`, `passing`, `warning`, `critical`, `unknown`, `draining` or `maintenance`.
    pub state: String,
    /// Why it is in that state, where somebody said so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Which version of the service runs.
    #[serde(default)]
    pub version: Option<String>,
    /// When it was registered (RFC 3339).
    #[serde(default)]
    pub registered_at: String,
}

impl Instance {
    /// Whether new requests may be sent to it.
    pub fn takes_traffic(&self) -> bool {
        matches!(self.state.as_str(), "passing" | "warning" | "unknown")
    }
}

/// What an instance says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not yet able to serve.
    Starting,
    /// Able to serve.
    Passing,
    /// Able to serve, with something wrong.
    Warning,
    /// Not able to serve.
    Critical,
}

impl Health {
    const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A service that has instances.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ServiceSummary {
    /// Its name.
    pub service: String,
    /// How many instances are registered.
    pub instance_count: u64,
    /// How many of them take traffic.
    pub serving_count: u64,
}

/// One change of a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ServiceChange {
    /// The registry's index of it.
    pub index: u64,
    /// When (RFC 3339).
    pub time: String,
    /// Of which instance.
    pub instance: String,
    /// `registered`, the state since, or why it is gone: `requested`, `expired`, `replaced`.
    pub what: String,
    /// Why, where somebody said so.
    #[serde(default)]
    pub note: String,
    /// The client that asked; nobody where a lease ran out.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Its request.
    #[serde(default)]
    pub request_id: Option<String>,
}

#[derive(Deserialize)]
struct Instances {
    index: u64,
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
    lease: watch::Receiver<Lease>,
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
        let (held, lease) = watch::channel(lease);
        let renewing = renew(self.platform.clone(), announcement.clone(), held);
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
            lease,
            renewals: stop.drop_guard(),
        })
    }

    /// The instances of a service with the index of its last change, as soon as that is not `seen` any more; what they are
    /// now after `wait`, whole seconds and fewer than ten. At once where nothing was seen.
    pub async fn instances_after(
        &self,
        service: &str,
        seen: Option<u64>,
        wait: Duration,
    ) -> Result<(u64, Vec<Instance>), Error> {
        let path = format!("/services/{service}");
        let call = |url| {
            let call = Call::new(Method::GET, url);
            match seen {
                None => call,
                Some(seen) => call.query("index", seen).query("wait_seconds", wait.as_secs()),
            }
        };
        let found = self.platform.call::<Instances>(PREFIX, &path, call).await?;
        Ok((found.body.index, found.body.instances))
    }

    /// The instances of a service, whatever their state. Needs the scope `registry:read`.
    pub async fn instances(&self, service: &str) -> Result<Vec<Instance>, Error> {
        let path = format!("/services/{service}");
        let call = |url| Call::new(Method::GET, url);
        let found = self.platform.call::<Instances>(PREFIX, &path, call).await?;
        Ok(found.body.instances)
    }

    /// All services that are registered. Needs the scope `registry:read`.
    pub async fn services(&self) -> Result<Vec<ServiceSummary>, Error> {
        #[derive(Deserialize)]
        struct Services {
            services: Vec<ServiceSummary>,
        }
        let call = |url| Call::new(Method::GET, url);
        let found = self.platform.call::<Services>(PREFIX, "/services", call).await?;
        Ok(found.body.services)
    }

    /// The newest changes of a service, the newest first. Needs the scope `registry:read`.
    pub async fn history(&self, service: &str, limit: usize) -> Result<Vec<ServiceChange>, Error> {
        #[derive(Deserialize)]
        struct History {
            changes: Vec<ServiceChange>,
        }
        let path = format!("/services/{service}/history?limit={limit}");
        let call = |url| Call::new(Method::GET, url);
        let found = self.platform.call::<History>(PREFIX, &path, call).await?;
        Ok(found.body.changes)
    }

    /// Keeps new traffic away from an instance that is about to leave. Needs `registry:register:<service>` as the client
    /// that registered it, or `admin`. Answers the state that it is in.
    pub async fn drain(&self, service: &str, instance: &str, note: &str) -> Result<String, Error> {
        let path = format!("/services/{service}/instances/{instance}/drain");
        let body = json!({ "note": note });
        self.stand(&path, |url| Call::new(Method::POST, url).json(body).repeatable()).await
    }

    /// Takes an instance out of service until it is put back. Needs `admin`. Answers the state that it is in.
    pub async fn take_out(
        &self,
        service: &str,
        instance: &str,
        note: &str,
    ) -> Result<String, Error> {
        let path = format!("/services/{service}/instances/{instance}/maintenance");
        let body = json!({ "note": note });
        self.stand(&path, |url| Call::new(Method::PUT, url).json(body).repeatable()).await
    }

    /// Puts an instance back into service. Needs `admin`. Answers the state that it is in.
    pub async fn put_back(&self, service: &str, instance: &str) -> Result<String, Error> {
        let path = format!("/services/{service}/instances/{instance}/maintenance");
        self.stand(&path, |url| Call::new(Method::DELETE, url).repeatable()).await
    }

    async fn stand(&self, path: &str, call: impl FnOnce(String) -> Call) -> Result<String, Error> {
        Ok(self.platform.call::<Stands>(PREFIX, path, call).await?.body.state)
    }
}

#[derive(Deserialize)]
struct Stands {
    state: String,
}

impl Registration {
    /// Says how the instance is. Only one that passes or warns gets requests.
    pub async fn report(&self, health: Health, note: &str) -> Result<(), Error> {
        let lease_id = self.lease.borrow().lease_id.clone();
        let path = format!("{}/report", self.announcement.path);
        let body = json!({ "lease_id": lease_id, "health": health.name(), "note": note });
        let call = |url| Call::new(Method::POST, url).json(body).repeatable();
        self.platform.call::<Stands>(PREFIX, &path, call).await?;
        Ok(())
    }

    /// Asks for no new requests, so that those under way can end before [`Self::release`].
    pub async fn drain(&self) -> Result<(), Error> {
        let path = format!("{}/drain", self.announcement.path);
        let call = |url| Call::new(Method::POST, url).json(json!({})).repeatable();
        self.platform.call::<Stands>(PREFIX, &path, call).await?;
        Ok(())
    }

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
async fn renew(platform: Platform, announcement: Announcement, held: watch::Sender<Lease>) {
    loop {
        let Lease { lease_id, renew_after_seconds } = held.borrow().clone();
        tokio::time::sleep(Duration::from_secs_f64(renew_after_seconds.clamp(0.1, 3600.0))).await;
        let path = format!("{}/renew", announcement.path);
        let body = json!({ "lease_id": lease_id });
        let call = |url| Call::new(Method::POST, url).json(body).repeatable();
        match platform.call::<serde_json::Value>(PREFIX, &path, call).await {
            Ok(_) => {}
            Err(Error::Refused(problem)) if problem.status == 404 => {
                match announce(&platform, &announcement).await {
                    Ok(renewed) => drop(held.send_replace(renewed)),
                    Err(error) => tracing::warn!(%error, "failed to register again"),
                }
            }
            Err(error) => tracing::warn!(%error, "failed to renew the registration"),
        }
    }
}
