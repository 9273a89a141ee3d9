//! The one signal that tells every worker to finish: given once, seen by all.

use tokio::sync::watch;

/// Gives the signal. Dropping it gives the signal too.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Waits for the signal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A signal not yet given.
#[must_use]
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Gives the signal.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Ends when the signal is given; at once where it was.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone, which is a signal too.
        let _ = self.0.wait_for(|fired| *fired).await;
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn fired(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
