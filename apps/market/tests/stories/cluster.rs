//! A PostgreSQL of its own in a temporary folder, on a private port of the loopback. It ends with whoever started it,
//! even by SIGKILL: the kernel then ends it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use tempfile::TempDir;

/// As root PostgreSQL does not start.
const NOBODY: u32 = 65_534;
/// One role must give its password, so that there is somebody to refuse.
const RULES: &str = "host all sealed all scram-sha-256\nhost all all all trust\n";

/// Nothing that is well takes as long on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Cluster {
    port: u16,
    room: TempDir,
    server: Child,
}

impl Cluster {
    /// None if PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        let programs = programs()?;
        let room = tempfile::tempdir().expect("a temporary folder");
        if is_root() {
            chown(room.path(), Some(NOBODY), Some(NOBODY)).expect("a folder is given away");
        }
        // Another order of texts than SQLite's, as most databases have.
        let order = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en", "--encoding=UTF8"];
        let data = room.path().join("data");
        let mut initdb = as_nobody(&programs.join("initdb"));
        let made =
            initdb.args(["--username=market", "--auth=trust", "--no-sync"]).args(order).arg(&data).output();
        let made = made.expect("initdb runs");
        assert!(made.status.success(), "{made:?}");
        fs::write(data.join("pg_hba.conf"), RULES).expect("the rules are written");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let server = run(&programs, &data, port);
        let mut cluster = Self { port, room, server };
        cluster.wait();
        Some(cluster)
    }

    /// The URL up to the name of a database.
    pub fn url(&self) -> String {
        format!("postgres://market@127.0.0.1:{}", self.port)
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.room.path().join("log")).unwrap_or_default()
    }

    fn wait(&mut self) {
        let url = format!("{}/postgres", self.url());
        wait_until("PostgreSQL answers", || {
            Client::connect(&url, NoTls).map(drop).map_err(|e| {
                format!("{e}; it has ended: {:?}; it said: {}", self.server.try_wait(), self.log())
            })
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGQUIT: it ends all its processes without a goodbye to its data.
        let pid = self.server.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.server.wait();
    }
}

fn run(programs: &Path, data: &Path, port: u16) -> Child {
    let log = data.with_file_name("log");
    let log = fs::File::options().create(true).append(true).open(log).expect("a log");
    let settings =
        ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "full_page_writes=off"];
    let mut command = as_nobody(&programs.join("postgres"));
    command.arg("-D").arg(data).args(["-p", &port.to_string()]);
    command.args(settings.iter().flat_map(|setting| ["-c", setting]));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("PostgreSQL starts")
}

/// A program without root's rights that the kernel ends when the thread that starts it ends.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
    }
    command.arg(program).current_dir("/");
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Where its programs are: on the PATH, or where Debian has them, the newest version first.
fn programs() -> Option<PathBuf> {
    let on_path: Vec<_> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let of_debian = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let mut of_debian: Vec<_> = of_debian.map(|version| version.path().join("bin")).collect();
    of_debian.sort();
    let folders = on_path.into_iter().chain(of_debian.into_iter().rev());
    folders.into_iter().find(|folder| folder.join("initdb").exists())
}

/// Asks again until there is an answer.
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} until {what}; last seen: {seen}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
