//! The protocol of one stream, incremental: each answer has what is new or gone of its type.

use std::collections::{BTreeMap, BTreeSet};

use lombard_proto::xds::discovery::DeltaDiscoveryRequest;

use super::{
    kind::Kind,
    protocol::{Broken, Received, Wanted},
};

/// What a stream has asked for, and has.
#[derive(Clone, Debug)]
pub(super) struct Delta {
    subscriptions: BTreeMap<Kind, Subscription>,
    names_max: usize,
    nonces: u64,
}

/// What is wanted of one type, and what the client has of it.
#[derive(Clone, Debug, Default)]
struct Subscription {
    names: BTreeSet<String>,
    is_all: bool,
    /// Something may have to be sent although nothing has changed.
    is_due: bool,
    /// Versions of what it has; `None` of what it was told that there is not.
    has: BTreeMap<String, Option<String>>,
    /// The client has asked for the type, and was not answered yet: it waits for an answer even if that is empty.
    is_new: bool,
    /// What the last look at it showed.
    shown: Option<Vec<u64>>,
}

/// What is new for a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) nonce: String,
    /// Names of resources that it has not, or in another version.
    pub(super) changed: Vec<String>,
    /// Names of those that are not there, or no more.
    pub(super) removed: Vec<String>,
}

const ALL: &str = "*";

impl Delta {
    pub(super) const fn new(names_max: usize) -> Self {
        Self { subscriptions: BTreeMap::new(), names_max, nonces: 0 }
    }

    pub(super) fn receive(&mut self, request: DeltaDiscoveryRequest) -> Result<Received, Broken> {
        let kind = Kind::from_type_url(&request.type_url).ok_or(Broken::UnknownType)?;
        let is_first = !self.subscriptions.contains_key(&kind);
        let subscription = self.subscriptions.entry(kind).or_default();
        if is_first {
            subscription.begin(kind, &request);
        }
        for name in request.resource_names_subscribe {
            subscription.subscribe(name, is_first);
        }
        for name in &request.resource_names_unsubscribe {
            subscription.unsubscribe(name);
        }
        if subscription.names.len() > self.names_max {
            return Err(Broken::TooManyNames);
        }
        subscription.forget_unwanted();
        Ok(match request.error_detail.filter(|_| !request.response_nonce.is_empty()) {
            Some(error) => Received::Refused(error.message),
            None => Received::Taken,
        })
    }

    /// What is asked for of a type; nothing where nothing of it can have changed since the last look, which showed the same.
    pub(super) fn look_at(
        &mut self,
        kind: Kind,
        shown: impl FnOnce(&Wanted<'_>) -> Vec<u64>,
    ) -> Option<Wanted<'_>> {
        let subscription = self.subscriptions.get_mut(&kind)?;
        let Subscription { names, is_all, .. } = &*subscription;
        let shown = shown(&Wanted { names, is_all: *is_all });
        let is_same = subscription.shown.as_ref() == Some(&shown);
        if !std::mem::take(&mut subscription.is_due) && is_same {
            return None;
        }
        subscription.shown = Some(shown);
        Some(Wanted { names: &subscription.names, is_all: subscription.is_all })
    }

    /// What is to be sent of a type of which this is there, with its versions; and from then on the client has it.
    pub(super) fn send(&mut self, kind: Kind, there: &BTreeMap<String, String>) -> Option<News> {
        let subscription = self.subscriptions.get_mut(&kind)?;
        let mut news = News::default();
        for (name, version) in there {
            let has = subscription.has.insert(name.clone(), Some(version.clone()));
            if has.flatten().as_ref() != Some(version) {
                news.changed.push(name.clone());
            }
        }
        let had = subscription.has.iter().filter(|(_, version)| version.is_some());
        let gone = had.map(|(name, _)| name).filter(|name| !there.contains_key(*name));
        let missing = subscription.names.iter().filter(|name| !there.contains_key(*name));
        let missing = missing.filter(|name| !subscription.has.contains_key(*name));
        news.removed = gone.chain(missing).cloned().collect();
        for name in &news.removed {
            if subscription.names.contains(name) {
                subscription.has.insert(name.clone(), None);
            } else {
                subscription.has.remove(name);
            }
        }
        let is_new = std::mem::take(&mut subscription.is_new);
        if news == News::default() && !is_new {
            return None;
        }
        self.nonces += 1;
        Some(News { nonce: self.nonces.to_string(), ..news })
    }

