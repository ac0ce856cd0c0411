//! The platform of a system soloist is not built for yet: every function of `linux.rs`, none of its mechanisms. What
//! can fail says what is missing; what cannot answers so that nothing is started or signalled. `macos.rs` and
//! `windows.rs` are made of it, until each function has a body of its own there.

use std::io;

/// The answer of all that can fail.
pub fn lacking(system: &str, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("soloist is not built for {system} yet: {what}"))
}

/// The whole platform, told what its system is called and what each part of it lacks. A handle, a leaf or caught
/// signals cannot be had, so their types have no values, and what one would do with them needs no answer.
macro_rules! unbuilt {
    (
        system: $system:literal,
        identity: $identity:literal,
        handle: $handle:literal,
        leaf: $leaf:literal,
        notify: $notify:literal,
        signals: $signals:literal,
        spawn: $spawn:literal,
        tree: $tree:literal,
        changes: $changes:literal,
        ports: $ports:literal,
    ) => {
        use std::io;
        use std::os::fd::{AsFd, BorrowedFd};
        use std::path::PathBuf;
        use std::time::Duration;

        use crate::identity::Exit;
        use crate::stat::Stat;

        fn lacking(what: &str) -> io::Error {
            crate::unbuilt::lacking($system, what)
        }

        /// What the system says of one process.
        pub fn stat(_pid: u32) -> io::Result<Stat> {
            Err(lacking($identity))
        }

        /// The id of this boot.
        pub fn boot_id() -> io::Result<String> {
            Err(lacking($identity))
        }

        /// Where pids have their meaning.
        pub fn pid_namespace() -> io::Result<u64> {
            Err(lacking($identity))
        }

        /// The claim a process says it belongs to, by its cookie: not to be seen.
        pub fn cookie_of(_pid: u32) -> Option<PathBuf> {
            None
        }

        /// Its parent: not to be seen.
        pub fn parent_of(_pid: u32) -> Option<u32> {
            None
        }

        /// The value of a variable of its environment: not to be seen.
        pub fn variable_of(_pid: u32, _name: &str) -> Option<std::ffi::OsString> {
            None
        }

        /// The words of its command line: not to be seen.
        pub fn command(_pid: u32) -> Vec<String> {
            Vec::new()
        }

        /// How a process ended that its parent has not reaped: not to be seen.
        pub fn zombie_exit(_pid: u32) -> Option<Exit> {
            None
        }

        /// A process held so that a signal can reach no other. There is none.
        #[derive(Debug)]
        pub enum Handle {}

        impl Handle {
            /// Opens the process that has this number now.
            pub fn open(_pid: u32) -> io::Result<Handle> {
                Err(lacking($handle))
            }

            /// Sends a signal.
            pub fn signal(&self, _signal: i32) -> io::Result<()> {
                match *self {}
            }

            /// Waits until the process has ended, at most so long.
            pub fn wait(&self, _limit: Duration) -> io::Result<bool> {
                match *self {}
            }

            /// How it ended.
            pub fn exit(&self) -> Option<Exit> {
                match *self {}
            }

            /// Whether its number may be another's by now.
            pub fn is_reaped(&self) -> bool {
                match *self {}
            }

            /// What its tree is held by.
            pub fn cgroup(&self) -> Option<u64> {
                match *self {}
            }
        }

        impl AsFd for Handle {
            fn as_fd(&self) -> BorrowedFd<'_> {
                match *self {}
            }
        }

        pub mod bounds {
            /// The memory of these processes: not to be seen.
            pub fn memory_kib(_pids: &[u32], _limit_kib: u64) -> u64 {
                0
            }
        }

        pub mod beside {
            use std::io;
            use std::os::fd::BorrowedFd;
            use std::path::Path;

            /// Starts nothing.
            pub fn start_beside(
                _programs: &[&Path],
                _arguments: &[String],
                _output: BorrowedFd<'_>,
            ) -> io::Result<()> {
                Err(super::lacking($spawn))
            }
        }

        pub mod cgroup {
            use std::io;
            use std::os::fd::RawFd;
            use std::path::Path;
            use std::time::Duration;

            use crate::bounds::{Bounded, OomCount};
            use crate::guard::Limits;

            /// What holds one tree together. There is none.
            #[derive(Debug)]
            pub enum Leaf {}

            impl Leaf {
                /// Makes the leaf `name`.
                pub fn make(_name: &str) -> io::Result<Leaf> {
                    Err(super::lacking($leaf))
                }

                /// Makes the leaf `name` where these limits can be kept.
                pub fn make_for(_name: &str, _limits: &Limits) -> io::Result<Leaf> {
                    Err(super::lacking($leaf))
                }

                /// Has these limits kept, and says which are.
                pub fn bound(&self, _limits: &Limits) -> Bounded {
                    match *self {}
                }

                /// How often it has hit its memory limit.
                pub fn oom(&self) -> OomCount {
                    match *self {}
                }

                /// Whether it holds this process.
                pub fn holds(&self, _pid: u32) -> bool {
                    match *self {}
                }

                /// Its descriptor.
                pub fn fd(&self) -> RawFd {
                    match *self {}
                }

                /// Where it is.
                pub fn path(&self) -> &Path {
                    match *self {}
                }

                /// Ends every process in it.
                pub fn kill(&self) -> io::Result<()> {
                    match *self {}
                }

                /// Its number.
                pub fn id(&self) -> Option<u64> {
                    match *self {}
                }

                /// The most memory that was in it.
                pub fn peak_kib(&self) -> Option<u64> {
                    match *self {}
                }

                /// CPU time of all that were in it.
                pub fn cpu(&self) -> Option<Duration> {
                    match *self {}
                }

                /// Removes it.
                pub fn remove(&self) {
                    match *self {}
                }
            }
        }

        pub mod notify {
            use std::io;
            use std::os::fd::{AsFd, BorrowedFd};
            use std::path::Path;

            use crate::guard::notify::Datagram;

            /// A socket on which a tree says how it fares. There is none.
            #[derive(Debug)]
            pub enum Receiver {}

            impl Receiver {
                /// Binds at `path`.
                pub fn bind(_path: &Path) -> io::Result<Receiver> {
                    Err(super::lacking($notify))
                }

                /// Binds at a name that is in no folder.
                pub fn bind_abstract(_name: &str) -> io::Result<Receiver> {
                    Err(super::lacking($notify))
                }

                /// What senders are told.
                pub fn address(&self) -> &str {
                    match *self {}
                }

                /// The next message.
                pub fn receive(&self) -> Option<Datagram> {
                    match *self {}
                }
            }

            impl AsFd for Receiver {
                fn as_fd(&self) -> BorrowedFd<'_> {
                    match *self {}
                }
            }
        }

        pub mod signals {
            use std::io;
            use std::os::fd::{AsFd, BorrowedFd};

            /// Signals as readable events. There are none.
            #[derive(Debug)]
            pub enum Signals {}

            impl Signals {
                /// Catches the given signals.
                pub fn catch(_signals: &[i32]) -> io::Result<Signals> {
                    Err(super::lacking($signals))
                }

                /// The next received signal, if any.
                pub fn next(&self) -> Option<i32> {
                    match *self {}
                }
            }

            impl AsFd for Signals {
                fn as_fd(&self) -> BorrowedFd<'_> {
                    match *self {}
                }
            }
        }

        pub mod spawn {
            use std::os::fd::{BorrowedFd, RawFd};

            use super::cgroup::Leaf;
            use crate::guard::Limits;
            use crate::program::{Program, SpawnError, Step};

            /// Where a program belongs and what it is connected to.
            #[allow(dead_code, reason = "nothing is started, so nobody asks where")]
            #[derive(Debug)]
            pub struct Surroundings<'a> {
                /// The leaf to start in.
                pub leaf: Option<&'a Leaf>,
                /// Standard input; `None`: empty if detached, else ours.
                pub input: Option<BorrowedFd<'a>>,
                /// Standard output; `None`: ours.
                pub output: Option<BorrowedFd<'a>>,
                /// Standard error; `None`: ours.
                pub error: Option<BorrowedFd<'a>>,
                /// A session of its own; else only a process group of its own.
                pub detached: bool,
                /// A terminal whose foreground group it shall be.
                pub terminal: Option<BorrowedFd<'a>>,
                /// Written with its pid before it executes.
                pub pid_file: Option<&'a std::path::Path>,
                /// Handed over to it, each with its name.
                pub sockets: &'a [(&'a str, BorrowedFd<'a>)],
                /// What it may use, and as whom it runs.
                pub limits: &'a Limits,
            }

            /// Starts nothing.
            pub fn spawn(_program: &Program, _around: &Surroundings<'_>) -> Result<u32, SpawnError> {
                Err(SpawnError {
                    step: Step::Fork,
                    errno: libc::ENOTSUP,
                    object: super::lacking($spawn).to_string(),
                })
            }

            /// Closes every descriptor but these: nothing was forked that would want it.
            pub fn close_all_but(_keep: &[RawFd]) {}
        }

        pub mod sweep {
            use std::collections::HashSet;
            use std::io;
            use std::path::PathBuf;
            use std::time::Duration;

            use crate::survivor::{Stuck, Survivor, Swept, Traces};

            /// Finds what is alive of an earlier run: nobody is to be seen.
            pub fn survivors(_traces: &Traces) -> Vec<Survivor> {
                Vec::new()
            }

            /// Ends the survivors: nobody.
            pub fn end(_traces: &Traces, _signal: i32, _grace: Duration) -> Swept {
                Swept::default()
            }

            /// What is known of a process that does not die.
            pub fn stuck(pid: u32) -> Stuck {
                Stuck { pid, state: '?', wait_channel: None }
            }

            /// The claims that processes say they belong to: nothing is known.
            pub fn marked_claims() -> HashSet<PathBuf> {
                HashSet::new()
            }

            /// Gives memory back: nothing was needed.
            pub fn give_back_memory() {}

            /// Children of a process that are not in `known`.
            pub fn orphans(_of: u32, _known: &[u32]) -> io::Result<Vec<u32>> {
                Err(super::lacking($tree))
            }
        }

        pub mod tree {
            use std::collections::HashSet;
            use std::io;
            use std::path::PathBuf;

            use crate::stat::Reaped;

            /// The files that a tree has open for writing: none are to be seen.
            pub fn written_by(_root: u32) -> HashSet<PathBuf> {
                HashSet::new()
            }

            /// From now on orphaned descendants become our children.
            pub fn become_subreaper() -> io::Result<()> {
                Err(super::lacking($tree))
            }

            /// Reaps every child that has ended, and says whether any child is left: none was ever started.
            pub fn reap(_reaped: &mut Vec<Reaped>) -> bool {
                false
            }

            /// All living descendants of a process: none are to be seen.
            pub fn descendants(_root: u32) -> Vec<u32> {
                Vec::new()
            }

            /// Sends a signal to descendants and says how many were reached: none.
            pub fn signal_descendants(
                _root: u32,
                _spare: &[u32],
                _signal: i32,
                _but_group: Option<u32>,
            ) -> usize {
                0
            }

            /// Sends a signal to the descendants of one process group and says how many were reached: none.
            pub fn signal_group(_root: u32, _spare: &[u32], _signal: i32, _group: u32) -> usize {
                0
            }

            /// Whether a process descends from another: not to be seen.
            pub fn is_descendant(_pid: u32, _root: u32, _spare: &[u32]) -> bool {
                false
            }

            /// Kills descendants: there are none to be seen.
            pub fn kill_descendants(_root: u32, _spare: &[u32]) {}

            /// Sends us a signal when our parent ends.
            pub fn hear_parent_end(_signal: i32) -> io::Result<()> {
                Err(super::lacking($tree))
            }

            /// Whether a process was stopped by a signal.
            pub fn is_stopped(_pid: u32) -> bool {
                false
            }
        }

        pub mod changes {
            use std::io;
            use std::os::fd::{AsRawFd, RawFd};
            use std::path::Path;

            use crate::watched::Entry;

            /// Whether changes in a folder are not told: none are here.
            pub fn is_remote(_folder: &Path) -> bool {
                true
            }

            /// A watch over the wall clock. There is none.
            #[derive(Debug)]
            pub enum ClockWatch {}

            impl ClockWatch {
                /// Watches from now on.
                pub fn new() -> io::Result<ClockWatch> {
                    Err(super::lacking($changes))
                }

                /// Takes note of it, and watches on.
                pub fn quiet(&self) -> io::Result<()> {
                    match *self {}
                }
            }

            impl AsRawFd for ClockWatch {
                fn as_raw_fd(&self) -> RawFd {
                    match *self {}
                }
            }

            /// A watch over folders. There is none.
            #[derive(Debug)]
            pub enum FolderWatch {}

            impl FolderWatch {
                /// Watches folders from now on.
                pub fn new(_folders: &[(&Path, Option<&str>)]) -> io::Result<FolderWatch> {
                    Err(super::lacking($changes))
                }

                /// Whether anything has happened that matters.
                pub fn has_changed(&self) -> bool {
                    match *self {}
                }

                /// Watches a further folder.
                pub fn add(&self, _folder: &Path) -> io::Result<i32> {
                    match *self {}
                }

                /// Takes note of all that has happened.
                pub fn take(&self, _tell: impl FnMut(Option<Entry<'_>>)) {
                    match *self {}
                }
            }

            impl AsRawFd for FolderWatch {
                fn as_raw_fd(&self) -> RawFd {
                    match *self {}
                }
            }
        }

        pub mod machine {
            use std::io;

            use crate::guard::Limits;

            /// Whether something keeps the wall clock right: not to be seen.
            pub fn is_clock_kept() -> io::Result<bool> {
                Err(super::lacking($changes))
            }

            /// The lowest port that one may listen on: not to be seen.
            pub fn lowest_port() -> u16 {
                0
            }

            /// The controllers that are not delegated: there are none of them.
            pub fn not_delegated(_limits: &Limits) -> Vec<&'static str> {
                Vec::new()
            }

            /// Whether what is started outlives the last session: not to be seen.
            pub fn outlives_sessions(_user: &str) -> bool {
                true
            }

            /// So many folders may be watched: not to be seen.
            pub fn watches_most() -> Option<usize> {
                None
            }
        }

        pub mod usage {
            use crate::usage::{Process, Used};

            /// All living descendants of a guard: none are to be seen.
            pub fn processes(_guard: u32) -> Vec<Process> {
                Vec::new()
            }

            /// What the tree of a guard uses: nothing is to be seen.
            pub fn used(_guard: u32) -> Used {
                Used::default()
            }
        }

        pub mod ports {
            use std::collections::HashMap;
            use std::io;

            use crate::ports::{Listener, Owner, Socket};

            /// The sockets listening on `port`.
            pub fn sockets(_port: u16) -> io::Result<Vec<Socket>> {
                Err(super::lacking($ports))
            }

            /// The sockets listening on `port`, each with every process that holds it.
            pub fn listeners(_port: u16) -> io::Result<Vec<Listener>> {
                Err(super::lacking($ports))
            }

            /// The same, sooner.
            pub fn first_listeners(_port: u16, _near: &[u32]) -> io::Result<Vec<Listener>> {
                Err(super::lacking($ports))
            }

            /// All listening sockets.
            pub fn all_listeners() -> io::Result<Vec<Listener>> {
                Err(super::lacking($ports))
            }

            /// What is told of one process: nothing.
            pub fn process(_pid: u32) -> Option<Owner> {
                None
            }

            /// Which of `pids` hold which of the sockets `inodes`.
            pub fn owners_among(_inodes: &[u64], _pids: &[u32]) -> io::Result<HashMap<u64, Vec<u32>>> {
                Err(super::lacking($ports))
            }
        }
    };
}

pub(crate) use unbuilt;
