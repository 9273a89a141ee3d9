//! The `hookswitch` command. Everything is in the library; this turns its outcome into an exit code.

use std::process::ExitCode;

/// Messages, records and requests are many small pieces of memory that one thread takes and another gives back, which this
/// allocator does faster than the system's: `make bench` shows it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hookswitch::cli::main()
}
