//! How the compiler's process gives up what it does not need, before it reads a byte: files, the network, new privileges,
//! memory and CPU time over its bounds.
//!
//! The limits of the kernel (`setrlimit`) are there on every system, and must hold. Landlock is Linux's way to keep a process from files
//! and sockets; where the kernel has none, what is left is that no file can be opened, because there is no number for one.

use crate::runtime::Config;
use rlimit::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// The numbers of open files: stdin, stdout and stderr, and no further one.
const OPEN_FILES_MAX: u64 = 3;
/// Between the signal that ends the process and the one that it could not catch, in seconds of CPU time.
const CPU_GRACE_S: u64 = 1;

/// What confines the compiler's process beside the limits of the kernel, which always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Whether Landlock keeps it from files and sockets.
    pub landlock: Landlock,
    /// Whether it can get no privileges from files that it executes.
    pub no_new_privileges: bool,
}

/// How much of Landlock is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Landlock {
    /// Everything that this program knows of.
    Full,
    /// What the kernel, an older one, has.
    Partial,
    /// The system or its kernel has none.
    None,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.landlock {
            Landlock::Full => "limits of memory, CPU time and open files; Landlock keeps it from files and sockets",
            Landlock::Partial => "limits of memory, CPU time and open files; Landlock as far as this kernel has it",
            Landlock::None => "limits of memory, CPU time and open files; no Landlock here",
        })?;
        f.write_str(if self.no_new_privileges { "; no new privileges" } else { "" })
    }
}

/// Confines this process for good. To be called while it has one thread.
pub(super) fn confine(config: &Config) -> io::Result<Confinement> {
    lower(Resource::CORE, 0, 0)?;
    lower(Resource::FSIZE, 0, 0)?;
    lower(Resource::CPU, config.compile_cpu_s_max, config.compile_cpu_s_max.saturating_add(CPU_GRACE_S))?;
    lower_memory(config.compile_memory_bytes_max as u64)?;
    // This one needs a file of its own, so it comes before there are none.
    let confinement = keep_from_files();
    lower(Resource::NOFILE, OPEN_FILES_MAX, OPEN_FILES_MAX)?;
    Ok(confinement)
}

/// Sets a limit, or keeps a lower one that is there already.
fn lower(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let (_, most) = getrlimit(resource)?;
    setrlimit(resource, soft.min(most), hard.min(most))
}

#[cfg(target_os = "linux")]
fn lower_memory(bytes: u64) -> io::Result<()> {
    lower(Resource::AS, bytes, bytes)
}

/// Other systems do not keep this limit; some refuse to set it.
#[cfg(not(target_os = "linux"))]
fn lower_memory(bytes: u64) -> io::Result<()> {
    let _ = lower(Resource::AS, bytes, bytes);
    Ok(())
}

#[cfg(target_os = "linux")]
fn keep_from_files() -> Confinement {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetError, RulesetStatus, Scope,
    };
    /// The newest that this program knows; an older kernel does what it can.
    const KNOWN: ABI = ABI::V6;
    // Everything is handled, and nothing is allowed.
    let restrict = || -> Result<_, RulesetError> {
        let ruleset = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?;
        let ruleset = ruleset.handle_access(AccessNet::from_all(KNOWN))?.scope(Scope::from_all(KNOWN))?;
        ruleset.create()?.restrict_self()
    };
    match restrict() {
        Ok(status) => Confinement {
            landlock: match status.ruleset {
                RulesetStatus::FullyEnforced => Landlock::Full,
                RulesetStatus::PartiallyEnforced => Landlock::Partial,
                RulesetStatus::NotEnforced => Landlock::None,
            },
            no_new_privileges: status.no_new_privs,
        },
        // Best effort: a sandbox around the host may forbid these calls.
        Err(_) => Confinement { landlock: Landlock::None, no_new_privileges: false },
    }
}

#[cfg(not(target_os = "linux"))]
fn keep_from_files() -> Confinement {
    Confinement { landlock: Landlock::None, no_new_privileges: false }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs::File;

    /// Landlock holds for the thread that asks for it. The limits hold for the process: `tests/it/compiling.rs` looks at these.
    #[test]
    fn where_there_is_landlock_no_file_and_no_port_is_in_reach() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "s").unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (confinement, read, write, connect) = std::thread::spawn(move || {
            let confinement = keep_from_files();
            let write = File::create(path.with_file_name("new"));
            (confinement, File::open(&path), write, std::net::TcpStream::connect(address))
        })
        .join()
        .unwrap();
        let denied = |error: io::Result<()>| error.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        let has_landlock = confinement.landlock != Landlock::None;
        assert_eq!(denied(read.map(drop)), has_landlock);
        assert_eq!(denied(write.map(drop)), has_landlock);
        if confinement.landlock == Landlock::Full {
            assert!(denied(connect.map(drop)) && confinement.no_new_privileges);
        }
    }
}
