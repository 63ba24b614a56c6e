use super::*;

fn addresses(authorities: &[&str]) -> Vec<Address> {
    let address = |authority: &&str| Address { authority: (*authority).into(), zone: None };
    authorities.iter().map(address).collect()
}

fn cluster(authorities: &[&str]) -> Arc<Cluster> {
    let cluster = Cluster::new("payments", Source::Static, ClusterRules::default());
    cluster.set_members(&addresses(authorities), None, Duration::ZERO);
    Arc::new(cluster)
}

const NOW: Duration = Duration::from_secs(100);

#[test]
fn an_instance_that_stays_keeps_its_counts() {
    let cluster = cluster(&["a:1", "b:1"]);
    let busy = cluster.choose(&[], NOW, 0).unwrap();
    let stays = busy.0.authority.to_string();
    cluster.set_members(&addresses(&[&stays, "c:1", "c:1"]), None, NOW);
    let after = cluster.endpoints.load_full();
    assert_eq!(after.len(), 2);
    assert!(Arc::ptr_eq(&busy.0, &after[0]));
    assert_eq!(after[0].load(NOW).in_flight, 1);
    drop(busy);
    assert_eq!(after[0].load(NOW).in_flight, 0);
    cluster.set_members(&[], None, NOW);
    assert!(cluster.is_empty());
}

#[test]
fn an_instance_that_fails_is_avoided_until_it_is_the_last() {
    let cluster = cluster(&["a:1", "b:1"]);
    let endpoints = cluster.endpoints.load_full();
    for _ in 0..3 {
        cluster.record(&endpoints[0], Outcome::Failed, NOW);
    }
    for random in 0..50_u64 {
        let busy = cluster.choose(&[], NOW, random << 32 | random).unwrap();
        assert_eq!(&*busy.0.authority, "b:1");
    }
    for _ in 0..10 {
        cluster.record(&endpoints[1], Outcome::Failed, NOW);
    }
    assert!(!endpoints[1].load(NOW).is_ejected, "never all of them");
    assert!(!endpoints[0].load(NOW + Duration::from_secs(1)).is_ejected);
}

#[test]
fn an_instance_that_comes_back_is_tried_by_one_request_at_a_time() {
    let cluster = cluster(&["a:1", "b:1"]);
    let bad = Arc::clone(&cluster.endpoints.load()[0]);
    for _ in 0..3 {
        cluster.record(&bad, Outcome::Failed, NOW);
    }
    let sent_to_it = |now| {
        let sent: Vec<Busy> = (0..50_u64)
            .filter_map(|random| cluster.choose(&[], now, random << 32 | random))
            .collect();
        sent.iter().filter(|busy| Arc::ptr_eq(&busy.0, &bad)).count()
    };
    assert_eq!(sent_to_it(NOW), 0);
    let later = NOW + Duration::from_secs(1);
    assert_eq!(sent_to_it(later), 1);
    cluster.record(&bad, Outcome::Failed, later);
    assert_eq!(sent_to_it(later), 0, "it has not shown that it is well");
    let later = later + Duration::from_secs(2);
    assert_eq!(sent_to_it(later), 1);
    cluster.record(&bad, Outcome::Answered { latency: Duration::ZERO }, later);
    assert!(sent_to_it(later) > 5);
}

#[test]
fn the_breaker_opens_on_failures_and_lets_one_try_later() {
    let cluster = cluster(&["a:1"]);
    let endpoint = Arc::clone(&cluster.endpoints.load()[0]);
    let well = Outcome::Answered { latency: Duration::from_millis(1) };
    for _ in 0..4 {
        cluster.record(&endpoint, well, NOW);
    }
    for _ in 0..16 {
        drop(cluster.admit(NOW).unwrap());
        cluster.record(&endpoint, Outcome::Failed, NOW);
    }
    assert!(matches!(cluster.admit(NOW), Err(NotAdmitted::CircuitOpen { .. })));
    let later = NOW + Duration::from_secs(2);
    let probe = cluster.admit(later).unwrap();
    assert!(cluster.admit(later).is_err());
    cluster.record(&endpoint, well, later);
    drop(probe);
    assert!(cluster.admit(later).is_ok());
    assert_eq!(cluster.in_flight.load(Relaxed), 0);
}

#[test]
fn the_limit_of_requests_and_of_retries() {
    let rules = ClusterRules { in_flight_max: 1, ..ClusterRules::default() };
    let cluster = Arc::new(Cluster::new("x", Source::Static, rules));
    let first = cluster.admit(NOW).unwrap();
    assert_eq!(cluster.admit(NOW).unwrap_err(), NotAdmitted::Full);
    drop(first);
    assert!(cluster.admit(NOW).is_ok());
    assert_eq!((0..20).filter(|_| cluster.take_retry()).count(), 10);
}
