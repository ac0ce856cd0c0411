//! Acts. What soloist does to the operating system: claims, guards, process trees, identity, ports. It decides nothing
//! and knows no configuration. All unsafe code of the project is here, each block with the reason why it is sound.

pub mod bounds;
pub mod claim;
pub mod clock;
pub mod failpoint;
pub mod guard;
pub mod handover;
pub mod identity;
pub mod layout;
pub mod link;
pub mod log_files;
pub mod machine;
pub mod own_file;
pub mod ports;
mod program;
pub mod record;
pub mod secret;
mod stat;
mod survivor;
pub mod usage;
pub mod watched;

// The seam: siblings of one shape, of which the portable files see one, as `platform`. Tests compile all of them.
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", test))]
mod macos;
#[cfg(test)]
mod siblings;
#[cfg(any(target_os = "macos", target_os = "windows", test))]
mod unbuilt;
#[cfg(any(target_os = "windows", test))]
mod windows;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;
#[cfg(target_os = "windows")]
use windows as platform;
#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
compile_error!("soloist has a platform for Linux, macOS and Windows; this target is none of them");

pub use platform::changes::{ClockWatch, FolderWatch, is_remote};
pub use platform::machine::{is_clock_kept, lowest_port, not_delegated, outlives_sessions, watches_most};
pub use platform::ports::{all_listeners, first_listeners, listeners, owners_among, process, sockets};
pub use platform::sweep::{end as end_survivors, marked_claims, survivors};
pub use platform::tree::{descendants, written_by};
pub use platform::{boot_id, cookie_of, parent_of, variable_of};
pub use program::{Program, SpawnError, Step};
pub use survivor::{COOKIE, Stuck, Survivor, Swept, Trace, Traces};

/// Random bits of the kernel (getrandom(2)); for seeds and ids, not for secrets. It cannot fail once the machine has
/// booted; if it does, time and pid must do.
pub fn random_u64() -> u64 {
    let mut bytes = [0u8; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(8) => u64::from_ne_bytes(bytes),
        _ => clock::since_boot().as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(32),
    }
}

/// Leaves the session and terminal of whoever started us (setsid(2)).
pub fn leave_session() {
    // It fails only for a process group's leader, which a freshly started process is not.
    let _ = rustix::process::setsid();
}

/// Replaces standard output by /dev/null, so that whoever reads it sees its end.
pub fn detach_output() {
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    if let Ok(null) = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty()) {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// Raises the soft limit of open descriptors to the hard one, and returns what it was (getrlimit(2)).
pub fn raise_descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
    limit.current.unwrap_or(u64::MAX)
}

/// Sets the soft limit of open descriptors: programs that use select(2) do not survive a high one.
pub fn set_descriptor_limit(current: u64) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let lowered = rustix::process::Rlimit { current: Some(current), maximum: limit.maximum };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, lowered);
}

/// This thread lets everybody else on the machine go first (nice(2), which Linux keeps for each thread).
pub fn yield_to_others() {
    let _ = rustix::process::nice(19);
}

/// The name that `ps` and `top` show for this process.
pub fn name_process(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}
