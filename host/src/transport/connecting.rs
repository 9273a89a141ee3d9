//! How long connecting may take for one request. reqwest has one such bound for a client, which is the host's own; a client for each endpoint's
//! would open connections of its own to receivers that others send to as well. So a layer around reqwest's connector asks the request on whose
//! behalf it is called.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// The bound of the request that is being sent by this task.
    static CONNECT_TIMEOUT_MS: u64;
}

/// No connection came about within the request's own bound.
#[derive(Debug, thiserror::Error)]
#[error("connecting took too long")]
pub(super) struct TooSlow;

type BoxError = Box<dyn Error + Send + Sync>;

/// Sends with this bound on connecting, in milliseconds; none for none but the client's.
///
/// A connector is called when the request is polled for the first time and finds no idle connection: within this scope.
pub(super) async fn within<F: Future>(connect_timeout_ms: Option<u64>, sending: F) -> F::Output {
    match connect_timeout_ms {
        Some(ms) => CONNECT_TIMEOUT_MS.scope(ms, sending).await,
        None => sending.await,
    }
}

/// The layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connecting;

impl<S> Layer<S> for Connecting {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded(inner)
    }
}

/// A connector that gives up when its request does.
#[derive(Clone, Debug)]
pub(super) struct Bounded<S>(S);

impl<S, R> Service<R> for Bounded<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.0.call(target);
        match CONNECT_TIMEOUT_MS.try_with(|ms| Duration::from_millis(*ms)) {
            Ok(bound) => {
                Box::pin(async move { timeout(bound, connecting).await.unwrap_or_else(|_| Err(TooSlow.into())) })
            }
            Err(_) => Box::pin(connecting),
        }
    }
}
