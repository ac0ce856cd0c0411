//! Acts. What soloist does to the operating system: claims, guards, process trees, identity, ports. It decides nothing
//! and knows no configuration. All unsafe code of the project is here, each block with the reason why it is sound.

pub mod claim;
pub mod clock;
pub mod guard;
pub mod identity;
pub mod layout;
pub mod link;
pub mod ports;
pub mod record;
pub mod watched;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;

pub use platform::ports::{listeners, owners_among, sockets};
pub use platform::spawn::{Program, SpawnError, Step};
pub use platform::sweep::{COOKIE, Stuck, Survivor, Swept, Trace, Traces};
pub use platform::sweep::{end as end_survivors, survivors};
pub use platform::tree::descendants;
pub use platform::{cookie_of, parent_of};

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
