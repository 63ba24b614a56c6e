use lombard_simulation::{find_out_lies, run, run_seeds};

use super::world::World;

/// Seeds of every change.
const SEEDS: u64 = 12;

#[test]
fn seeds_keep_every_promise() {
    run_seeds::<World>(SEEDS, "cargo test -p lombard-ledger simulation");
}

#[test]
fn seeds_give_the_same_trace_again() {
    let trace = |seed| run::<World>(seed, |_| {});
    for seed in 0..3 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
    assert_ne!(trace(1), trace(2));
}

/// The canary: on a disk that answers syncs without doing them, what was acknowledged is lost, and that is noticed.
#[test]
fn a_disk_that_lies_is_found_out() {
    let found_out = find_out_lies::<World>(10);
    assert!(found_out >= 5, "{found_out} of 10");
}
