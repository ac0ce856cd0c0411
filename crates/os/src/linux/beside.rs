//! Starts a program beside us instead of below us: as a child of our parent (CLONE_PARENT, clone(2)), in a session of
//! its own. A guard brings its daemon back this way: what descends from a guard is its tree and dies with it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Starts the first of `programs` that can be executed, in our environment and folder, with `output` as its standard
/// output and /dev/null as input and error. Only for a single-threaded process. That none could be executed shows as
/// the end of `output` without a word.
pub fn start_beside(programs: &[&Path], arguments: &[String], output: BorrowedFd<'_>) -> io::Result<()> {
    // All that allocates is done before the fork.
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
    let programs =
        programs.iter().map(|path| text(path.as_os_str().as_bytes())).collect::<io::Result<Vec<_>>>()?;
    let words = arguments.iter().map(|word| text(word.as_bytes())).collect::<io::Result<Vec<_>>>()?;
    let variables = std::env::vars_os()
        .map(|(name, value)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<io::Result<Vec<_>>>()?;
    let first = programs.first().ok_or(io::ErrorKind::InvalidInput)?;
    let pointers =
        |list: &[CString]| -> Vec<*const libc::c_char> { list.iter().map(|s| s.as_ptr()).collect() };
    let end = [std::ptr::null()];
    let image = Image {
        argv: [&[first.as_ptr()], pointers(&words).as_slice(), &end].concat(),
        envp: [pointers(&variables).as_slice(), &end].concat(),
        programs: pointers(&programs),
    };
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    fork_beside(&image, &null, output.as_raw_fd())
}

/// Pointers into memory that outlives the fork.
struct Image {
    programs: Vec<*const libc::c_char>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
}

#[allow(unsafe_code)]
fn fork_beside(image: &Image, null: &OwnedFd, output: RawFd) -> io::Result<()> {
    let flags = libc::c_long::from(libc::CLONE_PARENT | libc::SIGCHLD);
    // clone(2), NOTES: one architecture of those Rust knows has the first two the other way round. clone3(2), which has
    // no such trap, is refused by the containers of older engines.
    let (first, second) = if cfg!(target_arch = "s390x") { (0, flags) } else { (flags, 0) };
    let none: libc::c_long = 0;
    // SAFETY: without CLONE_VM and without a stack this is a fork(2): the child has its own copy of our memory. The
    // process is single-threaded, so no lock can be held by a thread that is missing in the copy.
    match unsafe { libc::syscall(libc::SYS_clone, first, second, none, none, none) } {
        0 => image.go(null.as_raw_fd(), output),
        pid if pid > 0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Image {
    /// In the child: the last steps, then the program. Never returns.
    #[allow(unsafe_code)]
    fn go(&self, null: RawFd, output: RawFd) -> ! {
        // SAFETY: only async-signal-safe system calls on numbers and on pointers into memory that the caller owns and
        // that was built before the fork; nothing is allocated, nothing unwinds.
        unsafe {
            libc::setsid();
            // The output first: it may be one of the three.
            let output = libc::fcntl(output, libc::F_DUPFD_CLOEXEC, 3);
            let null = libc::fcntl(null, libc::F_DUPFD_CLOEXEC, 3);
            let is_connected =
                libc::dup2(null, 0) == 0 && libc::dup2(output, 1) == 1 && libc::dup2(null, 2) == 2;
            if is_connected {
                libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
                // What we block in order to read it, a program expects unblocked.
                let mut nothing = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
                libc::sigemptyset(nothing.as_mut_ptr());
                libc::sigprocmask(libc::SIG_SETMASK, nothing.as_ptr(), std::ptr::null_mut());
                for program in &self.programs {
                    libc::execve(*program, self.argv.as_ptr(), self.envp.as_ptr());
                }
            }
            libc::_exit(127)
        }
    }
}
