//! Reads a listener's certificate and key again from time to time: they end, and something else renews them. A pair that cannot be used is
//! told, in the log and to the operator, and the one before it stays.

use crate::clock::Clock;
use crate::server::{Reloaded, Tls};
use crate::shutdown::Shutdown;
use crate::store::{CommitError, HostFact, Store, Transition};
use std::sync::Arc;
use tokio::time::sleep;

/// Looks until the signal is given.
///
/// # Errors
/// Where the store takes no word of what was refused.
pub(super) async fn watch(
    listener: &'static str,
    tls: Arc<Tls>,
    store: Store,
    clock: Clock,
    mut shutdown: Shutdown,
) -> Result<(), CommitError> {
    loop {
        tokio::select! {
            () = shutdown.wait() => return Ok(()),
            () = sleep(tls.reload_every()) => {}
        }
        let looking = tls.clone();
        let looked = tokio::task::spawn_blocking(move || looking.reload()).await;
        match looked.unwrap_or(Reloaded::Nothing) {
            Reloaded::Nothing => {}
            Reloaded::New => tracing::info!(listener, "a new certificate is used"),
            Reloaded::Refused(error) => {
                tracing::error!(listener, %error, "a new certificate cannot be used; the one before it still is");
                let fact = HostFact::CertificateRefused { listener: listener.to_owned(), reason: error.to_string() };
                store.commit(Transition::Happened { fact, now_ms: clock.now_ms() }).await?;
            }
        }
    }
}
