//! The ledger with its clients' memory: what outlives every life.

use std::{cell::RefCell, rc::Rc};

use lombard_simulation::{Born, Nature, Role};
use lombard_types::{Position, TransferId};

use super::{
    history::History,
    life::{self, WRITERS},
};

pub(super) struct World {
    pub(super) nature: Nature,
    pub(super) history: RefCell<History>,
    /// What each writer has asked for.
    pub(super) asked: RefCell<Vec<Vec<TransferId>>>,
}

impl Role for World {
    fn new(nature: Nature) -> Self {
        Self { nature, history: RefCell::default(), asked: RefCell::new(vec![Vec::new(); WRITERS]) }
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

    fn has_seen(&self, _: Position) -> bool {
        true
    }
}
