//! Other users of the machine, and requests made to be read in two ways: who may open soloist's sockets, what becomes of
//! a project in somebody else's folder, and that no request hides in another. Other users need root to be tried.

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Caller, Output, Project, binaries, project, skip_loudly};

const NOBODY: u32 = 65534;

/// Another user, with a copy of the program that it can execute.
struct Stranger {
    folder: tempfile::TempDir,
}

impl Stranger {
    /// None, said loudly, if there can be no other user here.
    fn new() -> Option<Stranger> {
        if !rustix::process::geteuid().is_root() {
            skip_loudly("another user needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        mode(folder.path(), 0o755);
        // By cp(1), as in bad_input: a copy that this process has open for writing cannot be executed.
        let copy = folder.path().join("soloist");
        assert!(Command::new("cp").arg(&binaries().soloist).arg(copy).status().unwrap().success());
        Some(Stranger { folder })
    }

    fn soloist(&self, project: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.folder.path().join("soloist"));
        command.arg("-C").arg(project).args(arguments).current_dir("/").uid(NOBODY).gid(NOBODY);
        command
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path())
            .env("NO_COLOR", "1");
        project::finish(&mut command, &format!("{arguments:?}, as nobody"))
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn sleeper() -> Project {
    let project = Project::new("[services.it]\ncommand = [\"sleep\", \"1000\"]\n");
    mode(project.folder(), 0o755);
    project
}

#[test]
fn another_user_commands_nothing_even_where_the_folder_was_opened() {
    let Some(stranger) = Stranger::new() else { return };
    let project = sleeper();
    // Whoever starts the daemon has no umask at all.
    let mut up = Command::new("/bin/sh");
    up.args(["-c", "umask 000; exec \"$0\" up -d"]).arg(&binaries().soloist);
    project.dress(&mut up);
    project::finish(&mut up, "up -d").expect(0);
    let before = project.service("it").pid;
    let state = project.folder().join(".soloist");
    for wide in [0o700, 0o755] {
        mode(&state, wide);
        for folder in ["claims", "guards", "logs"] {
            mode(&state.join(folder), wide);
        }
        for verb in [
            &["status", "it"][..],
            &["stop", "it"],
            &["down"],
            &["up", "-d"],
            &["logs", "it"],
            &["start", "it"],
        ] {
            let said = stranger.soloist(project.folder(), verb);
            assert_ne!(said.code(), 0, "{wide:o} {verb:?}: {said}");
            assert!(!said.all().contains("panic"), "{said}");
        }
    }
    assert_eq!(project.service("it").pid, before, "it was left alone");
    // What stands open in the folder is of its user alone.
    let mut seen = 0;
    for path in below(&state) {
        let found = std::fs::symlink_metadata(&path).unwrap();
        let is_private = found.mode() & 0o077 == 0;
        assert!(found.is_dir() || is_private || path.ends_with(".gitignore"), "{path:?}: {:o}", found.mode());
        seen += usize::from(found.file_type().is_socket());
    }
    assert!(seen >= 3, "{seen} sockets: the daemon's, the guard's, and that of its notices");
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    let deeper: Vec<PathBuf> =
        entries.iter().filter(|path| path.is_dir()).flat_map(|path| below(path)).collect();
    entries.into_iter().chain(deeper).collect()
}

#[test]
fn a_state_folder_of_another_user_is_refused_and_his_project_runs_as_us_with_a_warning() {
    let Some(_) = Stranger::new() else { return };
    let project = sleeper();
    let state = project.folder().join(".soloist");
    for path in [project.folder().to_owned(), project.folder().join("soloist.toml")] {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    std::fs::create_dir(&state).unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    mode(&state, 0o700);
    for verb in [&["up", "-d"][..], &["start", "it"], &["run", "one", "--", "true"]] {
        project.soloist(verb).expect(1).says("belongs to another user");
    }
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0, "nothing was made in it");
    project.soloist(&["status"]);
    project
        .soloist(&["doctor"])
        .expect(1)
        .says("no folder of this user")
        .says("another user (uid 65534) may write");
    std::fs::remove_dir(&state).unwrap();
    project.soloist(&["up", "-d"]).expect(0);
    let found = std::fs::metadata(&state).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o700));
}

#[test]
fn no_request_hides_in_another() {
    let project = sleeper();
    project.soloist(&["up", "-d"]).expect(0);
    let caller = Caller::of(&project);
    let before = project.service("it").pid;
    let hidden = format!(
        "POST /api/v1/services/it/stop HTTP/1.1\r\nHost: {}\r\n{}\r\nContent-Length: 0\r\n\r\n",
        caller.address,
        caller.bearer()
    );
    let head = |lines: &str| {
        format!("POST /api/v1/up HTTP/1.1\r\nHost: {}\r\n{}\r\n{lines}\r\n", caller.address, caller.bearer())
    };
    let length = hidden.len();
    // Each would be one request to somebody in front and two to us, or the other way (RFC 9112, 11.2).
    for text in [
        // Two answers to how long the body is. Chunked may count if the connection ends with it (RFC 9112, 6.3).
        format!(
            "{}0\r\n\r\n{hidden}",
            head(&format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", length + 5))
        ),
        format!("{}{hidden}", head(&format!("Content-Length: 0\r\nContent-Length: {length}\r\n"))),
        format!("{}{hidden}", head(&format!("Content-Length: 0, {length}\r\n"))),
        format!("{}{hidden}", head("Content-Length: +0\r\n")),
        format!("{}{hidden}", head("Content-Length: -1\r\n")),
        // A chunked body that is not, or not last.
        format!("{}0\r\n\r\n{hidden}", head("Transfer-Encoding: chunked, identity\r\n")),
        format!("{}0\r\n\r\n{hidden}", head("Transfer-Encoding: xchunked\r\n")),
        format!("{}zz\r\n\r\n{hidden}", head("Transfer-Encoding: chunked\r\n")),
        // Names and lines that some read otherwise.
        format!("{}{hidden}", head(&format!("Content-Length : {length}\r\n"))),
        format!("{}{hidden}", head(&format!("X: y\r\n Content-Length: {length}\r\n"))),
        format!("{}{hidden}", head(&format!("X: y\rContent-Length: {length}\r\n"))),
        format!("{}{hidden}", head(&format!("X: y\0\r\nContent-Length: {length}\r\n"))),
    ] {
        let mut stream = caller.connect().unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400") || answer.contains("connection: close"),
            "{:?} was answered {answer:?}",
            &text[..text.len() - hidden.len()]
        );
        assert_eq!(answer.matches("HTTP/1.1 ").count(), usize::from(!answer.is_empty()), "{answer}");
    }
    let seen = project.service("it");
    assert_eq!((seen.state.as_str(), seen.pid), ("ready", before), "nothing stopped it");
}
