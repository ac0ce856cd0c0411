//! What the end-to-end tests stand on: projects in their own folders, the freshly built `soloist`, processes known
//! by pid and start time, and waiting for conditions. The tests themselves are in `tests/`, one file a theme.
//! It uses no crate of soloist: the tests know it as its users do, by commands, files and processes.

#![cfg(target_os = "linux")]

pub mod background;
pub mod binaries;
pub mod browser;
pub mod caller;
pub mod clock;
pub mod crowd;
pub mod daemon;
pub mod face;
pub mod failure;
pub mod identity;
pub mod log;
pub mod matrix;
pub mod namespace;
pub mod output;
pub mod pace;
pub mod port;
pub mod project;
pub mod puppet;
pub mod random;
pub mod real;
pub mod skip;
pub mod soak;
pub mod status;
pub mod talker;
pub mod terminal;
pub mod tree;
pub mod wait;

pub use background::Background;
pub use binaries::binaries;
pub use caller::Caller;
pub use crowd::Crowd;
pub use identity::{Identity, alive};
pub use namespace::in_namespace;
pub use output::Output;
pub use pace::Pace;
pub use port::{free_port, free_ports, is_free};
pub use project::{Project, puppet, quoted};
pub use puppet::beacon::Beacon;
pub use puppet::journal::{Entry, Journal};
pub use random::Random;
pub use real::Real;
pub use real::stage::Stage;
pub use skip::{program, skip_loudly};
pub use status::{Said, Service, Status};
pub use terminal::Terminal;
pub use wait::{LIMIT, wait_until};
