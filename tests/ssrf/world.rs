//! The network that all this happens in. Where the system lets us have a network of our own (Linux, with user namespaces), it is one in which every
//! address there is leads to loopback: so whatever address is connected to, a canary hears of it, be it 10.0.0.1 or a public one. Its resolver is
//! this process, too. Elsewhere it is the machine's loopback, and addresses beyond it are watched by what the host says of them alone.

use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

/// Set in the process that has a network of its own.
const INSIDE: &str = "HOOKSWITCH_SSRF_INSIDE";

/// Where the resolver of such a network is asked.
pub(crate) const RESOLVER: &str = "127.0.0.53:53";

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    /// The machine's own loopback.
    Loopback,
    /// Every address.
    Everywhere,
}

impl World {
    /// As it is shown.
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Loopback => "the machine's loopback: a network of our own is not to be had here",
            Self::Everywhere => "a network of our own, in which every address leads to loopback",
        }
    }
}

/// What `sh` does in the new network before it becomes this program: every address is its own, and names are asked of this program alone.
const SET_UP: &str = r#"
set -e
ip link set lo up
ip route add local 0.0.0.0/0 dev lo
ip -6 route add local ::/0 dev lo
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/hosts" /etc/hosts
if [ -e /etc/nsswitch.conf ]; then mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf; fi
exec "$2"
"#;

/// The world that this process is in; or, where a process in a better one has done the work, how that ended.
pub(crate) fn enter() -> Result<World, ExitCode> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(World::Everywhere);
    }
    let files = tempfile::tempdir().unwrap();
    let texts = [
        ("resolv.conf", "nameserver 127.0.0.53\noptions timeout:2 attempts:1\n"),
        ("hosts", "127.0.0.1 localhost\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
    ];
    for (name, text) in texts {
        std::fs::write(files.path().join(name), text).unwrap();
    }
    // Whether it can be had is found out first: what fails then is not what is tried.
    let to_be_had = within(files.path(), Path::new("true"), Stdio::null());
    if !to_be_had.is_some_and(|ended| ended.success()) {
        return Ok(World::Loopback);
    }
    let ended = within(files.path(), &std::env::current_exe().unwrap(), Stdio::inherit()).unwrap();
    Err(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a program in a network of its own; none where there is none to be had.
fn within(files: &Path, program: &Path, stderr: Stdio) -> Option<ExitStatus> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", SET_UP, "sh"]).arg(files).arg(program);
    command.env(INSIDE, "1").stderr(stderr).status().ok()
}
