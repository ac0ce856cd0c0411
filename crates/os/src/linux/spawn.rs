//! Starts a main process: own session or group, own cgroup leaf, clean descriptors and signals, and an error that says
//! which step failed. Called only by a guard: small and single-threaded, so a plain fork is cheap and allowed.

use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::cgroup::Leaf;
use super::limits::{self, Confinement};
use crate::guard::Limits;
use crate::handover::SOCKETS_FROM;
use crate::program::{Program, SpawnError, Step};

/// The variables that tell of the sockets, and `LISTEN_PID` as it is put together in the child.
const SOCKET_VARIABLES: [&str; 3] = ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"];
const PID_VARIABLE: &[u8] = b"LISTEN_PID=";

/// Where it belongs and what it is connected to.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The cgroup leaf to start in.
    pub leaf: Option<&'a Leaf>,
    /// Standard input; `None`: empty if detached, else ours.
    pub input: Option<BorrowedFd<'a>>,
    /// Standard output; `None`: ours.
    pub output: Option<BorrowedFd<'a>>,
    /// Standard error; `None`: ours.
    pub error: Option<BorrowedFd<'a>>,
    /// A session of its own without a terminal; else only a process group of its own.
    pub detached: bool,
    /// A terminal whose foreground group it shall be.
    pub terminal: Option<BorrowedFd<'a>>,
    /// Written with its pid before it executes: whoever sees the program sees its PID file.
    pub pid_file: Option<&'a Path>,
    /// Handed over to it, each with its name.
    pub sockets: &'a [(&'a str, BorrowedFd<'a>)],
    /// What it may use, and as whom it runs.
    pub limits: &'a Limits,
}

/// Starts the program and returns its pid once it is executing.
pub fn spawn(program: &Program, around: &Surroundings<'_>) -> Result<u32, SpawnError> {
    let name = program.argv.first().cloned().unwrap_or_default();
    let fail_at = |step, at, error: io::Error| SpawnError {
        step,
        errno: error.raw_os_error().unwrap_or(libc::EINVAL),
        object: match step {
            Step::Folder => folder(program, around.limits),
            Step::PidFile => around.pid_file.unwrap_or(Path::new("")).display().to_string(),
            Step::Fork | Step::Descriptors | Step::Exec => name.clone(),
            Step::Rlimit | Step::Nice | Step::Umask | Step::Groups | Step::Group | Step::User => {
                limits::object(around.limits, step, at)
            }
        },
    };
    let fail = |step, error| fail_at(step, 0, error);
    // All that allocates is done before the fork.
    let image = Image::of(program, around.sockets).map_err(|e| fail(Step::Exec, e))?;
    let confinement = Confinement::of(around.limits)?;
    for end in [around.input, around.output, around.error].into_iter().flatten() {
        // It may open /dev/stdout anew, which looks at the owner; that of a file or a terminal is not ours to change.
        let user = confinement.user().filter(|_| is_pipe(end));
        let _ = user.map(|user| rustix::fs::fchown(end, Some(user), None));
    }
    let pid_file = around.pid_file.map(PidFile::at).transpose().map_err(|e| fail(Step::PidFile, e))?;
    let null = if around.detached && around.input.is_none() {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        Some(
            rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())
                .map_err(|e| fail(Step::Descriptors, e.into()))?,
        )
    } else {
        None
    };
    let (told, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|e| fail(Step::Descriptors, e.into()))?;
    // Out of the way of the numbers that the sockets get.
    let above = |fd: BorrowedFd<'_>| {
        let lowest = (SOCKETS_FROM + around.sockets.len()) as RawFd;
        rustix::io::fcntl_dupfd_cloexec(fd, lowest).map_err(|e| fail(Step::Descriptors, e.into()))
    };
    let sockets = around.sockets.iter().map(|(_, fd)| above(*fd)).collect::<Result<Vec<_>, _>>()?;
    let tell = above({ tell }.as_fd())?;
    let child = Child {
        image: &image,
        pid_file: pid_file.as_ref(),
        confinement: &confinement,
        input: around.input.map(|fd| fd.as_raw_fd()).or(null.as_ref().map(AsRawFd::as_raw_fd)),
        output: around.output.map(|fd| fd.as_raw_fd()),
        error: around.error.map(|fd| fd.as_raw_fd()),
        sockets: sockets.iter().map(AsRawFd::as_raw_fd).collect(),
        terminal: around.terminal.map(|fd| fd.as_raw_fd()),
        detached: around.detached,
        tell: tell.as_raw_fd(),
    };
    let pid = fork_into(around.leaf, &child).map_err(|e| fail(Step::Fork, e))?;
    drop(tell);
    match read_failure(&told) {
        None => Ok(pid),
        Some((step, at, errno)) => {
            // It has reported and is exiting; reap it here so that the guard never sees it as a child of the run.
            let raw = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            while let Err(rustix::io::Errno::INTR) =
                rustix::process::waitpid(raw, rustix::process::WaitOptions::empty())
            {}
            Err(fail_at(step, at, io::Error::from_raw_os_error(errno)))
        }
    }
}

