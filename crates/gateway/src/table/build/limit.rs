//! How much a route lets through.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::HeaderValue;
use lombard_gateway_core::{Quota, Rate};

use super::{Builder, Surroundings};
use crate::{
    settings::{LimitBy, LimitSettings, PeriodSettings},
    table::{Limit, LimitKind},
};

impl<S: Surroundings> Builder<'_, S> {
    pub(super) fn limit(
        &mut self,
        route: &str,
        index: usize,
        settings: &LimitSettings,
    ) -> Option<Limit> {
        let period = settings.per.map(PeriodSettings::duration);
        let place = format!("limits {}", index + 1);
        let kind = match (settings.requests, settings.quota, settings.concurrent, period) {
            (Some(requests), None, None, Some(period)) => {
                let burst = settings.burst.unwrap_or((requests / 10).max(2));
                let rate = self.expect(&place, Rate::new(requests, period, burst))?;
                LimitKind::Rate(rate)
            }
            (None, Some(requests), None, Some(period)) if settings.burst.is_none() => {
                LimitKind::Quota(Quota { requests, period })
            }
            (None, None, Some(count), None) if settings.burst.is_none() && count > 0 => {
                LimitKind::Concurrent(count)
            }
            _ => {
                self.mistake(format_args!(
                    "{place}: it is requests with per, quota with per, or concurrent"
                ));
                return None;
            }
        };
        let mut hasher = DefaultHasher::new();
        (route, index, settings.by, format!("{kind:?}")).hash(&mut hasher);
        let by = match settings.by {
            LimitBy::Client => "client",
            LimitBy::Address => "address",
            LimitBy::Route => "route",
        };
        let name = format!("{route}-{by}-{}", index + 1);
        let header = match kind {
            LimitKind::Rate(rate) => {
                let (quantity, seconds) = (rate.requests(), rate.period().as_secs());
                HeaderValue::from_str(&format!("\"{name}\";q={quantity};w={seconds}")).ok()
            }
            LimitKind::Quota(quota) => {
                let (quantity, seconds) = (quota.requests, quota.period.as_secs());
                HeaderValue::from_str(&format!("\"{name}\";q={quantity};w={seconds}")).ok()
            }
            LimitKind::Concurrent(_) => None,
        };
        Some(Limit { name: name.into(), by: settings.by, kind, id: hasher.finish(), header })
    }
}
