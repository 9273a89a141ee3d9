//! The `hookswitch` command. Everything is in the library; this turns its outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    hookswitch::cli::main()
}
