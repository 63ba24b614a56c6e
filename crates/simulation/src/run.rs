//! Runs: lives, one after the other, from a seed.

use std::{cell::Cell, collections::BTreeSet, panic, rc::Rc, time::Duration};

use lombard_types::Position;
use tokio::sync::watch;

use crate::{
    Actors, Dice, Nature,
    actors::among,
    fate::{Fate, damage_files},
};

/// Lives of a run, at most, before the last one.
const LIVES: u64 = 5;
/// The actor that decides about lives.
const FATE: u64 = 1;

/// A role that is simulated, with its clients and the model that they keep.
pub trait Role: Sized + 'static {
    /// Before its first life.
    fn new(nature: Nature) -> Self;

    /// What outlives it.
    fn nature(&self) -> &Nature;

    /// Starts it on what is there, after comparing that with the model, and whoever has to do with it.
    fn begin(self: &Rc<Self>, life: u64) -> impl Future<Output = Born>;

    /// Throws the index away.
    fn discard_index(&self);

    /// Whether everybody who follows the log has seen what is before this position.
    fn has_seen(&self, tail: Position) -> bool;
}

/// A role that has started.
pub struct Born {
    /// All who act.
    pub actors: Actors,
    /// Whether the engine has ended.
    pub is_stopped: Rc<Cell<bool>>,
    /// What is durable.
    pub durable: watch::Receiver<Position>,
}

impl std::fmt::Debug for Born {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Born").field("is_stopped", &self.is_stopped).finish_non_exhaustive()
    }
}

/// Runs a seed; answers the trace of all that happened. `prepare` may do something to the world before.
fn run<R: Role>(seed: u64, prepare: impl FnOnce(&R)) -> Vec<u8> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let role = Rc::new(R::new(Nature::new(seed)));
        prepare(&role);
        let lives = 1 + Dice::new(seed, 0).roll(LIVES);
        for life in 0..lives {
            live(&role, life).await;
        }
        live_in_peace(&role, lives).await;
        role.nature().trace()
    })
}

/// Lives until the fate that the seed has for this life.
async fn live<R: Role>(role: &Rc<R>, life: u64) {
    let nature = role.nature();
    let mut dice = nature.dice(life << 16 | FATE);
    let fate = Fate::draw(&mut dice);
    nature.note(FATE, &format!("{fate:?}"));
    let is_thrown_away = nature.has_index_complained.replace(false) || dice.is_one_in(10);
    if is_thrown_away {
        role.discard_index();
        nature.is_index_damaged.set(false);
    } else if life > 0 && damage_files(&nature.index_directory(), &mut dice) {
        nature.is_index_damaged.set(true);
    }
    let born = begin(role, life).await;
    let is_stopped = Rc::clone(&born.is_stopped);
    among(born.actors, fate.happen(nature, &is_stopped, &mut dice)).await;
    fate.leave(nature);
}

/// A last life without faults, in which everything comes to an end.
async fn live_in_peace<R: Role>(role: &Rc<R>, life: u64) {
    let nature = role.nature();
    nature.is_index_damaged.set(false);
    // What was damaged before may be found only now.
    role.discard_index();
    let mut dice = nature.dice(life << 16 | FATE);
    let born = begin(role, life).await;
    let is_stopped = Rc::clone(&born.is_stopped);
    let fate = Fate::Stop { after: Duration::from_millis(100) };
    let end = async {
        fate.happen(nature, &is_stopped, &mut dice).await;
        for _ in 0..10_000 {
            let tail = *born.durable.borrow();
            let is_proved = nature.roots.borrow().contains_key(&tail.get());
            if is_proved && role.has_seen(tail) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("somebody has stayed behind: {:?}", nature.roots.borrow().last_key_value());
    };
    among(born.actors, end).await;
    fate.leave(nature);
}

async fn begin<R: Role>(role: &Rc<R>, life: u64) -> Born {
    let nature = role.nature();
    nature.is_ending.set(false);
    nature.was_full.set(false);
    role.begin(life).await
}

/// Runs the seeds that the environment asks for (`LOMBARD_SEED`, or `LOMBARD_SEEDS` from `LOMBARD_FIRST_SEED` on), or else
/// the first `seeds`. `again` is the command that runs one again.
pub fn run_seeds<R: Role>(seeds: u64, again: &str) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("LOMBARD_FIRST_SEED").unwrap_or(0);
    let seeds = match number("LOMBARD_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + number("LOMBARD_SEEDS").unwrap_or(seeds),
    };
    for seed in seeds {
        if panic::catch_unwind(|| run::<R>(seed, |_| {})).is_err() {
            panic!("seed {seed} failed; once more with: LOMBARD_SEED={seed} {again}");
        }
    }
}

/// Runs some seeds twice: a seed always leaves the same trace, and another one leaves another.
pub fn run_twice<R: Role>(seeds: u64) {
    let trace = |seed| run::<R>(seed, |_| {});
    let traces: BTreeSet<Vec<u8>> = (0..seeds)
        .map(|seed| {
            let first = trace(seed);
            assert_eq!(first, trace(seed), "seed {seed}");
            first
        })
        .collect();
    assert_eq!(traces.len() as u64, seeds, "seeds that leave one trace");
}

/// The canary: on a disk that answers syncs without doing them, what was acknowledged is lost, and that is noticed in half of
/// the seeds at least.
pub fn find_out_lies<R: Role>(seeds: u64) {
    let is_found_out = |seed| {
        let lie = |role: &R| role.nature().disk.lie_about_syncs(true);
        panic::catch_unwind(|| run::<R>(seed, lie)).is_err()
    };
    let found_out = (0..seeds).filter(|seed| is_found_out(*seed)).count() as u64;
    assert!(found_out * 2 >= seeds, "{found_out} of {seeds}");
}
