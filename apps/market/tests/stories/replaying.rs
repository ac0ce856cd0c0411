//! A provider of its own for each story, a scanner that asks it, and a socket that hears what the scanner says.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

use crate::stage::{Server, market, package};

/// A Friday in the regular session.
pub const OPEN: &str = "2026-11-20T10:00-05:00";
const QUOTES: &str = "/v7/finance/quote";

/// Waits until `look` gives something; `what` is for the case that it never does.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A provider with its room.
pub struct Stand {
    room: TempDir,
    provider: Server,
}

/// A request as the provider saw it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Milliseconds since 1970.
    pub at: i64,
    pub path: String,
    pub query: String,
    pub agent: String,
    pub status: i64,
}

impl Stand {
    pub fn open() -> Self {
        Self::at(OPEN)
    }

    /// A provider whose clock is set to `clock`.
    pub fn at(clock: &str) -> Self {
        let mut command = market();
        command.args(["replay", "--port", "0", "--clock", clock]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the provider starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its stdout"))
            .read_line(&mut line)
            .expect("its first line");
        let address = line.trim().rsplit("http://").next().and_then(|address| address.parse().ok());
        let Some(address) = address else { panic!("no address in {line:?}") };
        Self { room: tempfile::tempdir().expect("a temporary folder"), provider: Server { child, address } }
    }

    pub fn fault(&self, mode: &str) {
        let (status, said) = self.provider.ask("PUT", &format!("/fault/{mode}"));
        assert_eq!(status, 200, "{said}");
    }

    /// Everything that was asked, the oldest first.
    pub fn log(&self) -> Vec<Asked> {
        let (_, log) = self.provider.json("/requests");
        let text = |asked: &Value, name: &str| asked[name].as_str().expect("a text").to_owned();
        let number = |asked: &Value, name: &str| asked[name].as_i64().expect("a number");
        let asked = |asked: &Value| Asked {
            at: number(asked, "at"),
            path: text(asked, "path"),
            query: text(asked, "query"),
            agent: text(asked, "agent"),
            status: number(asked, "status"),
        };
        log.as_array().expect("a list").iter().map(asked).collect()
    }

    /// How often quotes were asked for.
    pub fn batches(&self) -> usize {
        self.log().iter().filter(|asked| asked.path == QUOTES).count()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    /// Writes a list of symbols; `""` stands for all that the provider knows.
    pub fn list(&self, symbols: &str) -> PathBuf {
        if symbols.is_empty() {
            return package().join("sample/watchlist.txt");
        }
        let path = self.path("symbols.txt");
        std::fs::write(&path, symbols.replace(' ', "\n")).expect("a list");
        path
    }

    /// `market scan` of these symbols, without the usual patience.
    pub fn scan(&self, symbols: &str, more: &[&str]) -> Command {
        let mut command = market();
        for name in ["MARKET_PROVIDER", "MARKET_CACHE", "NOTIFY_SOCKET", "SOLOIST_TOKEN", "SOLOIST_RUN_ID"] {
            command.env_remove(name);
        }
        command
            .arg("scan")
            .arg("--database")
            .arg(self.path("market.db"))
            .arg("--symbols")
            .arg(self.list(symbols));
        let (cache, provider) = (self.path("stock_cache.json"), format!("http://{}", self.provider.address));
        let usual = [
            ("--cache", cache.to_str().expect("a path of text")),
            ("--provider", &provider),
            ("--interval", "1ms"),
            ("--burst", "100"),
            ("--clock", OPEN),
        ];
        for (name, value) in usual.iter().filter(|(name, _)| !more.contains(name)) {
            command.args([name, value]);
        }
        command.args(more);
        command
    }

    pub fn once(&self, symbols: &str, more: &[&str]) -> Output {
        self.scan(symbols, more).arg("--once").output().expect("the program runs")
    }

    /// A scan of everything that must succeed.
    pub fn scan_well(&self) {
        let output = self.once("", &[]);
        assert!(output.status.success(), "{output:?}");
    }

    /// A scanner that goes on.
    pub fn start(&self, symbols: &str, more: &[&str]) -> Running {
        let name = (0..).map(|at| self.path(&format!("notify-{at}"))).find(|name| !name.exists());
        let name = name.expect("a free name");
        let socket = UnixDatagram::bind(&name).expect("a socket");
        let heard = Arc::new(Mutex::new(String::new()));
        let hearing = heard.clone();
        // Read at once: who speaks to a full socket waits. An empty message ends it.
        let ear = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = socket.recv(&mut buffer) {
                let mut heard = hearing.lock().expect("nobody panicked with it");
                *heard += &String::from_utf8_lossy(&buffer[..length]);
                heard.push('\n');
            }
        });
        let mut command = self.scan(symbols, more);
        command.env("NOTIFY_SOCKET", &name).stdout(Stdio::null()).stderr(Stdio::null());
        Running { child: command.spawn().expect("the scanner starts"), name, heard, ear: Some(ear) }
    }

