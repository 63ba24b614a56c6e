use lombard_simulation::{find_out_lies, run_seeds, run_twice};

use super::world::World;

/// Seeds of every change.
const SEEDS: u64 = 20;

#[test]
fn seeds_keep_every_promise() {
    run_seeds::<World>(SEEDS, "cargo test -p lombard-eventstore simulation");
}

#[test]
fn seeds_give_the_same_trace_again() {
    run_twice::<World>(3);
}

#[test]
fn a_disk_that_lies_is_found_out() {
    find_out_lies::<World>(10);
}
