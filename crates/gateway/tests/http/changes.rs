//! Routes and instances that change ten times a second under load. `LOMBARD_CHANGES_SECONDS=60` goes on for a minute, and looks at the
//! process's memory too, which then must have nothing else to do: `cargo test -p lombard-gateway --test http ten_changes`.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use futures_util::StreamExt as _;

use crate::support::{Upstream, World, config};

const SECONDS: u64 = 2;
const IN_FLIGHT: usize = 16;
/// From here on the memory of the process says something.
const SETTLED_SECONDS: u64 = 20;
const GROWTH_KIB_MAX: u64 = 4096;

/// The routes of one turn: one of a service, and one whose upstream, path and limits change.
fn routes(turn: u64, upstreams: &[Upstream]) -> String {
    let address = upstreams[usize::try_from(turn).unwrap() % upstreams.len()].address;
    format!(
        "
        [[upstream]]
        name = \"moving\"
        addresses = [\"{address}\"]
        [[route]]
        name = \"service\"
        prefix = \"/service\"
        upstream = \"orders\"
        auth = \"none\"
        [[route]]
        name = \"moving\"
        prefix = \"/moving\"
        upstream = \"moving\"
        auth = \"none\"
        limits = [{{ by = \"route\", requests = {}, per = \"second\" }}]
        [[route]]
        name = \"turn-{turn}\"
        prefix = \"/turn-{turn}\"
        upstream = \"moving\"
        auth = \"none\"
        ",
        1_000_000 + turn
    )
}

/// Of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn ten_changes_a_second_fail_no_request() {
    let asked = std::env::var("LOMBARD_CHANGES_SECONDS").ok();
    let seconds = asked.map_or(SECONDS, |text| text.parse().unwrap());
    let mut upstreams = Vec::new();
    for name in ["a", "b", "c"] {
        upstreams.push(Upstream::start(name).await);
    }
    let addresses: Vec<_> = upstreams.iter().map(|upstream| upstream.address).collect();
    let world = World::with(config(&routes(0, &upstreams))).await;
    world.register("orders", &addresses).await;
    let (has_ended, requests, failed) = (Cell::new(false), Cell::new(0), RefCell::new(Vec::new()));
    let load = futures_util::stream::iter(0_u64..)
        .take_while(|_| std::future::ready(!has_ended.get()))
        .map(async |number| {
            let path = if number % 2 == 0 { "/service" } else { "/moving" };
            let response = world.get(path, "").await;
            requests.set(requests.get() + 1);
            if response.status() != 200 {
                failed.borrow_mut().push((path, response.status()));
            }
        })
        .buffer_unordered(IN_FLIGHT)
        .for_each(|()| std::future::ready(()));
    let mut memory = None;
    let change = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        for turn in 1..=seconds * 10 {
            pace.tick().await;
            if turn % 2 == 0 {
                world.control.apply(config(&routes(turn, &upstreams))).unwrap();
            } else {
                let away = usize::try_from(turn).unwrap() % addresses.len();
                let left: Vec<_> =
                    addresses.iter().copied().filter(|each| *each != addresses[away]).collect();
                world.set_instances("orders", &left);
            }
            if turn % (SETTLED_SECONDS * 10 / 4) == 0 {
                println!("after {} s: {} KiB", turn / 10, resident_kib());
            }
            if turn == SETTLED_SECONDS * 10 {
                memory = Some(resident_kib());
            }
        }
        has_ended.set(true);
    };
    tokio::join!(load, change);
    assert_eq!(*failed.borrow(), []);
    assert!(requests.get() > seconds, "{}", requests.get());
    // What is not there any more is not counted any more.
    let metrics = world.get("/metrics", "").await.text().await.unwrap();
    let of_turns = metrics.lines().filter(|line| line.contains("route=\"turn-")).count();
    assert_eq!(of_turns, 4, "{metrics}");
    if let Some(before) = memory {
        let after = resident_kib();
        println!("{} requests; from {before} to {after} KiB", requests.get());
        assert!(after <= before + GROWTH_KIB_MAX, "from {before} to {after} KiB");
    }
}