    pub fn connection(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection =
            Connection::open_with_flags(self.path("market.db"), flags).expect("the database opens");
        connection.busy_timeout(Duration::from_secs(10)).expect("a timeout");
        connection
    }

    /// Rows of a query, each as words with a bar between them.
    pub fn rows(&self, query: &str) -> Vec<String> {
        let connection = self.connection();
        let mut statement = connection.prepare(query).expect("the tables are there");
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let mut line = String::new();
            for at in 0..columns {
                let bar = if at > 0 { "|" } else { "" };
                let _ = match row.get_ref(at)? {
                    rusqlite::types::ValueRef::Null => write!(line, "{bar}"),
                    rusqlite::types::ValueRef::Integer(number) => write!(line, "{bar}{number}"),
                    rusqlite::types::ValueRef::Real(number) => write!(line, "{bar}{number}"),
                    rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => {
                        write!(line, "{bar}{}", String::from_utf8_lossy(text))
                    }
                };
            }
            Ok(line)
        });
        rows.and_then(Iterator::collect).expect("rows")
    }

    /// Symbol and time of fetching of every stored quote.
    pub fn quotes(&self) -> Vec<String> {
        self.rows("SELECT symbol, fetched_at FROM quotes ORDER BY symbol")
    }

    /// Status, wanted, received and message of the last scan.
    pub fn last_scan(&self) -> String {
        self.rows("SELECT status, wanted, received, message FROM scans ORDER BY id DESC LIMIT 1").concat()
    }

    /// The file, which is whole whenever it is looked at.
    pub fn cache(&self) -> Value {
        let bytes = std::fs::read(self.path("stock_cache.json")).expect("the file");
        let cache: Value = serde_json::from_slice(&bytes).expect("the file is whole");
        assert_eq!(
            cache["stocks"].as_array().map(Vec::len),
            cache["count"].as_u64().map(|count| count as usize)
        );
        cache
    }

    /// No stretch of time ever had more requests than the limiter allows, by the times it let them through.
    pub fn assert_limit(&self, interval: f64, burst: usize) {
        let at: Vec<f64> = self
            .rows("SELECT asked_at FROM provider_requests ORDER BY asked_at")
            .iter()
            .map(|at| at.parse().expect("a time"))
            .collect();
        for (first, began) in at.iter().enumerate() {
            for (last, ended) in at.iter().enumerate().skip(first) {
                let most = burst as f64 + (ended - began) / interval + 1e-3;
                assert!(
                    (last - first + 1) as f64 <= most,
                    "{} requests in {} s",
                    last - first + 1,
                    ended - began
                );
            }
        }
        // One that was killed may have been let through and not have asked.
        assert!(at.len() >= self.log().len(), "a request that nobody let through");
    }
}

/// A scanner that goes on; it ends with the story.
pub struct Running {
    pub child: Child,
    name: PathBuf,
    heard: Arc<Mutex<String>>,
    ear: Option<JoinHandle<()>>,
}

impl Running {
    /// Waits until it has said these words since they were waited for last.
    pub fn hear(&mut self, words: &str) {
        let began = Instant::now();
        wait_for(words, || {
            let mut heard = self.heard.lock().expect("nobody panicked with it");
            if let Some(at) = heard.find(words) {
                heard.drain(..at + words.len());
                return Some(());
            }
            assert!(began.elapsed() < Duration::from_secs(50), "no {words:?} in {heard}");
            None
        });
    }

    pub fn kill(mut self) {
        self.child.kill().expect("it is there");
        self.child.wait().expect("it can be waited for");
    }

    /// Asks it to end, and returns how long that took.
    pub fn terminate(mut self) -> Duration {
        let pid = self.child.id().to_string();
        let began = Instant::now();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let status = wait_for("its end", || self.child.try_wait().expect("it can be waited for"));
        assert!(status.success(), "{status:?}");
        began.elapsed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let is_told = UnixDatagram::unbound().and_then(|socket| socket.send_to(&[], &self.name)).is_ok();
        let _ = self.ear.take().filter(|_| is_told).map(JoinHandle::join);
    }
}
