//! What happens to the host itself, and what was told.

use super::{Applied, Refusal};
use crate::model::{EventId, TenantName};
use crate::store::notice::{self, Notice};
use crate::store::{Hint, HostFact, Outcome, View, keys, meta};

/// Keeps a notice of it. An episode of a disk with little room has one at its beginning and one at its end, whoever restarts meanwhile.
pub(super) fn happened(view: &mut View<'_>, fact: &HostFact, now_ms: u64) -> Result<Applied, Refusal> {
    let is_low = meta::disk_low_since_ms(view)?.is_some();
    match fact {
        HostFact::DiskLow { .. } if is_low => {
            return Ok(Applied::quietly(Outcome::Stale { why: "the disk is known to be low" }));
        }
        HostFact::DiskOk { .. } if !is_low => {
            return Ok(Applied::quietly(Outcome::Stale { why: "the disk is not known to be low" }));
        }
        HostFact::DiskLow { .. } => meta::put_disk_low(view, Some(now_ms)),
        HostFact::DiskOk { .. } => meta::put_disk_low(view, None),
        HostFact::CertificateRefused { .. } | HostFact::Restarted { .. } => {}
    }
    notice::put(view, None, &Notice::of_host(fact, now_ms))?;
    Ok(Applied { outcome: Outcome::Done, hints: vec![Hint::Notice] })
}

/// Takes a notice away that becomes no event.
pub(super) fn told(view: &mut View<'_>, scope: Option<&TenantName>, event: EventId) -> Result<Applied, Refusal> {
    notice::remove(view, keys::notice(scope, event))?;
    Ok(Applied::quietly(Outcome::Done))
}
