//! The protocol of one stream, state of the world: each answer has all that is subscribed to of its type.

use std::collections::{BTreeMap, BTreeSet};

use lombard_proto::xds::discovery::DiscoveryRequest;

use super::{
    kind::Kind,
    protocol::{Broken, Received, Wanted},
};

/// What a stream has asked for, and was told.
#[derive(Clone, Debug)]
pub(super) struct Session {
    subscriptions: BTreeMap<Kind, Subscription>,
    names_max: usize,
    nonces: u64,
}

/// What is wanted of one type.
#[derive(Clone, Debug, Default)]
struct Subscription {
    names: BTreeSet<String>,
    is_all: bool,
    /// Something is to be sent, whether it is new or not.
    is_due: bool,
    /// The last that was sent.
    nonce: Option<String>,
    /// What it showed.
    shown: Option<Vec<u64>>,
}

impl Session {
    pub(super) const fn new(names_max: usize) -> Self {
        Self { subscriptions: BTreeMap::new(), names_max, nonces: 0 }
    }

    pub(super) fn receive(&mut self, request: DiscoveryRequest) -> Result<Received, Broken> {
        let kind = Kind::from_type_url(&request.type_url).ok_or(Broken::UnknownType)?;
        if request.resource_names.len() > self.names_max {
            return Err(Broken::TooManyNames);
        }
        let is_first = !self.subscriptions.contains_key(&kind);
        let subscription = self.subscriptions.entry(kind).or_default();
        // On a new stream the nonce of an earlier one means nothing.
        let is_answer = !request.response_nonce.is_empty() && subscription.nonce.is_some();
        if is_answer && subscription.nonce.as_ref() != Some(&request.response_nonce) {
            return Ok(Received::Outdated);
        }
        let mut names: BTreeSet<String> = request.resource_names.into_iter().collect();
        let has_star = names.remove("*");
        // Who has once asked by name does not ask for all by asking for none.
        let was_by_name = !is_first && !subscription.is_all;
        let is_all = kind.has_all() && (has_star || names.is_empty() && !was_by_name);
        if is_first || names != subscription.names || is_all != subscription.is_all {
            (subscription.names, subscription.is_all) = (names, is_all);
            subscription.is_due = true;
        }
        Ok(match request.error_detail.filter(|_| is_answer) {
            Some(error) => Received::Refused(error.message),
            None => Received::Taken,
        })
    }

    pub(super) fn wanted(&self, kind: Kind) -> Option<Wanted<'_>> {
        let Subscription { names, is_all, .. } = self.subscriptions.get(&kind)?;
        Wanted::some(names, *is_all)
    }

    /// Whether an answer that shows this is to be sent, and with which nonce.
    pub(super) fn send(&mut self, kind: Kind, shown: Vec<u64>) -> Option<String> {
        let subscription = self.subscriptions.get_mut(&kind)?;
        if !subscription.is_due && subscription.shown.as_ref() == Some(&shown) {
            return None;
        }
        self.nonces += 1;
        let nonce = self.nonces.to_string();
        subscription.is_due = false;
        (subscription.shown, subscription.nonce) = (Some(shown), Some(nonce.clone()));
        Some(nonce)
    }
}

#[cfg(test)]
mod tests {
    use lombard_proto::rpc::Status;

    use super::*;
    use crate::xds::protocol::Protocol as _;

    fn request(kind: Kind, names: &[&str], nonce: &str) -> DiscoveryRequest {
        DiscoveryRequest {
            resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
            type_url: kind.type_url().to_owned(),
            response_nonce: nonce.to_owned(),
            ..DiscoveryRequest::default()
        }
    }

    #[test]
    fn an_answer_follows_each_change_of_what_is_wanted_or_shown() {
        let (mut session, kind) = (Session::new(10), Kind::Endpoints);
        assert_eq!(session.receive(request(kind, &["pay"], "")), Ok(Received::Taken));
        assert_eq!(session.only_name(), Some("pay"));
        assert_eq!(session.send(kind, vec![1]).as_deref(), Some("1"));
        assert_eq!(session.receive(request(kind, &["pay"], "1")), Ok(Received::Taken));
        assert_eq!(session.send(kind, vec![1]), None, "it has that");
        assert_eq!(session.send(kind, vec![2]).as_deref(), Some("2"));
        // What it says to the first comes too late, whatever it is.
        assert_eq!(session.receive(request(kind, &["other"], "1")), Ok(Received::Outdated));
        assert_eq!(session.send(kind, vec![2]), None);
        session.receive(request(kind, &["pay", "ship"], "2")).unwrap();
        assert_eq!(session.only_name(), None);
        assert_eq!(session.send(kind, vec![2, 0]).as_deref(), Some("3"));
        session.receive(request(kind, &[], "3")).unwrap();
        assert!(session.wanted(kind).is_none(), "all endpoints cannot be asked for");
    }

    #[test]
    fn a_refusal_is_told_and_not_answered_with_the_same() {
        let (mut session, kind) = (Session::new(10), Kind::Listener);
        session.receive(request(kind, &["pay"], "")).unwrap();
        session.send(kind, vec![]).unwrap();
        let error_detail = Some(Status { message: "bad".to_owned(), ..Status::default() });
        let refusal = DiscoveryRequest { error_detail, ..request(kind, &["pay"], "1") };
        assert_eq!(session.receive(refusal), Ok(Received::Refused("bad".to_owned())));
        assert_eq!(session.send(kind, vec![]), None);
    }

    #[test]
    fn all_are_asked_for_by_no_name_from_the_start_or_by_a_star() {
        let mut session = Session::new(10);
        session.receive(request(Kind::Cluster, &[], "")).unwrap();
        assert!(session.wanted(Kind::Cluster).unwrap().is_all);
        session.receive(request(Kind::Listener, &["a"], "")).unwrap();
        session.send(Kind::Listener, vec![]).unwrap();
        session.receive(request(Kind::Listener, &[], "1")).unwrap();
        assert!(session.wanted(Kind::Listener).is_none(), "it has taken its names back");
        session.receive(request(Kind::Listener, &["*"], "1")).unwrap();
        assert!(session.wanted(Kind::Listener).unwrap().is_all);
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let mut session = Session::new(1);
        let many = session.receive(request(Kind::Endpoints, &["a", "b"], ""));
        assert_eq!(many, Err(Broken::TooManyNames));
        let unknown = DiscoveryRequest { type_url: "x".to_owned(), ..DiscoveryRequest::default() };
        assert_eq!(session.receive(unknown), Err(Broken::UnknownType));
        // A nonce from before this stream is none.
        assert_eq!(session.receive(request(Kind::Endpoints, &["a"], "77")), Ok(Received::Taken));
        assert!(session.send(Kind::Endpoints, vec![]).is_some());
    }
}
