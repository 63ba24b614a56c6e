//! What limits remember of callers: exact for each of them whatever worker its requests are on, in bounded memory.
//!
//! The memory is in parts, each with a lock that is held for some nanoseconds; only routes with limits come here. Where a
//! part is full of callers that are remembered for a reason, new ones share one entry of it, so that a flood of made-up
//! callers can neither take memory nor get around the limit.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;
use lombard_gateway_core::{Cell, Rate, Used, Verdict};
use parking_lot::Mutex;

use crate::{
    settings::LimitBy,
    table::{Limit, LimitKind},
    values::Values,
};

const PARTS: usize = 64;
/// The key of those who share an entry.
const SHARED: u64 = 0;

/// The memory of all limits.
pub(crate) struct Limits {
    parts: Vec<Mutex<HashMap<u64, Entry, std::hash::BuildHasherDefault<AsItIs>>>>,
    entries_of_part_max: usize,
    /// Keys cannot be chosen to meet each other.
    hasher: RandomState,
    /// What other gateways are told, where there are any.
    told: Option<Mutex<HashMap<u64, Told>>>,
    start: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Rate(Cell),
    Quota { used: Used, period: Duration },
    Concurrent(u32),
}

/// What a caller was let through since the other gateways were last told.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Told {
    /// The limit's id.
    pub(crate) limit: u64,
    /// The client, where it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<IpAddr>,
    pub(crate) requests: u32,
}

/// Callers that others are told of at once; of more they are not told.
const TOLD_MAX: usize = 20_000;

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl std::hash::Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        // Keys are u64.
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) client: Option<&'a str>,
    pub(crate) address: IpAddr,
}

/// A limit that let no more through.
#[derive(Debug)]
pub(crate) struct Exceeded {
    pub(crate) kind: LimitKind,
    pub(crate) retry_after: Duration,
}

/// What the limits of a route say to a request that is let through.
#[derive(Debug, Default)]
pub(crate) struct Permitted {
    /// Counted as under way until dropped.
    pub(crate) running: Vec<Running>,
    /// For the `RateLimit` and `RateLimit-Policy` headers.
    pub(crate) headers: Vec<(HeaderValue, HeaderValue)>,
}

