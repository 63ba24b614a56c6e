use std::{panic, rc::Rc};

use super::{
    dice::Dice,
    life::{live, live_in_peace},
    world::World,
};

/// Seeds of every change.
const SEEDS: u64 = 20;
const LIVES: u64 = 5;

/// Runs a seed; answers the trace of all that happened.
fn simulate(seed: u64, prepare: impl FnOnce(&World)) -> Vec<u8> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = Rc::new(World::new(seed));
        prepare(&world);
        let lives = 1 + Dice::new(seed, 0).roll(LIVES);
        for life in 0..lives {
            live(&world, life).await;
        }
        live_in_peace(&world, lives).await;
        world.trace()
    })
}

#[test]
fn seeds_keep_every_promise() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("LOMBARD_FIRST_SEED").unwrap_or(0);
    let seeds = match number("LOMBARD_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + number("LOMBARD_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if panic::catch_unwind(|| simulate(seed, |_| {})).is_err() {
            let again = "cargo test -p lombard-eventstore simulation";
            panic!("seed {seed} failed; once more with: LOMBARD_SEED={seed} {again}");
        }
    }
}

#[test]
fn seeds_give_the_same_trace_again() {
    for seed in 0..3 {
        assert_eq!(simulate(seed, |_| {}), simulate(seed, |_| {}), "seed {seed}");
    }
    assert_ne!(simulate(1, |_| {}), simulate(2, |_| {}));
}

/// The canary: on a disk that answers syncs without doing them, what was acknowledged is lost, and that is noticed.
#[test]
fn a_disk_that_lies_is_found_out() {
    let is_found_out = |seed| {
        let lie = |world: &World| world.disk.lie_about_syncs(true);
        panic::catch_unwind(|| simulate(seed, lie)).is_err()
    };
    let found_out = (0..10).filter(|seed| is_found_out(*seed)).count();
    assert!(found_out >= 5, "{found_out} of 10");
}
