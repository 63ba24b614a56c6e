//! Runs what the HTTP library spawns on the worker's own thread.

use tokio::task::spawn_local;

/// An executor whose tasks never leave their thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(spawn_local(future));
    }
}
