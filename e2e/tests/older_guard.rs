//! A guard outlives the daemon that made it, so a new daemon must understand older ones. Here a guard that speaks
//! protocol 1 to the letter, and knows nothing later, is adopted, stopped, restarted and released.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use e2e::{Identity, LIMIT, Project, daemon, wait_until};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FlockOperation, flock};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use serde_json::{Value, json};

const RUN: &str = "00000000000000aa";

/// The guard: a thread of this test, which is so the process that its record names.
struct OldGuard {
    project: PathBuf,
    orders: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OldGuard {
    /// Holds the claim of `old`, runs `sleep` in it, and listens.
    fn start(project: &Project) -> OldGuard {
        let orders = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let mut body = Body::new(project, Arc::clone(&orders));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || body.live(&over));
        OldGuard { project: project.folder().to_owned(), orders, is_over, thread: Some(thread) }
    }

    fn orders(&self) -> Vec<String> {
        self.orders.lock().unwrap().clone()
    }

    /// Waits until it was released, and so has ended.
    fn has_ended(&mut self) {
        wait_until("the guard has ended", LIMIT, || {
            let is_finished = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            if is_finished { Ok(()) } else { Err(format!("{:?}", self.orders())) }
        });
        assert!(!self.project.join(".soloist/guards/old.sock").exists());
    }
}

impl Drop for OldGuard {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Body {
    folder: PathBuf,
    claim: Option<OwnedFd>,
    listener: OwnedFd,
    link: Option<OwnedFd>,
    run: String,
    main: Option<Child>,
    exit: Value,
    orders: Arc<Mutex<Vec<String>>>,
}

impl Body {
    fn new(project: &Project, orders: Arc<Mutex<Vec<String>>>) -> Body {
        let folder = project.folder().join(".soloist");
        for name in ["", "claims", "guards", "logs"] {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().mode(0o700).create(folder.join(name)).unwrap();
        }
        let claim = File::create(folder.join("claims/old.lock")).unwrap();
        flock(&claim, FlockOperation::NonBlockingLockExclusive).unwrap();
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let address = SocketAddrUnix::new(folder.join("guards/old.sock")).unwrap();
        rustix::net::bind(&listener, &address).unwrap();
        rustix::net::listen(&listener, 8).unwrap();
        let main = Some(execute(&["sleep".into(), "1000".into()]));
        let claim = Some(claim.into());
        let body =
            Body { folder, claim, listener, link: None, run: RUN.into(), main, exit: Value::Null, orders };
        body.record(false);
        body
    }

    /// As a guard of that time wrote it.
    fn record(&self, ended: bool) {
        let main = self.main.as_ref().map(|main| identity(main.id()));
        let record = json!({
            "version": 1, "instance": "old", "project": self.folder.parent(), "holder": "daemon",
            "guard": identity(std::process::id()), "run_id": self.run, "main": main, "command": ["sleep", "1000"],
            "ports": [], "since_ms": 1_700_000_000_000_u64, "cgroup": null, "pid_file": null, "exit": self.exit,
            "exit_ms": null, "stop_grace_ms": 5000, "was_stopped": false, "ended": ended,
        });
        std::fs::write(self.folder.join("claims/old.json"), record.to_string()).unwrap();
    }

    fn live(&mut self, is_over: &AtomicBool) {
        while self.claim.is_some() && !is_over.load(Ordering::Relaxed) {
            if let Ok(link) =
                rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
            {
                self.link = Some(link);
            }
            while let Some((order, fds)) = self.receive() {
                self.obey(&order, fds);
            }
            // The limit is for `is_over`, of which no descriptor tells.
            let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            let fds = [Some(&self.listener), self.link.as_ref()].into_iter().flatten();
            let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            let _ = rustix::event::poll(&mut fds, Some(&limit));
        }
        if let Some(mut main) = self.main.take() {
            let _ = main.kill();
            let _ = main.wait();
        }
        let _ = std::fs::remove_file(self.folder.join("guards/old.sock"));
        drop(self.claim.take());
        drop(self.link.take());
    }

    fn obey(&mut self, order: &Value, fds: Vec<OwnedFd>) {
        let name = order["order"].as_str().unwrap_or_default().to_owned();
        match name.as_str() {
            "status" => {
                let main = self.main.as_ref().map(|main| identity(main.id()));
                let status = json!({
                    "report": "status", "version": 1, "guard": identity(std::process::id()), "run_id": self.run,
                    "main": main, "exit": self.exit, "empty": main.is_none(), "since_ms": 1_700_000_000_000_u64,
                });
                self.report(&status, true);
            }
            "stop" | "kill" => {
                if let Some(mut main) = self.main.take() {
                    let _ = main.kill();
                    let ended = main.wait().unwrap();
                    self.exit = json!({ "signal": ended.signal() });
                    self.record(true);
                    self.report(
                        &json!({ "report": "main-exited", "run_id": self.run, "exit": self.exit, "left": 0 }),
                        false,
                    );
                }
                self.report(&json!({ "report": "emptied", "run_id": self.run, "killed": false }), false);
            }
            "spawn" => {
                let mut text = String::new();
                File::from(fds.into_iter().next().unwrap()).read_to_string(&mut text).unwrap();
                let run: Value = serde_json::from_str(&text).unwrap();
                let argv: Vec<String> = serde_json::from_value(run["program"]["argv"].clone()).unwrap();
                self.run = run["run_id"].as_str().unwrap().to_owned();
                let main = execute(&argv);
                let who = identity(main.id());
                (self.main, self.exit) = (Some(main), Value::Null);
                self.record(false);
                self.report(&json!({ "report": "spawned", "run_id": self.run, "main": who }), false);
            }
            "release" => self.claim = None,
            // What a newer daemon orders and it does not know is left undone.
            _ => {}
        }
        self.orders.lock().unwrap().push(name);
    }

