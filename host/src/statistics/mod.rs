//! What the host counts: for each source, module and endpoint of a tenant how much, with what success, how fast. Pure: it counts,
//! merges and remembers the minutes under way; the store keeps what is over.
//!
//! `histogram` holds times, `tally` what is counted of one subject in one stretch of time, `subject` says of what, `recorder` is where
//! workers count, and `window` what the last minute, hour and day are. All that is counted can be merged with its like, in any order.
//!
//! What must hold: memory is bounded whatever comes in; what finds no room is counted in its tenant's totals, and said so; a clock that
//! jumps spoils at most what lies around the jump.

mod histogram;
mod recorder;
mod subject;
mod tally;
mod window;

pub use histogram::Histogram;
pub use recorder::{Config, Counted, Keeping, Recorder, SUBJECTS_MAX, Steady, with_totals};
pub use subject::{Kind, Subject};
pub use tally::{Counts, Tally};
pub use window::{HOURS_KEPT, MINUTES_KEPT, Period, Window, Windows};
