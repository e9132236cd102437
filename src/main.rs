//! The `cdr` program.

use child_death_review::cmd::{Cli, run};
use clap::Parser;
use std::process::ExitCode;

/// A notification makes some hundred small allocations; this one serves them faster (bench W1).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(r) => r,
        Err(e) => {
            eprintln!("cdr: cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            eprintln!("cdr: {e}");
            ExitCode::FAILURE
        }
    }
}
