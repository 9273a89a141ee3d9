//! What can go wrong with the store, by who asked: opening it, committing, reading. Each has a stable `code`, and says what to do.

use super::backend::BackendError;
use std::path::PathBuf;

/// The store did not open. Nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has it.
    #[error("another hookswitch is running on this data directory ({}): stop it, or give this one its own", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// Somebody else wrote it.
    #[error(
        "the store in {} has format {found}, this hookswitch reads format {known}: run the version that wrote it, or export from that one and apply here", dir.display()
    )]
    Format {
        /// The directory.
        dir: PathBuf,
        /// What stands there; 0 where it cannot be read.
        found: u32,
        /// What this version reads and writes.
        known: u32,
    },
    /// The directory cannot be used.
    #[error("cannot use the data directory {}: {source}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database in it cannot be used.
    #[error("cannot open the store in {}: {source}", dir.display())]
    Backend {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: BackendError,
    },
    /// The committer did not start.
    #[error("cannot start the thread that commits: {0}")]
    Thread(std::io::Error),
}

impl OpenError {
    /// Stable, for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "store_locked",
            Self::Format { .. } => "store_format_unknown",
            Self::Directory { .. } | Self::Backend { .. } | Self::Thread(_) => "store_unavailable",
        }
    }
}

/// A transition got no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// An earlier write failed; this one was not tried.
    #[error(
        "the store takes no more writes since one failed ({reason}); it is opened anew as soon as its disk takes writes again"
    )]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// The write failed under way: it may be on disk, or not. Opened anew, the store knows.
    #[error("whether this was written is unknown until the store is opened anew: {reason}")]
    Unknown {
        /// What failed.
        reason: String,
    },
    /// The store is shutting down; nothing was written.
    #[error("the store is closed")]
    Closed,
    /// The transition's records are longer than one atomic write may be; nothing was written.
    #[error("the records of this write take {bytes} bytes, more than transition_bytes_max ({bytes_max})")]
    TooLong {
        /// How long they are, bodies apart.
        bytes: usize,
        /// How long they may be.
        bytes_max: usize,
    },
    /// The transition contradicts itself: a bug of whoever made it. Nothing was written.
    #[error("this write contradicts itself: {why}")]
    Invalid {
        /// What does not fit.
        why: &'static str,
    },
    /// What it builds on cannot be read. Nothing was written.
    #[error("what this write builds on cannot be read: {0}")]
    Unreadable(ReadError),
    /// Applying it panicked: a bug of the store. Nothing was written; other writes go on.
    #[error("applying this write failed inside the store; nothing was written")]
    Internal,
}

impl CommitError {
    /// Stable, for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Poisoned { .. } => "store_poisoned",
            Self::Unknown { .. } => "outcome_unknown",
            Self::Closed => "store_closed",
            Self::TooLong { .. } => "transition_too_long",
            Self::Invalid { .. } => "transition_invalid",
            Self::Unreadable(_) => "store_unreadable",
            Self::Internal => "store_internal",
        }
    }
}

/// A question got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The database failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A record is of a version that this hookswitch does not know.
    #[error(
        "a record in {tree} has version {version}, which this hookswitch does not know: a newer one wrote it; key {key}"
    )]
    Version {
        /// The tree it is in.
        tree: String,
        /// Its key, escaped.
        key: String,
        /// Its version.
        version: u8,
    },
    /// A record does not say what a record of its kind says.
    #[error("a record in {tree} cannot be read: {why}; key {key}")]
    Record {
        /// The tree it is in.
        tree: String,
        /// Its key, escaped.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A key is not one of the kind it stands among.
    #[error("a key in {tree} cannot be read: {key}")]
    Key {
        /// The tree it is in.
        tree: String,
        /// The key, escaped.
        key: String,
    },
    /// The cursor is not one that this list gave for this tenant.
    #[error(
        "this cursor is not one that this list gave for this tenant: take `next` of the page before as it is, or begin without one"
    )]
    Cursor,
    /// The configuration changed each time it was read.
    #[error("the configuration changed {0} times while it was read: try again")]
    Unsteady(u32),
    /// The reading thread panicked: a bug.
    #[error("reading failed inside the store")]
    Internal,
}

impl ReadError {
    /// Whether it is about one record or key: whoever asks again gets the same answer, and whoever asks for something else does not.
    #[must_use]
    pub const fn is_of_one_record(&self) -> bool {
        match self {
            Self::Version { .. } | Self::Record { .. } | Self::Key { .. } | Self::Cursor => true,
            Self::Backend(_) | Self::Unsteady(_) | Self::Internal => false,
        }
    }

    /// Stable, for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Backend(_) => "store_unavailable",
            Self::Version { .. } | Self::Record { .. } | Self::Key { .. } => "store_unreadable",
            Self::Cursor => "cursor_invalid",
            Self::Unsteady(_) => "config_unsteady",
            Self::Internal => "store_internal",
        }
    }
}
