//! Writing: submitted, durable, and known to whoever reads the copy.

use lombard_auth_core::{Command, Reply};
use lombard_chassis::{Problem, problems};
use lombard_engine::Committed;

use crate::{problem, service::Api};

/// Submits, and waits until the token endpoint knows.
pub(crate) async fn submit(api: &Api, command: Command) -> Result<Committed<Reply>, Problem> {
    let committed = api.writer.submit(command).await.map_err(problem::from_submit_error)?;
    let wanted = committed.position.next();
    api.view.wait_for(wanted, api.config.submit_timeout()).await.map_err(|_| {
        Problem::new(&problems::OUTCOME_UNKNOWN)
            .detail("the change is durable but not yet seen by the token endpoint")
    })?;
    Ok(committed)
}
