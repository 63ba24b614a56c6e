//! The read side draws statements up and the ledger's writer records them: here they meet.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use lombard_chassis::Problem;
use lombard_ledger::StatementSealer;
use lombard_ledger_core::{Evidence, Statement};
use lombard_types::Position;

#[derive(Debug)]
pub(crate) struct LedgerSealer(pub(crate) StatementSealer);

impl lombard_query::Sealer for LedgerSealer {
    fn settle(&self) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.0.settle())
    }

    fn seal(
        &self,
        statement: Statement,
        evidence: Arc<Evidence>,
    ) -> BoxFuture<'_, Result<Position, Problem>> {
        Box::pin(self.0.seal(statement, evidence))
    }
}
