//! Where a source with a schedule has come to: the last tick that was made or passed over. It is written by the commit of the tick's event, so a
//! tick is made once, whatever comes between.

use super::transition::Accept;
use crate::model::{Digest, SourceName, TenantName};
use serde::{Deserialize, Serialize};

/// A tick of a source.
#[derive(Clone, Debug)]
pub struct Tick {
    /// Whose.
    pub tenant: TenantName,
    /// Of which source.
    pub source: SourceName,
    /// Where it has come to by this.
    pub mark: TickMark,
    /// The event that the tick is; none where ticks are counted from here on.
    pub accept: Option<Accept>,
}

/// Where a schedule has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickMark {
    /// Which schedule: one that was changed begins anew.
    pub schedule: Digest,
    /// The last tick, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
}
