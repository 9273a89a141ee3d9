//! How the compiler's process gives up what it does not need, before it reads a byte: files, the network, new privileges,
//! memory and CPU time over its bounds, and processors that the host has use for.
//!
//! The limits of the kernel (`setrlimit`) are there on every system, and must hold. Landlock is Linux's way to keep a process from opening
//! files and from reaching others: by TCP since Linux 6.7, by abstract Unix sockets since 6.12, by those with a path since 7.1, by UDP since
//! 7.2.
//! Where the kernel has less, what is left is that no file and no socket can be opened, because there is no number for one: as long as
//! the process keeps the three that it has.

use crate::runtime::Config;
use rlimit::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// The numbers of open files: stdin, stdout and stderr, and no further one.
const OPEN_FILES_MAX: u64 = 3;
/// How much nicer than the host it is: of a processor that the host wants, too, it gets a tenth.
const BEHIND: i32 = 10;
/// Between the signal that ends the process and the one that it could not catch, in seconds of CPU time.
const CPU_GRACE_S: u64 = 1;

/// What confines the compiler's process beside the limits of the kernel, which always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// How far Landlock keeps it from files and sockets.
    pub landlock: Landlock,
    /// Whether it can get no privileges from files that it executes.
    pub no_new_privileges: bool,
}

/// How much of Landlock is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Landlock {
    /// Everything that this program knows of: files, TCP, UDP, Unix sockets, signals to others.
    Full,
    /// What the kernel, an older one, has of these: files at least.
    Partial,
    /// The system or its kernel has none.
    None,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.landlock {
            Landlock::Full => {
                "limits of memory, CPU time and open files; Landlock keeps it from files, TCP, UDP and Unix sockets"
            }
            Landlock::Partial => "limits of memory, CPU time and open files; Landlock as far as this kernel has it",
            Landlock::None => "limits of memory, CPU time and open files; no Landlock here",
        })?;
        f.write_str(if self.no_new_privileges { "; no new privileges" } else { "" })
    }
}

/// Confines this process for good. To be called while it has one thread.
pub(super) fn confine(config: &Config) -> io::Result<Confinement> {
    // Nobody is in danger where it does not work.
    let _ = rustix::process::nice(BEHIND);
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
    const KNOWN: ABI = ABI::V10;
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
    use landlock::{AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetError};
    use std::fs::File;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};

    /// Whether this kernel can keep a process from what is asked for.
    fn can(ask: impl FnOnce(Ruleset) -> Result<Ruleset, RulesetError>) -> bool {
        ask(Ruleset::default().set_compatibility(CompatLevel::HardRequirement)).is_ok()
    }

    fn is_denied<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Landlock holds for the thread that asks for it. The limits hold for the process: `tests/it/compiling.rs` looks at these.
    #[test]
    fn what_the_kernel_can_keep_from_it_is_out_of_reach() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, new, path) = (dir.path().join("secret"), dir.path().join("new"), dir.path().join("socket"));
        std::fs::write(&secret, "s").unwrap();
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let (tcp_at, udp_at) = (tcp.local_addr().unwrap(), udp.local_addr().unwrap());
        let _unix = UnixListener::bind(&path).unwrap();
        let (confinement, denied) = std::thread::spawn(move || {
            let confinement = keep_from_files();
            let denied = [
                ("reading", is_denied(File::open(secret))),
                ("writing", is_denied(File::create(new))),
                ("TCP", is_denied(TcpStream::connect(tcp_at))),
                ("a UDP port", is_denied(UdpSocket::bind("127.0.0.1:0"))),
                ("UDP", is_denied(udp.send_to(b"x", udp_at))),
                ("a Unix socket", is_denied(UnixStream::connect(path))),
            ];
            (confinement, denied)
        })
        .join()
        .unwrap();
        let can_be = [
            ("reading", can(|it| it.handle_access(AccessFs::ReadFile))),
            ("writing", can(|it| it.handle_access(AccessFs::MakeReg))),
            ("TCP", can(|it| it.handle_access(AccessNet::ConnectTcp))),
            ("a UDP port", can(|it| it.handle_access(AccessNet::BindUdp))),
            ("UDP", can(|it| it.handle_access(AccessNet::ConnectSendUdp))),
            ("a Unix socket", can(|it| it.handle_access(AccessFs::ResolveUnix))),
        ];
        assert_eq!(denied, can_be);
        let (all, none) = (can_be.iter().all(|(_, can)| *can), can_be.iter().all(|(_, can)| !can));
        assert_eq!((confinement.landlock == Landlock::Full, confinement.landlock == Landlock::None), (all, none));
        assert_eq!(confinement.no_new_privileges, !none);
    }
}