/// A request that is counted as under way.
pub(crate) struct Running {
    limits: Arc<Limits>,
    key: u64,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Limits {
    /// `is_shared`: whether there are other gateways that are told what was let through.
    pub(crate) fn new(entries_max: usize, is_shared: bool) -> Self {
        Self {
            told: is_shared.then(Mutex::default),
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            entries_of_part_max: entries_max.div_ceil(PARTS),
            hasher: RandomState::new(),
            start: Instant::now(),
        }
    }

    /// Judges a request by all limits of a route. Where one lets no more through, the others before it have counted it:
    /// they are in the order of the configuration.
    pub(crate) fn admit(
        self: &Arc<Self>,
        limits: &[Limit],
        caller: Caller<'_>,
        values: &Values,
    ) -> Result<Permitted, Exceeded> {
        let mut permitted = Permitted::default();
        for limit in limits {
            let key = self.key(limit, caller);
            let verdict = match limit.kind {
                LimitKind::Concurrent(count) => {
                    if !self.begin(key, count) {
                        let retry_after = Duration::from_secs(1);
                        return Err(Exceeded { kind: limit.kind, retry_after });
                    }
                    permitted.running.push(Running { limits: Arc::clone(self), key });
                    continue;
                }
                LimitKind::Rate(_) | LimitKind::Quota(_) => self.judge(key, limit.kind),
            };
            if !verdict.is_permitted {
                return Err(Exceeded { kind: limit.kind, retry_after: verdict.retry_after });
            }
            self.note(key, limit, caller);
            if let Some(policy) = &limit.header {
                // Rounded up: nobody is told to come too early.
                let reset = verdict.reset_after;
                let seconds = reset.as_secs() + u64::from(reset.subsec_nanos() > 0);
                let (name, remaining) = (&limit.name, verdict.remaining);
                let value = values.write(format_args!("\"{name}\";r={remaining};t={seconds}"));
                permitted.headers.extend(value.map(|value| (value, policy.clone())));
            }
        }
        Ok(permitted)
    }

    fn key(&self, limit: &Limit, caller: Caller<'_>) -> u64 {
        let key = match limit.by {
            LimitBy::Client => self.hasher.hash_one((limit.id, 'c', caller.client)),
            // Whoever has an address of version 6 has the 2^64 beside it.
            LimitBy::Address => match caller.address {
                IpAddr::V4(address) => self.hasher.hash_one((limit.id, '4', address)),
                IpAddr::V6(address) => {
                    self.hasher.hash_one((limit.id, '6', address.to_bits() >> 64))
                }
            },
            LimitBy::Route => self.hasher.hash_one((limit.id, 'r')),
        };
        key.max(SHARED + 1)
    }

    /// Remembers what the other gateways are told.
    fn note(&self, key: u64, limit: &Limit, caller: Caller<'_>) {
        let Some(told) = &self.told else { return };
        let mut told = told.lock();
        if let Some(told) = told.get_mut(&key) {
            told.requests = told.requests.saturating_add(1);
        } else if told.len() < TOLD_MAX {
            let client = caller.client.filter(|_| limit.by == LimitBy::Client).map(Into::into);
            let address = Some(caller.address).filter(|_| limit.by == LimitBy::Address);
            told.insert(key, Told { limit: limit.id, client, address, requests: 1 });
        }
    }

    /// What the other gateways are told now.
    pub(crate) fn take_told(&self) -> Vec<Told> {
        let told = self.told.as_ref().map(|told| std::mem::take(&mut *told.lock()));
        told.into_iter().flat_map(HashMap::into_values).collect()
    }

    /// Counts what another gateway has let through.
    pub(crate) fn charge(&self, limit: &Limit, told: &Told) {
        let address = told.address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        let key = self.key(limit, Caller { client: told.client.as_deref(), address });
        let Some(fresh) = fresh(limit.kind) else { return };
        let (nanos, wall) = (self.nanos(), wall());
        self.with_entry(key, fresh, |entry| match (limit.kind, entry) {
            (LimitKind::Quota(quota), Entry::Quota { used, .. }) => {
                quota.charge(used, wall, told.requests);
            }
            (LimitKind::Rate(rate), Entry::Rate(cell)) => rate.charge(cell, nanos, told.requests),
            // The entry that those share for whom there is no room is of another kind.
            _ => {}
        });
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn judge(&self, key: u64, kind: LimitKind) -> Verdict {
        let (nanos, wall) = (self.nanos(), wall());
        let fresh = fresh(kind).unwrap_or(Entry::Rate(Cell::default()));
        self.with_entry(key, fresh, |entry| match (kind, entry) {
            (LimitKind::Quota(quota), Entry::Quota { used, .. }) => quota.admit(used, wall),
            (LimitKind::Rate(rate), Entry::Rate(cell)) => rate.admit(cell, nanos),
            // Two limits share the entry of a full part: it belongs to the one that came first, and this one refuses.
            _ => Verdict {
                is_permitted: false,
                remaining: 0,
                retry_after: Duration::from_secs(1),
                reset_after: Duration::from_secs(1),
            },
        })
    }

    fn begin(&self, key: u64, count_max: u32) -> bool {
        self.with_entry(key, Entry::Concurrent(0), |entry| match entry {
            Entry::Concurrent(count) if *count < count_max => {
                *count += 1;
                true
            }
            _ => false,
        })
    }

    fn end(&self, key: u64) {
        let Some(part) = self.part(key) else { return };
        let mut part = part.lock();
        let Some(Entry::Concurrent(count)) = part.get_mut(&key) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            part.remove(&key);
        }
    }

    fn part(
        &self,
        key: u64,
    ) -> Option<&Mutex<HashMap<u64, Entry, std::hash::BuildHasherDefault<AsItIs>>>> {
        // The map takes the low bits.
        self.parts.get(usize::try_from(key >> 58).unwrap_or_default() % PARTS)
    }

    fn with_entry<T>(&self, key: u64, fresh: Entry, act: impl FnOnce(&mut Entry) -> T) -> T {
        let mut fresh = fresh;
        let Some(part) = self.part(key) else { return act(&mut fresh) };
        let mut part = part.lock();
        if part.len() >= self.entries_of_part_max && !part.contains_key(&key) {
            let (nanos, wall) = (self.nanos(), wall());
            part.retain(|_, entry| match entry {
                Entry::Rate(cell) => !Rate::is_idle(*cell, nanos),
                Entry::Quota { used, period } => {
                    !lombard_gateway_core::Quota { requests: 0, period: *period }
                        .is_over(used, wall)
                }
                Entry::Concurrent(count) => *count > 0,
            });
            if part.len() >= self.entries_of_part_max {
                // Requests under way are not shared: each must find its own entry when it ends.
                if let Entry::Concurrent(_) = fresh {
                    fresh = Entry::Concurrent(u32::MAX);
                    return act(&mut fresh);
                }
                return act(part.entry(SHARED).or_insert(fresh));
            }
        }
        act(part.entry(key).or_insert(fresh))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }
}

/// The time of the calendar, since 1970.
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What is remembered of a caller that nothing was known of; nothing where only what is under way counts.
fn fresh(kind: LimitKind) -> Option<Entry> {
    match kind {
        LimitKind::Quota(quota) => {
            Some(Entry::Quota { used: Used::default(), period: quota.period })
        }
        LimitKind::Rate(_) => Some(Entry::Rate(Cell::default())),
        LimitKind::Concurrent(_) => None,
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.limits.end(self.key);
    }
}

#[cfg(test)]
mod tests {
    use lombard_gateway_core::Quota;

    use super::*;

    fn limit(by: LimitBy, kind: LimitKind) -> Limit {
        Limit { name: "x".into(), by, kind, id: 7, header: Some(HeaderValue::from_static("\"x\"")) }
    }