    fn receive(&mut self) -> Option<(Value, Vec<OwnedFd>)> {
        let mut bytes = [0u8; 8192];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let link = self.link.as_ref()?;
        let read =
            rustix::net::recvmsg(link, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags).ok()?;
        let fds = ancillary.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
            _ => Vec::new(),
        });
        let fds = fds.collect();
        if read.bytes == 0 {
            self.link = None;
            return None;
        }
        Some((serde_json::from_slice(&bytes[..read.bytes]).unwrap(), fds))
    }

    fn report(&self, report: &Value, with_claim: bool) {
        let (Some(link), Some(claim)) = (&self.link, &self.claim) else { return };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = [claim.as_fd()];
        if with_claim {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        }
        let text = report.to_string();
        let _ =
            rustix::net::sendmsg(link, &[IoSlice::new(text.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL);
    }
}

fn execute(argv: &[String]) -> Child {
    Command::new(&argv[0]).args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

/// A process as guards and records name it.
fn identity(pid: u32) -> Value {
    use std::os::unix::fs::MetadataExt;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let ns = std::fs::metadata("/proc/self/ns/pid").unwrap().ino();
    let start = Identity::of(pid).map_or(0, |one| one.start);
    json!({ "pid": pid, "start": start, "boot": boot.trim(), "ns": ns })
}

/// A project whose only service runs under such a guard, and a daemon that has just been started.
fn adopted() -> (Project, OldGuard, u32) {
    let project = Project::new(
        "[services.old]\ncommand = [\"/bin/sleep\", \"1000\"]\n[services.new]\ncommand = [\"sleep\", \"1000\"]\n",
    );
    let guard = OldGuard::start(&project);
    // What a daemon of that time had noted: `old` is wanted.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let ledger =
        json!({ "version": 1, "boot": boot.trim(), "up": { "old": { "since_ms": 1_700_000_000_000_u64 } } });
    project.write(".soloist/ledger.json", &ledger.to_string());
    let main = project.record("old").unwrap()["main"]["pid"].as_u64().unwrap();
    let main = u32::try_from(main).unwrap();
    let seen = project.wait_for_state("old", "ready", LIMIT);
    assert_eq!((seen.pid, seen.restarts), (Some(main), 0), "adopted as it was: {seen:?}");
    assert!(daemon::answering(&project).is_some());
    (project, guard, main)
}

#[test]
fn a_guard_of_protocol_1_is_adopted_and_restarted() {
    let (project, guard, main) = adopted();
    project.soloist(&["restart", "old"]).expect(0);
    let seen = project.service("old");
    assert_ne!(seen.pid, Some(main));
    assert_eq!(seen.state, "ready", "{seen:?}");
    let orders = guard.orders();
    assert!(orders.contains(&"spawn".to_owned()), "the old guard started it: {orders:?}");

    // And again by the next daemon, with what the old guard knows now.
    let dead = daemon::kill(&project);
    project.soloist(&["ensure", "new"]).expect(0);
    assert_eq!(project.service("old").pid, seen.pid, "{}", project.diary());
    assert_ne!(daemon::answering(&project), Some(dead));
    project.soloist(&["down"]).expect(0);
}

#[test]
fn a_guard_of_protocol_1_is_stopped_and_released_and_a_new_one_takes_its_place() {
    let (project, mut guard, main) = adopted();
    project.soloist(&["stop", "old"]).expect(0);
    assert!(Identity::of(main).is_none_or(|one| !one.is_alive()));
    guard.has_ended();
    assert!(guard.orders().ends_with(&["release".to_owned()]), "{:?}", guard.orders());
    project.soloist(&["start", "old"]).expect(0);
    assert_ne!(project.guard("old").pid, std::process::id());
}

#[test]
fn what_a_guard_of_protocol_1_does_not_know_is_left_undone() {
    let (project, guard, main) = adopted();
    let known = ["status", "stop", "kill", "spawn", "release", "sweep", "signal"];
    let newer: Vec<String> =
        guard.orders().into_iter().filter(|order| !known.contains(&order.as_str())).collect();
    assert!(!newer.is_empty(), "a new daemon has told it something new: {:?}", guard.orders());
    assert_eq!(project.service("old").pid, Some(main));
}
