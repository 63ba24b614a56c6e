//! An auditor who keeps roots, and has the role prove that each is the beginning of what it has now.

use lombard_log::{
    SharedLog,
    merkle::{MerkleError, MerkleFollower, TreeHash, verify_consistency, verify_inclusion},
};
use lombard_types::Position;

use crate::{Dice, Nature};

/// An auditor of a role's log.
pub(crate) struct Auditor {
    /// Its number.
    pub(crate) actor: u64,
    /// The tree behind the log.
    pub(crate) tree: MerkleFollower,
    /// The log.
    pub(crate) log: SharedLog,
    /// Its chance.
    pub(crate) dice: Dice,
}

impl Auditor {
    /// Audits as long as the life lasts.
    pub(crate) async fn run(mut self, nature: &Nature) {
        loop {
            tokio::time::sleep(self.dice.pause(15)).await;
            match self.prove(nature).await {
                Ok(size) => nature.note(self.actor, &format!("proved {size}")),
                // The disk is dead or full; an auditor who finds no proof is no proof of anything.
                Err(MerkleError::Io { .. } | MerkleError::Read(_) | MerkleError::Closed) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    async fn prove(&mut self, nature: &Nature) -> Result<u64, MerkleError> {
        let Self { tree, log, dice, .. } = self;
        let size = tree.size();
        if size == 0 {
            return Ok(0);
        }
        let root = tree.root(size)?;
        let roots = || nature.roots.borrow().clone().into_iter();
        let kept: Vec<(u64, TreeHash)> =
            roots().filter(|(old_size, _)| *old_size <= size).collect();
        for (old_size, old_root) in kept.into_iter().filter(|_| dice.is_one_in(4)) {
            let path = tree.consistency(old_size, size)?;
            let is_proved = verify_consistency(old_size, &old_root, size, &root, &path);
            assert!(is_proved, "the first {old_size} of {size} records are not those of before");
        }
        let position = Position::new(dice.roll(size));
        let inclusion = tree.inclusion(position, size).await?;
        let records = log.read(position, 1).await?;
        let leaf = TreeHash::of_record(position, &records[0].payload);
        assert!(verify_inclusion(&leaf, position.get(), size, &inclusion.path, &root));
        nature.roots.borrow_mut().insert(size, root);
        Ok(size)
    }
}
