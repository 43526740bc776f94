//! The `ganvil` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ganvil::cli::main()
}
