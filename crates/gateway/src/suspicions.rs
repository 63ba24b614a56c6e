//! Tells the registry which instances of its services fail those who call them, so that others leave them alone too.
//!
//! Told is what the gateway itself has ejected again and again, at most a few times a minute for each instance. What
//! follows from it is the registry's business: it knows what others say, and spares a service's last instances.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use lombard_types::ServiceName;
use serde_json::json;

use crate::{Resource, TokenSource, endpoints::Endpoints};

/// How often is looked: an instance that is ejected for the second time is so for longer.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Instances of one request, as many as the registry takes unless it is told otherwise. The others have their turn next.
const BATCH_MAX: usize = 100;
/// The same of one instance is not said more often.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How long nothing is said after the registry did not take it.
const PAUSE: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const NOTE: &str = "the gateway gets failures from it, or no answer";

/// Never ends by itself.
pub(crate) async fn follow(
    registry: SocketAddr,
    tokens: Arc<dyn TokenSource>,
    endpoints: &Endpoints,
) {
    let client = reqwest::Client::new();
    let url = format!("http://{registry}/v1/registry/suspicions");
    let mut said = Said::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let failing = said.new_of(endpoints.failing(), Instant::now());
        if failing.is_empty() {
            continue;
        }
        if let Err(error) = tell(&client, &url, &*tokens, &failing).await {
            tracing::warn!(error, "failed to tell the registry which instances fail");
            said.forget(&failing);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// An instance: of which service, and where.
type Failing = (ServiceName, Box<str>);

/// What was said lately.
#[derive(Default)]
struct Said(HashMap<Failing, Instant>);

impl Said {
    /// Of those that fail the ones to tell of now.
    fn new_of(&mut self, failing: Vec<Failing>, now: Instant) -> Vec<Failing> {
        self.0.retain(|_, at| now.duration_since(*at) < AGAIN_AFTER);
        let mut new: Vec<_> =
            failing.into_iter().filter(|each| !self.0.contains_key(each)).take(BATCH_MAX).collect();
        new.sort_unstable();
        new.dedup();
        self.0.extend(new.iter().map(|each| (each.clone(), now)));
        new
    }

    /// It did not arrive.
    fn forget(&mut self, failing: &[Failing]) {
        for each in failing {
            self.0.remove(each);
        }
    }
}

async fn tell(
    client: &reqwest::Client,
    url: &str,
    tokens: &dyn TokenSource,
    failing: &[Failing],
) -> Result<(), String> {
    let suspicion = |(service, authority): &Failing| json!({ "service": service.as_str(), "url": format!("http://{authority}"), "note": NOTE });
    let suspicions: Vec<_> = failing.iter().map(suspicion).collect();
    let token = tokens.token(Resource::Registry).await?;
    let body = json!({ "suspicions": suspicions }).to_string();
    let request = client
        .post(url)
        .bearer_auth(token)
        .header("content-type", "application/json")
        .timeout(ANSWER_TIMEOUT)
        .body(body);
    let response = request.send().await.map_err(|error| error.without_url().to_string())?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(format!("the registry answers {}", response.status()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_not_said_again_before_a_while() {
        let (mut said, now) = (Said::default(), Instant::now());
        let one: Failing = ("pay".parse().unwrap(), "10.0.0.1:1".into());
        let two: Failing = ("pay".parse().unwrap(), "10.0.0.2:1".into());
        let all = vec![one.clone(), two.clone(), one.clone()];
        let both = || all.clone();
        assert_eq!(said.new_of(both(), now), [one, two.clone()]);
        assert_eq!(said.new_of(both(), now), []);
        said.forget(std::slice::from_ref(&two));
        assert_eq!(said.new_of(both(), now), [two]);
        assert_eq!(said.new_of(both(), now + AGAIN_AFTER).len(), 2);
    }

    #[test]
    fn what_is_said_at_once_is_bounded() {
        let failing: Vec<Failing> =
            (0..250).map(|port| ("pay".parse().unwrap(), format!("h:{port}").into())).collect();
        let (mut said, now) = (Said::default(), Instant::now());
        let counts: Vec<_> = (0..4).map(|_| said.new_of(failing.clone(), now).len()).collect();
        assert_eq!(counts, [100, 100, 50, 0]);
    }
}