/// The folder, and who could not enter it.
fn folder(program: &Program, limits: &Limits) -> String {
    let folder = program.dir.display();
    limits.user.map_or_else(|| folder.to_string(), |user| format!("{folder} as user {user}"))
}

fn is_pipe(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|s| rustix::fs::FileType::from_raw_mode(s.st_mode).is_fifo())
}

/// In a fresh fork: closes every descriptor from 3 on but these. They belong to the parent's objects, which live on in
/// this process's copy of memory and must never be dropped in it.
#[allow(unsafe_code)]
pub fn close_all_but(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    keep.sort_unstable();
    let mut from = 3u32;
    for last in keep.into_iter().map(Some).chain([None]) {
        let to = last.map_or(u32::MAX, |fd| fd.saturating_sub(1));
        if from <= to {
            // SAFETY: closes numbers, touches no memory; the caller promises to use none of them any more.
            unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
        }
        from = last.map_or(from, |fd| from.max(fd + 1));
    }
}

/// Argument vectors as execve(2) wants them.
struct Image {
    candidates: Vec<CString>,
    folder: CString,
    argv: Vec<*const libc::c_char>,
    /// Cells, for the child puts its pid in: the second to last is `LISTEN_PID` if there are sockets.
    envp: Vec<Cell<*const libc::c_char>>,
    // What the pointers point into.
    _strings: Vec<CString>,
}