    fn caller(client: &str) -> Caller<'_> {
        Caller { client: Some(client), address: [127, 0, 0, 1].into() }
    }

    fn rate(requests: u32, burst: u32) -> LimitKind {
        LimitKind::Rate(Rate::new(requests, Duration::from_secs(86_400), burst).unwrap())
    }

    #[test]
    fn each_caller_is_counted_alone() {
        let limits = Arc::new(Limits::new(1000, false));
        let by_client = [limit(LimitBy::Client, rate(10, 2))];
        let is_permitted =
            |client: &str| limits.admit(&by_client, caller(client), &Values::new()).is_ok();
        assert_eq!(
            ["a", "a", "a", "b", "b", "b"].map(is_permitted),
            [true, true, false, true, true, false]
        );
        let by_route = [limit(LimitBy::Route, rate(10, 2))];
        let is_permitted =
            |client: &str| limits.admit(&by_route, caller(client), &Values::new()).is_ok();
        assert_eq!(["a", "b", "c"].map(is_permitted), [true, true, false]);
        let permitted = limits
            .admit(&[limit(LimitBy::Address, rate(86_400, 3))], caller("a"), &Values::new())
            .unwrap();
        assert_eq!(permitted.headers[0].0, "\"x\";r=2;t=1");
    }

    #[test]
    fn requests_under_way_are_counted_until_they_end() {
        let limits = Arc::new(Limits::new(1000, false));
        let two = [limit(LimitBy::Client, LimitKind::Concurrent(2))];
        let first = limits.admit(&two, caller("a"), &Values::new()).unwrap();
        let second = limits.admit(&two, caller("a"), &Values::new()).unwrap();
        assert!(limits.admit(&two, caller("a"), &Values::new()).is_err());
        drop(first);
        let third = limits.admit(&two, caller("a"), &Values::new()).unwrap();
        drop((second, third));
        assert_eq!(limits.len(), 0);
    }

    #[test]
    fn made_up_callers_neither_take_memory_nor_get_around_the_limit() {
        let limits = Arc::new(Limits::new(640, false));
        let strict = [limit(LimitBy::Client, rate(1, 1))];
        let names: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
        let let_through = names
            .iter()
            .filter(|name| limits.admit(&strict, caller(name), &Values::new()).is_ok())
            .count();
        // An entry for each that has one, and one that is shared for each part.
        assert!(limits.len() <= 640 + PARTS, "{}", limits.len());
        assert!(let_through <= 640 + PARTS, "{let_through}");
        let quota = [limit(
            LimitBy::Client,
            LimitKind::Quota(Quota { requests: 1, period: Duration::from_secs(86_400) }),
        )];
        assert!(
            limits.admit(&quota, caller("another"), &Values::new()).is_err(),
            "nothing is free"
        );
        let one = [limit(LimitBy::Client, LimitKind::Concurrent(1))];
        assert!(limits.admit(&one, caller("another"), &Values::new()).is_err());
    }

    #[test]
    fn what_is_let_through_over_many_threads_is_the_number() {
        let limits = Arc::new(Limits::new(1000, false));
        let burst = 10_000;
        let count = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let route = [limit(LimitBy::Route, rate(1, burst))];
                        (0..5000)
                            .filter(|_| limits.admit(&route, caller("a"), &Values::new()).is_ok())
                            .count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(count, 10_000);
    }

    #[test]
    fn gateways_that_tell_each_other_keep_one_limit() {
        let gateways = [0, 1].map(|_| Arc::new(Limits::new(1000, true)));
        let mut exchanged = 0;
        let tell = |limit: &Limit| {
            let told = gateways.each_ref().map(|gateway| gateway.take_told());
            for (index, told) in told.iter().enumerate() {
                told.iter().for_each(|told| gateways[1 - index].charge(limit, told));
            }
            told.iter().map(Vec::len).sum::<usize>()
        };
        for (by, kind) in [
            (LimitBy::Client, rate(10, 6)),
            (
                LimitBy::Address,
                LimitKind::Quota(Quota { requests: 6, period: Duration::from_secs(86_400) }),
            ),
            (LimitBy::Route, rate(10, 6)),
        ] {
            let limit = [limit(by, kind)];
            let mut let_through = 0;
            for _ in 0..20 {
                for gateway in &gateways {
                    let_through +=
                        usize::from(gateway.admit(&limit, caller("a"), &Values::new()).is_ok());
                }
                exchanged += tell(&limit[0]);
            }
            assert_eq!(let_through, 6, "{by:?}");
        }
        // Each was told of what was let through, and of nothing else.
        assert_eq!(exchanged, 3 * 6);
        let concurrent = Limit { id: 8, ..limit(LimitBy::Route, LimitKind::Concurrent(1)) };
        let told = Told { limit: 7, client: None, address: None, requests: 9 };
        gateways[0].charge(&concurrent, &told);
        assert!(gateways[0].admit(&[concurrent], caller("a"), &Values::new()).is_ok());
    }
}
