//! Work for a tenant that is no call of a module, and takes as long: it goes to the same threads.

use super::Pipeline;
use crate::model::TenantName;
use crate::runtime::Lane;
use tokio::sync::oneshot;

impl Pipeline {
    /// Does work for a tenant on the threads that modules run on, which are shared fairly; none where it broke down, or the host stops.
    pub async fn on_threads<T: Send + 'static>(
        &self,
        tenant: &TenantName,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        let job = move || drop(sender.send(work()));
        self.executor.submit(Lane::Inline, Some(tenant), Box::new(job)).await.ok()?;
        receiver.await.ok()
    }
}
