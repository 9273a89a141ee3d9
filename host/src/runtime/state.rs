//! What a module's state is to the runtime: four functions that somebody else answers. The runtime knows nothing of where it is kept,
//! nor of its bounds; it sees to it that a module reaches it in the call proper only.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

/// The state of one step, for one call. The functions are those of `state` in `wit/types.wit`.
pub trait StateAccess: Debug + Send {
    /// The value under a key.
    ///
    /// # Errors
    /// As [`StateError`] says.
    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, StateError>;
    /// Keeps a value.
    ///
    /// # Errors
    /// As [`StateError`] says.
    fn set(&mut self, key: &str, value: Vec<u8>, ttl_s: u32) -> Result<(), StateError>;
    /// Removes a key.
    ///
    /// # Errors
    /// As [`StateError`] says.
    fn remove(&mut self, key: &str) -> Result<(), StateError>;
    /// Adds to a number, and answers the sum.
    ///
    /// # Errors
    /// As [`StateError`] says.
    fn increment(&mut self, key: &str, by: i64, ttl_s: u32) -> Result<i64, StateError>;
}

/// A state as a call holds it. The call's instance owns what it reaches, so this is shared with whoever made it; nobody ever waits for it.
pub type StateHandle = Arc<Mutex<dyn StateAccess>>;

/// Why a state does not do what a module asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It is more than the state takes: the failure `limit`.
    #[error("{what}: `{bound}` is {max}")]
    Limit {
        /// What is too much, in words.
        what: String,
        /// The bound, as the config file names it.
        bound: &'static str,
        /// Its value.
        max: u64,
    },
    /// It makes no sense: the failure `input-invalid`.
    #[error("{0}")]
    InputInvalid(String),
    /// The store cannot be read. It says nothing about the module, which does not learn of it: the call ends.
    #[error("the state cannot be read: {0}")]
    Unavailable(String),
}
