//! The hostile guests: modules, and what passes itself off as one, that want to hurt the host or whoever else it serves. One list
//! for `tests/it/containment.rs`, which tries each on a runtime of its own, and for `make hostile`, which lets a tenant run them in a
//! real host while another tenant's events are timed.
//!
//! Each says what has to become of it: refused, stopped or harmless, by which error code, and which words the error has to have
//! for a person. All of them are made here, as WebAssembly text or byte by byte.

mod calls;
#[path = "../../host/src/runtime/tests/guests.rs"]
pub(crate) mod guests;
mod uploads;

pub(crate) use uploads::{flipped, truncated};

/// One hostile guest.
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) upload: Vec<u8>,
    pub(crate) fate: Fate,
}

/// What has to become of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// The upload is refused, by this code and with these words.
    Refused(&'static str, &'static str),
    /// It is taken, and already its start or its `configure` is stopped: no route gets it.
    NoRoute(&'static str, &'static str),
    /// It is taken, and a call of it ends like this.
    Stopped(&'static str, &'static str),
    /// It does what it likes, and it hurts nobody: the call ends well.
    Harmless,
}

/// Every hostile guest; those that only a compiler with a bound on its time contains, where there is one.
pub(crate) fn all(bounded_compiler: bool) -> Vec<Hostile> {
    let slow = if bounded_compiler { uploads::slow() } else { Vec::new() };
    [calls::all(), uploads::all(), slow].into_iter().flatten().collect()
}

/// A good filter, to be broken.
pub(crate) fn good() -> Vec<u8> {
    guests::rejecting(64, 8).core()
}

/// One of them.
pub(crate) const fn hostile(name: &'static str, upload: Vec<u8>, fate: Fate) -> Hostile {
    Hostile { name, upload, fate }
}
