//! The binary `soloist` with fail points, for tests: a name of its own, so that none is taken for the other.

use std::process::ExitCode;

fn main() -> ExitCode {
    soloist_cli::main()
}
