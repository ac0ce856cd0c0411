//! Signals as readable events (signalfd(2)), for the single-threaded loops of guard and zygote.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// Blocks a set of signals and reads them from a descriptor instead.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks the given signals in this thread and catches them here.
    #[allow(unsafe_code)]
    pub fn catch(signals: &[i32]) -> io::Result<Signals> {
        let set = set_of(signals);
        // SAFETY: `set` is an initialised signal set; a null third argument asks for nothing back.
        if unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: -1 asks for a new descriptor; `set` is initialised.
        let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next received signal, if any.
    pub fn next(&self) -> Option<i32> {
        // struct signalfd_siginfo is 128 bytes and begins with ssi_signo (u32).
        let mut bytes = [0u8; 128];
        let length = rustix::io::read(&self.0, &mut bytes).ok()?;
        let signal = bytes.first_chunk::<4>().map(|first| i32::from_ne_bytes(*first))?;
        (length == bytes.len()).then_some(signal)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[allow(unsafe_code)]
fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set; sigaddset then works on an initialised one and refuses numbers
    // that are no signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}
