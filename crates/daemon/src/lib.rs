//! Joins. The driver that gives the core its events and performs its effects, and all that a project's daemon needs
//! around it: configuration, ledger, guards, ports, API. It decides nothing itself: an `if` about *whether* belongs in
//! `crates/core`.

pub mod account;
pub mod calendars;
pub mod changes;
pub mod config;
mod convert;
mod declaration;
mod diagnosis;
pub mod doctor;
mod driver;
pub mod foreground;
pub mod history;
mod http;
mod inbox;
pub mod init;
mod keys;
mod ledger;
pub mod leftovers;
pub mod links;
pub mod logs;
pub mod plain;
pub mod ports;
mod probe;
pub mod runs;
pub mod schedules;
pub mod serve;
pub mod service;
mod sockets;
mod tally;
mod tcp;
mod upgrade;
pub mod watch;
pub mod why;
pub mod zones;

pub use soloist_os::identity::my_uid;
pub use soloist_os::layout::Layout;
pub use soloist_os::log_files;

/// Readers of what others write, for the fuzz targets alone.
#[doc(hidden)]
pub mod inner {
    pub use crate::http::inner::*;
    pub use crate::ledger::Ledger;
}
