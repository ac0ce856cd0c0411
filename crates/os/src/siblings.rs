//! Proof that the platforms have one shape: the interface once, compared with each sibling by its types; and that those
//! not built yet refuse in their own name and neither start nor signal anything.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bounds::{Bounded, OomCount};
use crate::guard::Limits;
use crate::guard::notify::Datagram;
use crate::identity::Exit;
use crate::ports::{Listener, Owner, Socket};
use crate::program::{Program, SpawnError, Step};
use crate::stat::{Reaped, Stat};
use crate::survivor::{Stuck, Survivor, Swept, Traces};
use crate::usage::{Process, Used};
use crate::watched::Entry;

type Holders = HashMap<u64, Vec<u32>>;

fn is_a_descriptor<T: AsFd + Debug>() {}
fn has_a_descriptor<T: AsRawFd + Debug>() {}
fn is_told<T: Debug>() {}

/// All that the portable files ask of `platform`.
macro_rules! has_the_shape {
    ($platform:ident) => {{
        use crate::$platform::Handle;
        use crate::$platform::cgroup::Leaf;
        use crate::$platform::changes::{ClockWatch, FolderWatch};
        use crate::$platform::notify::Receiver;
        use crate::$platform::signals::Signals;
        use crate::$platform::spawn::{Surroundings, close_all_but, spawn};
        use crate::$platform::{
            self as platform, beside, bounds, changes, machine, ports, sweep, tree, usage,
        };

        let _: fn(&[&Path], &[String], BorrowedFd<'_>) -> io::Result<()> = beside::start_beside;
        let _: fn(u32) -> io::Result<Stat> = platform::stat;
        let _: fn() -> io::Result<String> = platform::boot_id;
        let _: fn() -> io::Result<u64> = platform::pid_namespace;
        let _: fn(u32) -> Option<PathBuf> = platform::cookie_of;
        let _: fn(u32) -> Option<u32> = platform::parent_of;
        let _: fn(u32, &str) -> Option<std::ffi::OsString> = platform::variable_of;

        let _: fn(u32) -> Vec<String> = platform::command;
        let _: fn(u32) -> Option<Exit> = platform::zombie_exit;

        is_a_descriptor::<Handle>();
        let _: fn(u32) -> io::Result<Handle> = Handle::open;
        let _: fn(&Handle, i32) -> io::Result<()> = Handle::signal;
        let _: fn(&Handle, Duration) -> io::Result<bool> = Handle::wait;
        let _: fn(&Handle) -> Option<Exit> = Handle::exit;
        let _: fn(&Handle) -> bool = Handle::is_reaped;
        let _: fn(&Handle) -> Option<u64> = Handle::cgroup;

        is_told::<Leaf>();
        let _: fn(&str) -> io::Result<Leaf> = Leaf::make;
        let _: fn(&Leaf) -> &Path = Leaf::path;
        let _: fn(&Leaf) -> io::Result<()> = Leaf::kill;
        let _: fn(&Leaf) -> Option<u64> = Leaf::id;
        let _: fn(&Leaf) -> Option<u64> = Leaf::peak_kib;
        let _: fn(&Leaf) -> Option<Duration> = Leaf::cpu;
        let _: fn(&Leaf) = Leaf::remove;
        let _: fn(&str, &Limits) -> io::Result<Leaf> = Leaf::make_for;
        let _: fn(&Leaf, &Limits) -> Bounded = Leaf::bound;
        let _: fn(&Leaf) -> OomCount = Leaf::oom;
        let _: fn(&Leaf, u32) -> bool = Leaf::holds;
        let _: fn(&Leaf) -> RawFd = Leaf::fd;
        let _: fn(&[u32], u64) -> u64 = bounds::memory_kib;

        is_a_descriptor::<Receiver>();
        let _: fn(&Path) -> io::Result<Receiver> = Receiver::bind;
        let _: fn(&str) -> io::Result<Receiver> = Receiver::bind_abstract;
        let _: fn(&Receiver) -> &str = Receiver::address;
        let _: fn(&Receiver) -> Option<Datagram> = Receiver::receive;

        is_a_descriptor::<Signals>();
        let _: fn(&[i32]) -> io::Result<Signals> = Signals::catch;
        let _: fn(&Signals) -> Option<i32> = Signals::next;

        let whole = |leaf: Option<&'static Leaf>, fd: Option<BorrowedFd<'static>>, detached: bool| {
            let limits = &Limits::default();
            let (input, output, error, terminal) = (fd, fd, fd, fd);
            let sockets = &[];
            let _ = Surroundings {
                leaf,
                input,
                output,
                error,
                detached,
                terminal,
                pid_file: None,
                sockets,
                limits,
            };
        };
        whole(None, None, true);
        let _: fn(&Program, &Surroundings<'_>) -> Result<u32, SpawnError> = spawn;
        let _: fn(&[RawFd]) = close_all_but;

        let _: fn(&Traces) -> Vec<Survivor> = sweep::survivors;
        let _: fn(&Traces, i32, Duration) -> Swept = sweep::end;
        let _: fn(u32) -> Stuck = sweep::stuck;
        let _: fn() -> std::collections::HashSet<std::path::PathBuf> = sweep::marked_claims;
        let _: fn() = sweep::give_back_memory;
        let _: fn(u32, &[u32]) -> io::Result<Vec<u32>> = sweep::orphans;

        let _: fn() -> io::Result<()> = tree::become_subreaper;
        let _: fn(&mut Vec<Reaped>) -> bool = tree::reap;
        let _: fn(u32) -> Vec<u32> = tree::descendants;
        let _: fn(u32) -> std::collections::HashSet<PathBuf> = tree::written_by;
        let _: fn(u32, &[u32], i32, Option<u32>) -> usize = tree::signal_descendants;
        let _: fn(u32, &[u32], i32, u32) -> usize = tree::signal_group;
        let _: fn(u32, u32, &[u32]) -> bool = tree::is_descendant;
        let _: fn(u32, &[u32]) = tree::kill_descendants;
        let _: fn(i32) -> io::Result<()> = tree::hear_parent_end;
        let _: fn(u32) -> bool = tree::is_stopped;

        has_a_descriptor::<ClockWatch>();
        let _: fn() -> io::Result<ClockWatch> = ClockWatch::new;
        let _: fn(&ClockWatch) -> io::Result<()> = ClockWatch::quiet;
        has_a_descriptor::<FolderWatch>();
        let _: fn(&[(&Path, Option<&str>)]) -> io::Result<FolderWatch> = FolderWatch::new;
        let _: fn(&FolderWatch) -> bool = FolderWatch::has_changed;
        let _: fn(&FolderWatch, &Path) -> io::Result<i32> = FolderWatch::add;
        let _: fn(&FolderWatch, fn(Option<Entry<'_>>)) = FolderWatch::take;
        let _: fn(&Path) -> bool = changes::is_remote;

        let _: fn(u16) -> io::Result<Vec<Socket>> = ports::sockets;
        let _: fn(u16) -> io::Result<Vec<Listener>> = ports::listeners;
        let _: fn(u16, &[u32]) -> io::Result<Vec<Listener>> = ports::first_listeners;
        let _: fn() -> io::Result<Vec<Listener>> = ports::all_listeners;
        let _: fn(&[u64], &[u32]) -> io::Result<Holders> = ports::owners_among;
        let _: fn(u32) -> Option<Owner> = ports::process;

        let _: fn() -> io::Result<bool> = machine::is_clock_kept;
        let _: fn() -> u16 = machine::lowest_port;
        let _: fn(&Limits) -> Vec<&'static str> = machine::not_delegated;
        let _: fn(&str) -> bool = machine::outlives_sessions;
        let _: fn() -> Option<usize> = machine::watches_most;

        let _: fn(u32) -> Vec<Process> = usage::processes;
        let _: fn(u32) -> Used = usage::used;
    }};
}

#[test]
fn every_platform_has_the_same_shape() {
    has_the_shape!(platform);
    has_the_shape!(macos);
    has_the_shape!(windows);
}

/// What is not built says so, and of which system; and leads to nothing.
macro_rules! refuses {
    ($platform:ident, $system:literal) => {{
        use crate::$platform::spawn::{Surroundings, spawn};
        use crate::$platform::{
            self as platform, beside, bounds, cgroup, changes, machine, notify, ports, signals, sweep, tree,
            usage,
        };

        let me = std::process::id();
        let traces = Traces { claim: "claim".into(), record: None, zygote: Some(me), spare: vec![] };
        let begins = concat!("soloist is not built for ", $system, " yet: ");
        let refusals: [Option<io::Error>; 21] = [
            beside::start_beside(&[Path::new("/bin/true")], &[], rustix::stdio::stdin()).err(),
            platform::stat(me).err(),
            platform::boot_id().err(),
            platform::pid_namespace().err(),
            platform::Handle::open(me).err(),
            cgroup::Leaf::make("leaf").err(),
            changes::ClockWatch::new().err(),
            changes::FolderWatch::new(&[]).err(),
            notify::Receiver::bind(Path::new("socket")).err(),
            notify::Receiver::bind_abstract("socket").err(),
            cgroup::Leaf::make_for("leaf", &Limits::default()).err(),
            machine::is_clock_kept().err(),
            signals::Signals::catch(&[libc::SIGCHLD]).err(),
            sweep::orphans(1, &[]).err(),
            tree::become_subreaper().err(),
            tree::hear_parent_end(libc::SIGTERM).err(),
            ports::sockets(1).err(),
            ports::listeners(1).err(),
            ports::all_listeners().err(),
            ports::first_listeners(1, &[]).err(),
            ports::owners_among(&[1], &[me]).err(),
        ];
        for refusal in refusals {
            let refusal = refusal.expect("nothing of this is built");
            assert_eq!(refusal.kind(), io::ErrorKind::Unsupported);
            assert!(refusal.to_string().starts_with(begins), "{refusal}");
        }
        let program = Program { argv: vec!["true".into()], env: vec![], dir: "/".into() };
        let limits = &Limits::default();
        let around = Surroundings {
            leaf: None,
            input: None,
            output: None,
            error: None,
            detached: true,
            terminal: None,
            pid_file: None,
            sockets: &[],
            limits,
        };
        let refusal = spawn(&program, &around).unwrap_err();
        assert_eq!(refusal.step, Step::Fork);
        assert!(refusal.to_string().starts_with(begins), "{refusal}");

        assert_eq!(platform::cookie_of(me), None);
        assert_eq!(platform::parent_of(me), None);
        assert_eq!(platform::variable_of(me, "PATH"), None);
        assert_eq!(ports::process(me), None);
        assert_eq!(sweep::survivors(&traces), []);
        assert_eq!(sweep::end(&traces, libc::SIGTERM, Duration::ZERO), Swept::default());
        assert_eq!(sweep::stuck(me), Stuck { pid: me, state: '?', wait_channel: None });
        let mut reaped = Vec::new();
        assert!(!tree::reap(&mut reaped) && reaped.is_empty());
        assert_eq!((machine::lowest_port(), machine::outlives_sessions("ada")), (0, true));
        assert!(machine::not_delegated(&Limits::default()).is_empty() && machine::watches_most().is_none());
        assert_eq!(bounds::memory_kib(&[me], 0), 0);
        assert!(tree::descendants(1).is_empty());
        assert_eq!((usage::processes(1), usage::used(1)), (vec![], Used::default()));
        assert_eq!(tree::signal_descendants(1, &[], libc::SIGTERM, None), 0);
        assert_eq!(tree::signal_group(1, &[], libc::SIGTERM, 1), 0);
        assert!(!tree::is_descendant(me, 1, &[]));
        assert!(!tree::is_stopped(me));
        assert_eq!(platform::command(me), [""; 0]);
        assert_eq!(platform::zombie_exit(me), None);
    }};
}

#[test]
fn a_platform_that_is_not_built_refuses_in_its_own_name() {
    refuses!(macos, "macOS");
    refuses!(windows, "Windows");
}
