//! The binary `soloist`, as it is shipped; all that it does is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    soloist_cli::main()
}
