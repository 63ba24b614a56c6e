//! Statements are drawn up by the read side and recorded here.

use std::sync::Arc;

use lombard_chassis::Problem;
use lombard_engine::Handle;
use lombard_ledger_core::{Command, Evidence, Statement};
use lombard_types::Position;

use crate::{machine::LedgerMachine, problem};

/// Records sealed statements. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StatementSealer {
    pub(crate) writer: Handle<LedgerMachine>,
}

impl StatementSealer {
    /// Has everything recorded that time has ended by now; whatever was decided before is durable then.
    pub async fn settle(&self) -> Result<(), Problem> {
        let settled = self.writer.submit(Command::EndPendings).await;
        settled.map(drop).map_err(problem::from_submit_error)
    }

    /// Records a statement, and says where.
    pub async fn seal(
        &self,
        statement: Statement,
        evidence: Arc<Evidence>,
    ) -> Result<Position, Problem> {
        let command = Command::SealStatement { statement: Box::new(statement), evidence };
        let sealed = self.writer.submit(command).await.map_err(problem::from_submit_error)?;
        Ok(sealed.position)
    }
}
