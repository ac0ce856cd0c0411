//! A service that talks by sd_notify(3) for tests of that: a script of Python on raw sockets, what is seen of it, and a
//! link to its guard.

use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::{LIMIT, Project, program, quoted, skip_loudly, wait_until};

/// What every script begins with.
pub const PRELUDE: &str = r#"
import array, os, select, signal, socket, subprocess, sys, time

def speaker():
    address = os.environ["NOTIFY_SOCKET"]
    assert address.startswith("/"), address
    talk = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    talk.connect(address)
    return talk

def say(text, talk=None):
    (talk or speaker()).send(text.encode())

def note(name, text):
    with open(name + ".part", "w") as file:
        file.write(text)
    os.rename(name + ".part", name)

def rest():
    while True:
        time.sleep(60)
"#;

/// The interpreter itself; without one the test is skipped: a version switcher in its place would be one more process.
pub fn python() -> Option<String> {
    let Some(found) = program("python3") else {
        skip_loudly("python3 is not installed");
        return None;
    };
    let output = Command::new(&found)
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .unwrap_or_else(|e| panic!("{e}"));
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A project whose service `talker` is this script, up; `settings` are lines of its section.
#[track_caller]
pub fn talker(script: &str, settings: &str) -> Option<Project> {
    let project = Project::empty();
    prepare(&project, script, settings)?;
    project.soloist(&["up", "-d"]).expect(0);
    Some(project)
}

/// Writes what `talker` needs, and starts nothing.
pub fn prepare(project: &Project, script: &str, settings: &str) -> Option<()> {
    let python = python()?;
    let file = project.write("talker.py", &format!("{PRELUDE}\n{script}")).display().to_string();
    let command = quoted(&[python, file]);
    project.write(
        "soloist.toml",
        &format!(
            "[services.talker]\ncommand = {command}\nstop-grace = \"1s\"\nbackoff = {{ first = \"50ms\", max = \"50ms\" }}\n{settings}\n"
        ),
    );
    Some(())
}

/// `talker` in the status.
#[track_caller]
pub fn seen(project: &Project) -> serde_json::Value {
    let status = project.soloist(&["status", "--json"]).json();
    let services = status["services"].as_array().cloned().unwrap_or_default();
    services.into_iter().find(|service| service["name"] == "talker").unwrap_or_default()
}

/// Waits until the status tells this of what it said.
#[track_caller]
pub fn wait_until_said(project: &Project, word: &str, value: &str) -> serde_json::Value {
    wait_until(&format!("said.{word} is {value}"), LIMIT, || {
        let seen = seen(project);
        if seen["said"][word] == value { Ok(seen) } else { Err(format!("{seen}\n{}", project.diary())) }
    })
}

/// Waits until it has noted something in a file, and gives that.
#[track_caller]
pub fn wait_until_noted(project: &Project, name: &str) -> String {
    wait_until(&format!("{name} is written"), LIMIT, || match project.read(name) {
        text if text.is_empty() => Err(project.diary()),
        text => Ok(text),
    })
}

/// How many lines of the daemon's log hold these words.
pub fn diary_lines(project: &Project, words: &str) -> usize {
    project.read(".soloist/daemon.log").lines().filter(|line| line.contains(words)).count()
}

/// A link to the guard, as a daemon has one.
#[derive(Debug)]
pub struct Link(OwnedFd);

impl Link {
    /// To the guard of `talker`.
    #[track_caller]
    pub fn to_guard_of(project: &Project) -> Link {
        Link::to(project, "talker")
    }

    /// To the guard of a service.
    #[track_caller]
    pub fn to(project: &Project, service: &str) -> Link {
        let path = project.path(&format!(".soloist/guards/{service}.sock"));
        wait_until("the guard answers", LIMIT, || {
            let flags = SocketFlags::CLOEXEC;
            let link = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
            rustix::net::connect(&link, &SocketAddrUnix::new(path.as_str())?)?;
            Ok::<_, rustix::io::Errno>(Link(link))
        })
    }

    /// The next report.
    #[track_caller]
    pub fn report(&self) -> serde_json::Value {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&limit)), Ok(1), "the guard says nothing");
        let mut bytes = [0u8; 8192];
        let (length, _) = rustix::net::recv(&self.0, &mut bytes, RecvFlags::empty()).unwrap();
        serde_json::from_slice(&bytes[..length]).unwrap_or_else(|e| panic!("{e} in {length} bytes"))
    }

    /// What the guard answers when it is asked how things stand.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        rustix::net::send(&self.0, br#"{"order":"status"}"#, SendFlags::NOSIGNAL).unwrap();
        std::iter::repeat_with(|| self.report()).find(|report| report["report"] == "status").unwrap()
    }
}
