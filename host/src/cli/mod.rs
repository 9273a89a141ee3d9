//! The command line: `serve` runs the host, `apply` brings a file of resources to it, `backup` and `restore` are for its
//! operator, `module` for the authors of modules, `settings` prints the defaults.

mod apply;
mod backup;
mod compile_module;
mod module;
mod resources_file;
mod restore;
mod rotate_master_key;
mod serve;

use crate::app::OPERATOR_KEY_ENV;
use crate::config::ModuleOptions;
use crate::transport::AdminClient;
use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// A programmable webhook router.
///
/// Events come in over HTTP; WebAssembly modules that you upload decide where each event goes and what its payload becomes;
/// deliveries are queued durably and sent, signed and retried, until the receiver has them.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Begin with:\n  hookswitch serve --data ./data\n  hookswitch apply -f resources.toml --data ./data"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host: take events, route them, deliver them
    ///
    /// The operator's key, which opens the admin interface, and the master key, which seals secrets, are made at the first start as
    /// DIR/operator.key and DIR/master.key, or taken from HOOKSWITCH_OPERATOR_KEY (at least 16 visible characters) and
    /// HOOKSWITCH_MASTER_KEY (64 hexadecimal digits). Log lines go to stderr; RUST_LOG overrides their filter.
    Serve(ServeArgs),
    /// Bring a file of resources (tenants, sources, modules, endpoints, routes) to a running host
    ///
    /// Applying a file twice changes nothing the second time. Resources that are not in the file are left alone; what is in it is put as a
    /// whole, so a field that the file leaves out is as if it had never been set. A tenant of which the file has no fields of its own is made
    /// where it is not there, and otherwise left alone. They are put one by one: where the host refuses one, those before it are there,
    /// and the rest is as it was. The key is the operator's, or one of the tenant's with the role `deploy`, which may put all but the tenant itself.
    Apply(ApplyArgs),
    /// Save a backup of a running host: its store, modules and waiting uploads
    ///
    /// The host goes on taking and delivering events. Everything acknowledged before the moment that is printed is in the file. It
    /// has the name only when it is whole and on the disk. The master key is not in it, and secrets in it are sealed.
    Backup(BackupArgs),
    /// Make a data directory of a backup
    ///
    /// The file is checked from its beginning to its end mark before anything is written. No host may run on the directory.
    Restore(RestoreArgs),
    /// Make a new master key, with which the next start of the host seals every secret
    ///
    /// The key before it becomes DIR/master.key.previous; that start needs it, and no later one does.
    RotateMasterKey(RotateMasterKeyArgs),
    /// For the author of a module: begin one, build it, try it out, bring its versions to a host
    #[command(subcommand)]
    Module(module::ModuleCommand),
    /// Print every setting of `serve --config`, commented, with its default
    Settings,
    /// What a host starts to compile an upload: wasm on stdin, code or a refusal on stdout
    #[command(hide = true, name = crate::runtime::COMPILE_COMMAND)]
    CompileModule {
        /// The host's `[runtime]` settings, as JSON
        config: String,
        /// Compile for the engine that counts what a call costs
        #[arg(long)]
        metered: bool,
    },
}

/// What `serve` takes.
#[derive(Debug, Args)]
struct ServeArgs {
    /// The host's settings, a TOML file; without it every setting has its default (see `hookswitch settings`)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything durable is kept; made where it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// What `apply` takes.
#[derive(Debug, Args)]
struct ApplyArgs {
    /// The file of resources, TOML
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    host: HostArgs,
}

/// What `backup` takes.
#[derive(Debug, Args)]
struct BackupArgs {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// What `restore` takes.
#[derive(Debug, Args)]
struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data directory to make; empty, or not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// What `rotate-master-key` takes.
#[derive(Debug, Args)]
struct RotateMasterKeyArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Which host is asked, and with which key.
#[derive(Debug, Args)]
struct HostArgs {
    /// The admin interface of the host
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081")]
    admin: String,
    #[command(flatten)]
    key: KeyArgs,
}

impl HostArgs {
    fn client(&self) -> anyhow::Result<AdminClient> {
        Ok(AdminClient::new(&self.admin, &self.key.read()?)?)
    }
}

/// Where the key comes from.
#[derive(Debug, Args)]
struct KeyArgs {
    /// A file that holds a key: the operator's, or an API key that allows it (for `apply` and `module`, one of the tenant's with the
    /// role `deploy` or `admin`)
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    key_file: Option<PathBuf>,
    /// The data directory of a host on this machine, whose operator.key is used
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl KeyArgs {
    /// The key: from the file, or from `HOOKSWITCH_OPERATOR_KEY`.
    fn read(&self) -> anyhow::Result<String> {
        let file = self.key_file.clone().or_else(|| self.data.as_ref().map(|data| data.join("operator.key")));
        let (place, text) = match file {
            Some(file) => {
                let name = file.display().to_string();
                let text =
                    std::fs::read_to_string(&file).with_context(|| format!("cannot read the key from {name}"))?;
                (name, text)
            }
            None => {
                let given = std::env::var_os(OPERATOR_KEY_ENV).with_context(|| {
                    format!("which key? say --data DIR (the host's data directory), --key-file FILE, or set {OPERATOR_KEY_ENV}")
                })?;
                (OPERATOR_KEY_ENV.to_owned(), given.to_string_lossy().into_owned())
            }
        };
        let key = text.trim();
        if key.is_empty() {
            bail!("{place} is empty: it is to hold a key");
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("{place} holds no key: that is one word of visible ASCII characters");
        }
        Ok(key.to_owned())
    }
}

/// What an upload's query says of the module beside its bytes, one parameter each.
fn upload_query(options: &ModuleOptions) -> Vec<String> {
    let ModuleOptions { max_time_ms, quarantine_after, rollback_on_quarantine } = options;
    let parameters = [
        max_time_ms.map(|ms| format!("max_time_ms={ms}")),
        quarantine_after.map(|count| format!("quarantine_after={count}")),
        rollback_on_quarantine.map(|does| format!("rollback_on_quarantine={does}")),
    ];
    parameters.into_iter().flatten().collect()
}

/// Runs the command. Errors go to stderr, and are exit code 1.
#[must_use]
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "this is where the command speaks to a person")]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::run(args.config.as_deref(), &args.data),
        Command::Apply(args) => apply::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::RotateMasterKey(args) => rotate_master_key::run(&args),
        Command::CompileModule { config, metered } => compile_module::run(&config, metered),
        Command::Module(command) => module::run(&command),
        Command::Settings => {
            print!("{}", crate::app::DEFAULT_SETTINGS);
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hookswitch: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes. One whose words the one before it has taken over already is not said again.
fn told(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_is_told_twice() {
        let inner = || anyhow::anyhow!("no such file");
        assert_eq!(
            told(&inner().context("cannot read x.pem").context("in [ingest]")),
            "in [ingest]: cannot read x.pem: no such file"
        );
        assert_eq!(
            told(&inner().context("tls: cannot read x.pem: no such file")),
            "tls: cannot read x.pem: no such file"
        );
    }

    #[test]
    fn a_file_without_a_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("some.key");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            KeyArgs { key_file: Some(file.clone()), data: None }.read().map_err(|error| error.to_string())
        };
        assert_eq!(read("hsk_acme_x\n"), Ok("hsk_acme_x".to_owned()));
        assert!(read("\n").unwrap_err().ends_with("some.key is empty: it is to hold a key"));
        assert!(read("{ \"key\": 1 }").unwrap_err().contains("some.key holds no key"));
    }
}
