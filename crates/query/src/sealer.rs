//! Who records statements: the ledger's writer, which the read side does not know.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use lombard_chassis::Problem;
use lombard_ledger_core::{Evidence, Statement};
use lombard_types::Position;

/// Records sealed statements in the ledger's log.
pub trait Sealer: Send + Sync + fmt::Debug {
    /// Has everything recorded that time has ended by now, and everything durable that was decided before.
    fn settle(&self) -> BoxFuture<'_, Result<(), Problem>>;

    /// Records a statement, and says where. [`lombard_ledger_api::problem::STATEMENT_OUT_OF_ORDER`] where another one was
    /// sealed meanwhile.
    fn seal(
        &self,
        statement: Statement,
        evidence: Arc<Evidence>,
    ) -> BoxFuture<'_, Result<Position, Problem>>;
}
