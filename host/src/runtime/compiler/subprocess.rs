//! The host's side: starts the compiler's process, gives it the upload, takes its answer, and ends it at its time.

use super::{Answer, COMMAND, METERED, Outcome};
use crate::runtime::Config;
use crate::runtime::compiled::Compiled;
use crate::runtime::module_error::ModuleError;
use bytes::Bytes;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// The first line of the answer, in bytes: a refusal has 2 KiB at most.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How much is kept of what the process says on stderr, in bytes.
const STDERR_BYTES_MAX: usize = 2 * 1024;

/// The allocator would take a GiB of address space before the process has limited itself.
const ARENA_RESERVE: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "0");

/// The signals that end a process which takes more than it may. They have these numbers on every system we build for.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

/// Compiles an upload, for the engine that counts fuel where it is to be `metered`.
pub(super) async fn compile(
    program: &Path,
    config: &Config,
    metered: bool,
    upload: Bytes,
) -> Result<Compiled, ModuleError> {
    let (answer, code) = ask(program, config, metered, upload).await?;
    match answer.outcome {
        Outcome::Refused(refused) => Err(refused),
        Outcome::Compiled { world, code_bytes } if code_bytes == code.len() => Ok(Compiled::new(world, code)),
        Outcome::Compiled { code_bytes, .. } => {
            Err(broken(format!("{} bytes of code came, and {code_bytes} were announced", code.len())))
        }
    }
}

/// Gives a process an upload, and takes its answer with the code that may follow.
pub(super) async fn ask(
    program: &Path,
    config: &Config,
    metered: bool,
    upload: Bytes,
) -> Result<(Answer, Vec<u8>), ModuleError> {
    let failed = |error: io::Error| broken(format!("its process does not run: {error}"));
    let mut child = spawn(program, config, metered).map_err(failed)?;
    let time_max = Duration::from_secs(config.compile_time_s_max);
    // Dropped with this future, it is killed: also where nobody waits any longer.
    let Ok(ended) = tokio::time::timeout(time_max, converse(&mut child, config, upload)).await else {
        return Err(ModuleError::CompileTime { max_s: config.compile_time_s_max });
    };
    let Ended { status, mut stdout, stderr } = ended.map_err(failed)?;
    if !status.success() {
        return Err(judge(status, &stderr, config));
    }
    if !stderr.is_empty() {
        // A panic of the compiler is caught there, and refuses the upload; its words are for us.
        tracing::warn!(stderr = %String::from_utf8_lossy(&stderr), "the compiler complains");
    }
    let line = stdout.iter().take(ANSWER_BYTES_MAX).position(|byte| *byte == b'\n');
    let line = line.ok_or_else(|| broken("its answer has no first line".to_owned()))?;
    let code = stdout.split_off(line.saturating_add(1));
    let answer = serde_json::from_slice(&stdout).map_err(|error| broken(format!("its answer is not one: {error}")))?;
    Ok((answer, code))
}

/// A process that has no environment but one setting for its allocator, no directory, and none of our files.
fn spawn(program: &Path, config: &Config, metered: bool) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg0("hookswitch").arg(COMMAND).arg(serde_json::to_string(config)?).args(metered.then_some(METERED));
    command.env_clear().env(ARENA_RESERVE.0, ARENA_RESERVE.1).current_dir("/").kill_on_drop(true);
    // A Ctrl-C at the terminal is for the host, which ends what it started.
    command.process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// How the process ended, and what it said.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

async fn converse(child: &mut Child, config: &Config, upload: Bytes) -> io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async {
        if let Some(mut stdin) = stdin {
            // A process that ends early reads no further: its status says why.
            let _ = stdin.write_all(&upload).await;
        }
        // Not before it has read all: the upload is not needed any more.
        drop(upload);
    };
    // No code can be larger than the memory it was made in.
    let (_, stdout, stderr) =
        tokio::join!(give, first_of(stdout, config.compile_memory_bytes_max), first_of(stderr, STDERR_BYTES_MAX));
    Ok(Ended { status: child.wait().await?, stdout: stdout?, stderr: stderr? })
}

/// Reads to the end, and keeps the first `bytes_max` bytes.
async fn first_of(stream: Option<impl AsyncRead + Unpin>, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(bytes_max as u64).read_to_end(&mut kept).await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}

/// What a process died of that gave no answer.
fn judge(status: ExitStatus, stderr: &[u8], config: &Config) -> ModuleError {
    match status.signal() {
        // Rust's way out where memory is not to be had; and the kernel's, where the machine has less than the bound. We ourselves
        // kill only what is out of time, and do not ask what it died of.
        Some(SIGABRT | SIGKILL) => ModuleError::CompileMemory { max: config.compile_memory_bytes_max },
        Some(SIGXCPU) => ModuleError::CompileCpu { max_s: config.compile_cpu_s_max },
        _ => broken(format!("{status}: {}", String::from_utf8_lossy(stderr).trim())),
    }
}

fn broken(what: String) -> ModuleError {
    ModuleError::Host(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_killed_took_too_much() {
        let config = Config::default();
        let died_of = |signal| judge(ExitStatus::from_raw(signal), b"", &config).code();
        assert_eq!([SIGABRT, SIGKILL].map(died_of), ["compile_memory"; 2]);
        assert_eq!(died_of(SIGXCPU), "compile_cpu");
        assert_eq!(died_of(11), "module_host");
    }
}
