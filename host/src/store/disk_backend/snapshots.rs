//! Has sled's snapshot renewed while layers are written out, so that a start does not read again all that was written since the last one.

use super::{PoisonError, Shared};

impl Shared {
    /// Works until the end, or until sled has failed. A snapshot that does not come about is no loss: the start takes longer.
    pub(super) fn renew_snapshots_until_closed(&self, bytes_min: u64) {
        let (mut written_out, mut place) = (0, None);
        while let Some(now) = self.next_written_out(written_out) {
            written_out = now;
            let done = match place {
                // The second one to end since began after the place was taken: what is before it is on the disk.
                Some((until, at)) if now >= at + 2 => {
                    place = None;
                    self.sled.renew_snapshot(until, bytes_min).map(drop)
                }
                Some(_) => Ok(()),
                None => self.sled.place().map(|until| place = Some((until, now))),
            };
            if let Err(error) = done {
                tracing::warn!(%error, "sled's snapshot cannot be renewed; the next start takes longer");
            }
        }
    }

    /// Waits until more layers than so many were written out, and says how many; none at the end, and after a failure.
    fn next_written_out(&self, so_many: u64) -> Option<u64> {
        let mut state = self.state();
        while state.written_out == so_many {
            if state.closing || state.failed.is_some() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (!state.closing && state.failed.is_none()).then_some(state.written_out)
    }
}
