//! The `hookswitch` command. Everything is in the library; this turns its outcome into an exit code.

use std::process::ExitCode;

/// Messages, records and requests are many small pieces of memory that one thread takes and another gives back. This allocator
/// needs a sixth less time for the whole road than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hookswitch::cli::main()
}
