//! Cursors: where a page ended, as a text to come back with. Opaque to callers, and good only for the list and the tenant that it
//! came from.

use crate::model::TenantName;
use crate::store::ReadError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The first byte of a cursor; another layout takes another one.
const VERSION: u8 = 1;
/// How much of the hash of list and tenant a cursor carries. It guards against mistakes: the tenant's own key already bounds
/// what a cursor can reach.
const BINDING_BYTES: usize = 8;

/// Which list of which tenant a cursor is for. Lists that are not the store's have theirs from here, too.
pub struct Binding([u8; BINDING_BYTES]);

impl Binding {
    /// The binding of `list` for `tenant`; none for the operator's lists.
    #[must_use]
    pub fn new<'a>(list: &str, tenant: impl Into<Option<&'a TenantName>>) -> Self {
        let mut sha = Sha256::new();
        sha.update(list);
        sha.update([0]);
        sha.update(tenant.into().map_or("", TenantName::as_str));
        let hash: [u8; 32] = sha.finalize().into();
        Self(hash.first_chunk().copied().unwrap_or_default())
    }

    /// The cursor for a position in the list.
    #[must_use]
    pub fn encode(&self, position: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([&[VERSION][..], &self.0, position].concat())
    }

    /// The opposite.
    ///
    /// # Errors
    /// [`ReadError::Cursor`] where it is another list's, or none.
    pub fn decode(&self, cursor: &str) -> Result<Vec<u8>, ReadError> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ReadError::Cursor)?;
        let position = bytes.strip_prefix(&[VERSION]).and_then(|rest| rest.strip_prefix(&self.0));
        position.map(<[u8]>::to_vec).ok_or(ReadError::Cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_list_and_tenant_alone() {
        let [acme, other]: [TenantName; 2] = ["acme", "other"].map(|name| name.parse().unwrap());
        let binding = Binding::new("events", &acme);
        let cursor = binding.encode(b"here");
        assert_eq!(binding.decode(&cursor).unwrap(), b"here");
        assert_eq!(Binding::new("events", &other).decode(&cursor), Err(ReadError::Cursor));
        assert_eq!(Binding::new("deliveries", &acme).decode(&cursor), Err(ReadError::Cursor));
        for garbage in ["", "x", "!!", &cursor[1..], &format!("{cursor}=")] {
            assert_eq!(binding.decode(garbage), Err(ReadError::Cursor), "{garbage}");
        }
    }
}
