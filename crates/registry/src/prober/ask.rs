//! Asks one instance how it is.

use std::pin::pin;

use lombard_registry_core::{Failure, Outcome, Probe, Question};

use super::{ChecksConfig, grpc, http, reach};

/// Asks, and waits for the answer no longer than the check says.
pub(super) async fn ask(config: &ChecksConfig, probe: &Probe) -> Outcome {
    let asked = tokio::time::timeout(probe.check.timeout(), answer(config, probe)).await;
    match asked {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => Outcome::Failed(failure),
        Err(_) => Outcome::Failed(Failure::TimedOut),
    }
}

async fn answer(config: &ChecksConfig, probe: &Probe) -> Result<Outcome, Failure> {
    let stream = reach::connect(config, &probe.at).await?;
    let authority = format!("{}:{}", probe.at.host(), probe.at.port());
    match &probe.check.question {
        Question::Http { path } => http::ask(stream, &authority, path.as_str()).await,
        Question::Tcp => Ok(Outcome::Passing),
        Question::Grpc { service } => grpc::ask(stream, &authority, service.as_str()).await,
    }
}

/// Awaits `exchange` while the connection that carries it is driven.
pub(super) async fn over<T, C>(
    connection: impl Future<Output = C>,
    exchange: impl Future<Output = T>,
) -> T {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut exchange => return answer,
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}