impl Image {
    fn of(program: &Program, sockets: &[(&str, BorrowedFd<'_>)]) -> io::Result<Image> {
        let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
        let mut strings = Vec::with_capacity(program.argv.len() + program.env.len());
        for word in &program.argv {
            strings.push(text(word.as_bytes())?);
        }
        let has_sockets = !sockets.is_empty();
        for (name, value) in &program.env {
            if !(has_sockets && SOCKET_VARIABLES.contains(&name.as_str())) {
                strings.push(text(format!("{name}={value}").as_bytes())?);
            }
        }
        if has_sockets {
            let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
            strings.push(text(format!("LISTEN_FDS={}", names.len()).as_bytes())?);
            strings.push(text(format!("LISTEN_FDNAMES={}", names.join(":")).as_bytes())?);
            strings.push(text(PID_VARIABLE)?);
        }
        let pointers = |range: &[CString]| -> Vec<*const libc::c_char> {
            range.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (words, variables) = strings.split_at(program.argv.len());
        let (argv, envp) = (pointers(words), pointers(variables).into_iter().map(Cell::new).collect());
        let name = program.argv.first().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?;
        let path = program
            .env
            .iter()
            .find(|(name, _)| name == "PATH")
            .map_or("/usr/local/bin:/usr/bin:/bin", |(_, v)| v);
        let candidates = candidates(name, path, &program.dir)
            .iter()
            .map(|path| text(path.as_os_str().as_bytes()))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Image {
            candidates,
            folder: text(program.dir.as_os_str().as_bytes())?,
            argv,
            envp,
            _strings: strings,
        })
    }
}

/// Where execvp(3) would look: the path itself if it has a slash, else each folder of PATH.
fn candidates(name: &str, path: &str, dir: &Path) -> Vec<PathBuf> {
    if name.contains('/') {
        return vec![dir.join(name)];
    }
    path.split(':').map(|folder| dir.join(if folder.is_empty() { "." } else { folder }).join(name)).collect()
}

/// A PID file, written by the process it names: beside, then renamed, so that nobody reads half a number.
struct PidFile {
    path: CString,
    beside: CString,
}

impl PidFile {
    fn at(path: &Path) -> io::Result<PidFile> {
        let text =
            |bytes: Vec<u8>| CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
        let bytes = path.as_os_str().as_bytes();
        Ok(PidFile { path: text(bytes.to_vec())?, beside: text([bytes, b".tmp"].concat())? })
    }

    /// In the child: says whether it is written; errno(3) says why not.
    #[allow(unsafe_code)]
    fn write(&self) -> bool {
        let mut line = [b'\n'; 12];
        let at = put_own_pid(&mut line[..11]);
        let text = &line[at..];
        // SAFETY: system calls on zero-terminated paths owned by `self` and on bytes of our own stack; nothing is
        // allocated.
        unsafe {
            // What has the name, most likely of a writer that was killed, loses it: nothing is written through it.
            libc::unlink(self.beside.as_ptr());
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
            let file = libc::open(self.beside.as_ptr(), flags, 0o644);
            file >= 0
                && libc::write(file, text.as_ptr().cast(), text.len()) == text.len() as isize
                && libc::close(file) == 0
                && libc::rename(self.beside.as_ptr(), self.path.as_ptr()) == 0
        }
    }
}

/// In the child: the digits of its pid at the end of this space, and where they begin. Nothing is allocated.
fn put_own_pid(space: &mut [u8]) -> usize {
    let (mut at, mut left) = (space.len(), std::process::id());
    while at > 0 {
        at -= 1;
        space[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    at
}

/// What the child needs after the fork: numbers and pointers only.
struct Child<'a> {
    image: &'a Image,
    pid_file: Option<&'a PidFile>,
    confinement: &'a Confinement,
    input: Option<RawFd>,
    output: Option<RawFd>,
    error: Option<RawFd>,
    sockets: Vec<RawFd>,
    terminal: Option<RawFd>,
    detached: bool,
    tell: RawFd,
}

/// clone3(2); the constant of the libc crate is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks; the child never returns. Straight into the cgroup leaf where clone3(2) can do that: moving a process
/// afterwards waits for a grace period of the kernel.
#[allow(unsafe_code)]
fn fork_into(leaf: Option<&Leaf>, child: &Child<'_>) -> io::Result<u32> {
    if let Some(leaf) = leaf {
        // SAFETY: `clone_args` is a plain struct of integers; zero means "not asked for" in every field.
        let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
        arguments.flags = CLONE_INTO_CGROUP;
        arguments.exit_signal = libc::SIGCHLD as u64;
        arguments.cgroup = leaf.fd() as u64;
        // SAFETY: without CLONE_VM and without a stack this is a fork(2) into a cgroup: the child has its own copy of
        // our memory. The process is single-threaded, so no lock can be held by a thread that is missing in the copy.
        let pid =
            unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
        match pid {
            0 => child.go(),
            pid if pid > 0 => return Ok(pid as u32),
            // No such call, no right, a leaf that vanished: start beside it, the tree is kept by the subreaper.
            _ => {}
        }
    }
    // SAFETY: the process is single-threaded (see above); the child only makes system calls and never returns.
    match unsafe { libc::fork() } {
        0 => child.go(),
        pid if pid > 0 => Ok(pid as u32),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Child<'_> {
    /// In the child: the last steps, then the program. Never returns.
    #[allow(unsafe_code)]
    fn go(&self) -> ! {
        // SAFETY: only async-signal-safe system calls on numbers and on pointers into memory that `image` owns and
        // that was built before the fork; nothing is allocated, nothing unwinds.
        unsafe {
            if self.detached {
                libc::setsid();
            } else {
                libc::setpgid(0, 0);
            }
            if let Some(terminal) = self.terminal {
                // A background group that takes the terminal would be stopped by SIGTTOU.
                libc::signal(libc::SIGTTOU, libc::SIG_IGN);
                libc::tcsetpgrp(terminal, libc::getpgrp());
                libc::signal(libc::SIGTTOU, libc::SIG_DFL);
            }
            let connect = |from: Option<RawFd>, to: RawFd| from.is_none_or(|from| libc::dup2(from, to) == to);
            if !connect(self.input, 0) || !connect(self.output, 1) || !connect(self.error, 2) {
                self.report(Step::Descriptors);
            }
            if self.pid_file.is_some_and(|file| !file.write()) {
                self.report(Step::PidFile);
            }
            // Nothing but 0, 1, 2 and the sockets goes over; the error pipe closes by itself when the program executes.
            libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            for (number, socket) in (SOCKETS_FROM as RawFd..).zip(&self.sockets) {
                if libc::dup2(*socket, number) != number {
                    self.report(Step::Descriptors);
                }
            }
            let mut listen_pid = [0u8; PID_VARIABLE.len() + 11];
            if !self.sockets.is_empty() {
                let at = put_own_pid(&mut listen_pid[PID_VARIABLE.len()..PID_VARIABLE.len() + 10]);
                listen_pid[at..at + PID_VARIABLE.len()].copy_from_slice(PID_VARIABLE);
                self.image.envp[self.image.envp.len() - 2].set(listen_pid[at..].as_ptr().cast());
            }
            if let Err((step, at, errno)) = self.confinement.apply() {
                *libc::__errno_location() = errno.raw_os_error();
                self.report_at(step, at);
            }
            // As the user it runs as: it must be able to come back.
            if libc::chdir(self.image.folder.as_ptr()) != 0 {
                self.report(Step::Folder);
            }
            self.default_signals();
            let mut denied = false;
            for candidate in &self.image.candidates {
                libc::execve(candidate.as_ptr(), self.image.argv.as_ptr(), self.image.envp.as_ptr().cast());
                match *libc::__errno_location() {
                    // In a folder of PATH that is closed to this user there is nothing to be found for it.
                    libc::EACCES => {
                        let is_only = self.image.candidates.len() == 1;
                        denied |= is_only || libc::access(candidate.as_ptr(), libc::F_OK) == 0;
                    }
                    libc::ENOENT | libc::ENOTDIR => {}
                    _ => self.report(Step::Exec),
                }
            }
            // As execvp(3): a forbidden program is a better answer than a missing one.
            *libc::__errno_location() = if denied { libc::EACCES } else { libc::ENOENT };
            self.report(Step::Exec)
        }
    }

    /// The Rust runtime ignores SIGPIPE and a guard blocks what it catches; a program expects neither.
    #[allow(unsafe_code)]
    unsafe fn default_signals(&self) {
        // SAFETY: plain system calls on a set initialised here.
        unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            if self.detached {
                // What the daemon's starter ignored is none of a service's: `sh` ignores SIGINT for what it starts with
                // `&`. In the foreground that stays as it is, for nohup(1).
                for signal in 1..=libc::SIGRTMAX() {
                    libc::signal(signal, libc::SIG_DFL);
                }
            }
            let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
        }
    }

    /// Says which step failed, and why, and ends.
    #[allow(unsafe_code)]
    unsafe fn report(&self, step: Step) -> ! {
        // SAFETY: as below.
        unsafe { self.report_at(step, 0) }
    }

    /// As `report`, for one of several that the step is made of.
    #[allow(unsafe_code)]
    unsafe fn report_at(&self, step: Step, at: u8) -> ! {
        // SAFETY: writes six bytes of our own stack to a descriptor that is open, then ends without unwinding.
        unsafe {
            let errno = (*libc::__errno_location()).to_ne_bytes();
            let bytes = [step as u8, at, errno[0], errno[1], errno[2], errno[3]];
            libc::write(self.tell, bytes.as_ptr().cast(), bytes.len());
            libc::_exit(127)
        }
    }
}

/// Waits until the child executes (end of the pipe) or says why not: the step, which of several, and errno(3).
fn read_failure(told: &OwnedFd) -> Option<(Step, u8, i32)> {
    let mut bytes = [0u8; 6];
    loop {
        match rustix::io::read(told, &mut bytes) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(6) => {
                let said = Step::ALL.into_iter().find(|step| *step as u8 == bytes[0]);
                let errno = i32::from_ne_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
                return Some((said.unwrap_or(Step::Exec), bytes[1], errno));
            }
            _ => return None,
        }
    }
}