    pub(super) fn wanted(&self, kind: Kind) -> Option<Wanted<'_>> {
        let Subscription { names, is_all, .. } = self.subscriptions.get(&kind)?;
        Wanted::some(names, *is_all)
    }
}

impl Subscription {
    /// The first request of a type says what the client still has of an earlier stream.
    fn begin(&mut self, kind: Kind, request: &DeltaDiscoveryRequest) {
        self.is_all = kind.has_all() && request.resource_names_subscribe.is_empty();
        let versions = request.initial_resource_versions.iter();
        self.has = versions.map(|(name, version)| (name.clone(), Some(version.clone()))).collect();
        (self.is_new, self.is_due) = (true, true);
    }

    fn subscribe(&mut self, name: String, is_first: bool) {
        self.is_due = true;
        if name == ALL {
            self.is_all = true;
            return;
        }
        // Who asks again has lost it, except where it has just said that it has it.
        if !is_first {
            self.has.remove(&name);
        }
        self.names.insert(name);
    }

    fn unsubscribe(&mut self, name: &str) {
        self.is_due = true;
        if name == ALL {
            self.is_all = false;
        } else if self.names.remove(name) {
            // Who asks for all still has an interest in it, and has forgotten it.
            self.has.remove(name);
        }
    }

    /// What is not asked for is never said to be gone.
    fn forget_unwanted(&mut self) {
        let Self { names, is_all, has, .. } = self;
        has.retain(|name, _| *is_all || names.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use lombard_proto::rpc::Status;

    use super::*;
    use crate::xds::protocol::Protocol as _;

    fn request(kind: Kind, subscribe: &[&str], unsubscribe: &[&str]) -> DeltaDiscoveryRequest {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        DeltaDiscoveryRequest {
            type_url: kind.type_url().to_owned(),
            resource_names_subscribe: owned(subscribe),
            resource_names_unsubscribe: owned(unsubscribe),
            ..DeltaDiscoveryRequest::default()
        }
    }

    /// What is sent where this is there: names that changed, and names that went.
    fn sent(delta: &mut Delta, kind: Kind, there: &[(&str, u32)]) -> Option<(String, String)> {
        let there = there.iter().map(|(name, version)| ((*name).to_owned(), version.to_string()));
        let news = delta.send(kind, &there.collect())?;
        Some((news.changed.join(" "), news.removed.join(" ")))
    }

    fn news(changed: &str, removed: &str) -> Option<(String, String)> {
        Some((changed.to_owned(), removed.to_owned()))
    }

    #[test]
    fn only_what_changed_or_went_is_sent() {
        let (mut delta, kind) = (Delta::new(10), Kind::Cluster);
        delta.receive(request(kind, &[], &[])).unwrap();
        assert_eq!(sent(&mut delta, kind, &[]), news("", ""), "it waits for an answer");
        assert_eq!(sent(&mut delta, kind, &[("a", 1), ("b", 1)]), news("a b", ""));
        assert_eq!(sent(&mut delta, kind, &[("a", 1), ("b", 1)]), None);
        assert_eq!(sent(&mut delta, kind, &[("b", 2)]), news("b", "a"));
        assert_eq!(sent(&mut delta, kind, &[("a", 1), ("b", 2)]), news("a", ""));
    }

    #[test]
    fn names_are_asked_for_again_taken_back_and_said_to_be_missing_once() {
        let (mut delta, kind) = (Delta::new(10), Kind::Endpoints);
        delta.receive(request(kind, &["a", "no"], &[])).unwrap();
        assert_eq!(sent(&mut delta, kind, &[("a", 1)]), news("a", "no"));
        assert_eq!(sent(&mut delta, kind, &[("a", 1)]), None);
        delta.receive(request(kind, &["a", "no"], &[])).unwrap();
        assert_eq!(sent(&mut delta, kind, &[("a", 1)]), news("a", "no"), "asked for again");
        assert_eq!(delta.only_name(), None);
        delta.receive(request(kind, &[], &["no"])).unwrap();
        assert_eq!((sent(&mut delta, kind, &[("a", 1)]), delta.only_name()), (None, Some("a")));
        delta.receive(request(kind, &[], &["a"])).unwrap();
        assert_eq!(sent(&mut delta, kind, &[]), None, "what nobody asks for is not gone");
    }

    #[test]
    fn all_may_be_asked_for_beside_names_and_taken_back() {
        let (mut delta, kind) = (Delta::new(10), Kind::Cluster);
        delta.receive(request(kind, &["*", "a"], &[])).unwrap();
        let there = [("a", 1), ("b", 1)];
        assert_eq!(sent(&mut delta, kind, &there), news("a b", ""));
        delta.receive(request(kind, &[], &["a"])).unwrap();
        assert_eq!(sent(&mut delta, kind, &there), news("a", ""), "it has forgotten it");
        delta.receive(request(kind, &["b"], &["*"])).unwrap();
        assert_eq!(sent(&mut delta, kind, &[("b", 1)]), news("b", ""));
        assert_eq!(sent(&mut delta, kind, &[]), news("", "b"));
    }

    #[test]
    fn what_a_client_has_from_before_is_not_sent_again() {
        let (mut delta, kind) = (Delta::new(10), Kind::Cluster);
        let versions = [("a", "1"), ("b", "1"), ("gone", "1")];
        let versions = versions.map(|(name, version)| (name.to_owned(), version.to_owned()));
        let first = DeltaDiscoveryRequest {
            initial_resource_versions: versions.into(),
            ..request(kind, &[], &[])
        };
        delta.receive(first).unwrap();
        assert_eq!(sent(&mut delta, kind, &[("a", 1), ("b", 2)]), news("b", "gone"));
    }

    #[test]
    fn it_is_looked_at_when_something_may_be_new() {
        let (mut delta, kind) = (Delta::new(10), Kind::Endpoints);
        assert!(delta.look_at(kind, |_| vec![]).is_none(), "never asked for");
        delta.receive(request(kind, &["a"], &[])).unwrap();
        assert!(delta.look_at(kind, |_| vec![1]).is_some());
        assert!(delta.look_at(kind, |_| vec![1]).is_none());
        assert!(delta.look_at(kind, |_| vec![2]).is_some());
        delta.receive(request(kind, &["a"], &[])).unwrap();
        assert!(delta.look_at(kind, |_| vec![2]).is_some(), "asked for again");
    }

    #[test]
    fn refusals_are_told_and_names_are_bounded() {
        let (mut delta, kind) = (Delta::new(1), Kind::Endpoints);
        let error_detail = Some(Status { message: "bad".to_owned(), ..Status::default() });
        let refusal = DeltaDiscoveryRequest {
            error_detail,
            response_nonce: "1".to_owned(),
            ..request(kind, &["a"], &[])
        };
        assert_eq!(delta.receive(refusal), Ok(Received::Refused("bad".to_owned())));
        assert_eq!(delta.receive(request(kind, &["b"], &[])), Err(Broken::TooManyNames));
        let unknown = DeltaDiscoveryRequest { type_url: "x".to_owned(), ..Default::default() };
        assert_eq!(delta.receive(unknown), Err(Broken::UnknownType));
    }
}
