//! Whose an endpoint is. One with labels is one customer's, as the tenant has it; with other labels, or made anew, it is somebody else's. So it has a record of
//! the last event by then: what came of that one and those before it was sent to somebody else, who is neither shown nor sent it again. An
//! endpoint without labels is the tenant's own, by its name, and has no such record.

use super::backend::Look;
use super::key::Key;
use super::tree::TreeId;
use super::{ReadError, View, keys, meta, stored};
use crate::model::{EndpointName, EventId, TenantName};

/// The place in the order of the last event that was before an endpoint's owner; 0 where there is none.
pub(super) fn since_seq(look: &dyn Look, tenant: &TenantName, endpoint: &EndpointName) -> Result<u64, ReadError> {
    meta::number(look, keys::owner(tenant, endpoint.as_str()))
}

/// Whether what came of an event was for the owner that the endpoint has now.
pub(super) fn is_of(
    look: &dyn Look,
    tenant: &TenantName,
    endpoint: &EndpointName,
    event: EventId,
) -> Result<bool, ReadError> {
    let since_seq = since_seq(look, tenant, endpoint)?;
    Ok(since_seq == 0 || stored::event(look, tenant, event)?.is_some_and(|event| event.seq > since_seq))
}

/// From here on an endpoint is another one's, or nobody's.
pub(super) fn put(
    view: &mut View<'_>,
    tenant: &TenantName,
    endpoint: &EndpointName,
    has_labels: bool,
) -> Result<(), ReadError> {
    let key: Key = keys::owner(tenant, endpoint.as_str());
    if has_labels {
        let last_seq = meta::last_seq(view)?;
        view.put(TreeId::Hot, key, last_seq.to_be_bytes().to_vec());
    } else {
        view.remove(TreeId::Hot, key);
    }
    Ok(())
}
