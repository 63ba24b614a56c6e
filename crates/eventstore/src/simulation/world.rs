//! The store with its clients' memory, and what was seen: what outlives every life.

use std::{cell::RefCell, rc::Rc};

use lombard_simulation::{Born, Dice, Nature, Role};
use lombard_types::Position;

use super::{
    history::{Ask, History},
    life::{self, SUBSCRIBERS, WRITERS},
};

pub(super) struct World {
    pub(super) nature: Nature,
    pub(super) history: RefCell<History>,
    /// What each writer has asked for.
    pub(super) asked: RefCell<Vec<Vec<Ask>>>,
    /// Where each subscriber goes on.
    pub(super) subscribers: RefCell<Vec<Position>>,
}

impl Role for World {
    fn new(nature: Nature) -> Self {
        Self {
            nature,
            history: RefCell::default(),
            asked: RefCell::new(vec![Vec::new(); WRITERS]),
            subscribers: RefCell::new(vec![Position::START; SUBSCRIBERS]),
        }
    }

    fn nature(&self) -> &Nature {
        &self.nature
    }

    async fn begin(self: &Rc<Self>, life: u64) -> Born {
        life::begin(self, life).await
    }

    fn discard_index(&self) {
        lombard_index::Opening::discard(&self.nature.index_directory()).unwrap();
    }

    fn has_seen(&self, tail: Position) -> bool {
        self.subscribers.borrow().iter().all(|next| *next == tail)
    }
}

impl World {
    pub(super) fn dice(&self, actor: u64) -> Dice {
        self.nature.dice(actor)
    }
}
