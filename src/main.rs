//! The `cdr` program.

use child_death_review::cmd::{Cli, run};
use clap::Parser;
use std::process::ExitCode;

/// A notification makes some hundred small allocations; this one serves them faster (bench W1).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    leave_no_core();
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

/// A core file would hold keys and names in the clear, so a crash leaves none behind, whoever would
/// collect it. Nor may another process of the same account look into this one.
fn leave_no_core() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // Where a system refuses, its administrator decides (`LimitCORE=0`, docs/operate.md).
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
