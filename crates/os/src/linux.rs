//! Linux: what the portable files of this crate ask of the kernel. The siblings `macos.rs` and `windows.rs` have the
//! same functions.

pub mod beside;
pub mod bounds;
pub mod cgroup;
pub mod changes;
mod handle;
pub mod limits;
pub mod machine;
pub mod notify;
pub mod ports;
mod process;
pub mod signals;
mod sock_diag;
pub mod spawn;
pub mod sweep;
pub mod tree;
pub mod usage;

pub use handle::Handle;
pub use process::{boot_id, command, cookie_of, parent_of, pid_namespace, stat, variable_of, zombie_exit};
