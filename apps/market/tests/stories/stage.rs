//! A folder of its own for each story, and the few things a story does: put workbooks there, run the program,
//! look at what it stored, ask its server.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::database::{Connection, Database, SERVER};

/// The day of the sample workbooks.
pub const TODAY: &str = "2025-11-24";

/// A row as text, column by column.
pub type Fields = Vec<String>;

pub struct Stage {
    base: Database,
    room: TempDir,
}

impl Stage {
    /// An empty folder of workbooks.
    pub fn empty() -> Self {
        Self::on(std::env::var(SERVER).ok().as_deref())
    }

    fn on(server: Option<&str>) -> Self {
        let room = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(room.path().join("live_data")).expect("a folder in it");
        Self { base: Database::empty(room.path(), server), room }
    }

    pub fn with_sample() -> Self {
        Self::with("sample")
    }

    /// The same with a database on a server of PostgreSQL.
    pub fn with_sample_on(server: &str) -> Self {
        Self::on(Some(server)).filled("sample")
    }

    /// The files of a folder of this package.
    pub fn with(folder: &str) -> Self {
        Self::empty().filled(folder)
    }

    fn filled(self, folder: &str) -> Self {
        for name in ["Historical.xlsx", "Live.xlsx", "symbols.txt"] {
            let from = package().join(folder).join(name);
            self.put(name, &std::fs::read(from).expect("a file of the package"));
        }
        self
    }

    pub fn dir(&self) -> PathBuf {
        self.path("live_data")
    }

    /// The file of SQLite; on PostgreSQL there is none.
    pub fn database(&self) -> PathBuf {
        self.path("market.db")
    }

    /// What `--database` takes.
    pub fn location(&self) -> OsString {
        self.base.location()
    }

    /// Puts a file into the folder as a careful producer does: written aside, then renamed.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let aside = self.room.path().join("aside");
        std::fs::write(&aside, bytes).expect("a file written");
        std::fs::rename(aside, self.dir().join(name)).expect("a file renamed");
    }

    pub fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir().join(name)).expect("a file of the folder")
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.dir().join(name)).expect("a file removed");
    }

    /// `market process` on the stage, with more arguments.
    pub fn command(&self, more: &[&str]) -> Command {
        let mut command = market();
        command.arg("process").arg("--dir").arg(self.dir()).arg("--database").arg(self.location()).args(more);
        command
    }

    pub fn process(&self) -> Output {
        self.process_as_of(TODAY)
    }

    pub fn process_as_of(&self, today: &str) -> Output {
        self.command(&["--today", today]).output().expect("the program runs")
    }

    /// A cycle that the kernel ends when it takes more than any workbook may cost: 150 MiB of addresses, so never more
    /// of memory, and 2 s of processor time (ten times that without optimisation).
    pub fn process_bounded(&self) -> Output {
        let seconds = if cfg!(debug_assertions) { 20 } else { 2 };
        let asked = self.command(&["--today", TODAY]);
        let mut command = Command::new("prlimit");
        command.args([format!("--as={}", 150 << 20), format!("--cpu={seconds}")]);
        command.arg("--").arg(asked.get_program()).args(asked.get_args());
        command.output().expect("prlimit, of util-linux, runs")
    }

    /// Runs a cycle that must succeed.
    pub fn process_well(&self) {
        let output = self.process();
        assert!(output.status.success(), "{output:?}");
    }

    /// Changes the database past the program.
    pub fn change(&self, statements: &str) {
        self.base.change(statements);
    }

    pub fn connection(&self) -> Connection {
        self.base.connection()
    }

    /// All rows of both tables from one read transaction.
    pub fn rows(&self) -> (Vec<Fields>, Vec<Fields>) {
        let connection = self.connection();
        connection.hold();
        let historical = "SELECT stock, category, strike, prev_oi, latest_oi, call_oi_difference, \
                          put_oi_difference, ltp, additional_strike FROM historical_data ORDER BY id";
        let live = "SELECT stock, section, label, prev_oi, strike, oi_diff, is_new_strike, add_strike \
                    FROM live_data ORDER BY id";
        (query(&connection, historical), query(&connection, live))
    }

    /// Status and message of all runs, the oldest first.
    pub fn runs(&self) -> Vec<(String, String)> {
        let rows = query(&self.connection(), "SELECT status, message FROM processing_metadata ORDER BY id");
        rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
    }

    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// A server of the stage, with more arguments.
    pub fn serve_with(&self, more: &[&str]) -> Server {
        let mut command = market();
        command
            .args(["serve", "--port", "0", "--dir"])
            .arg(self.dir())
            .arg("--database")
            .arg(self.location());
        command.arg("--favorites").arg(self.path("favorites.txt")).args(more);
        Server::start(command)
    }

    /// A place in the room of the stage.
    pub fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }
}

/// Numbers from a seed, by splitmix64: `MARKET_SEED` says which, for the case that a story names one.
pub struct Random {
    pub seed: u64,
    state: u64,
}

impl Random {
    pub fn new() -> Self {
        let given = std::env::var("MARKET_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| jiff::Timestamp::now().as_nanosecond() as u64);
        Self { seed, state: seed }
    }

    /// One of the numbers below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

pub fn market() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_market"));
    for name in [
        "MARKET_DIR",
        "MARKET_DATABASE",
        "MARKET_SYMBOLS",
        "MARKET_TODAY",
        "MARKET_HOST",
        "PORT",
        "SOLOIST_SOCKET",
        "SOLOIST_TOKEN",
        "SOLOIST_RUN_ID",
        "PGPASSWORD",
    ] {
        command.env_remove(name);
    }
    command
}

pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn query(connection: &Connection, query: &str) -> Vec<Fields> {
    connection.rows(query)
}

/// The right rows of a folder, from its two tables of values separated by commas.
pub fn expected(folder: &str) -> (Vec<Fields>, Vec<Fields>) {
    let table = |kind: &str| {
        let path = package().join("tests").join(folder).join(format!("expected.correct.{kind}.csv"));
        let text = std::fs::read_to_string(path).expect("a table of the package");
        text.lines().skip(1).map(fields).collect()
    };
    (table("hist"), table("live"))
}

fn fields(line: &str) -> Fields {
    let (mut out, mut is_quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => out.push(String::new()),
            _ => out.last_mut().expect("a field is open").push(c),
        }
    }
    out
}

/// A workbook of sheets given as name and the inside of `sheetData`.
pub fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
    workbook_with(sheets, &[])
}

/// The same with further parts.
pub fn workbook_with(sheets: &[(&str, &str)], parts: &[(&str, &[u8])]) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    let (mut list, mut links) = (String::new(), String::new());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut part = |name: &str, content: &[u8]| {
        zip.start_file(name, options).expect("a part begins");
        zip.write_all(content).expect("a part is written");
    };
    for (at, (name, data)) in sheets.iter().enumerate() {
        let id = at + 1;
        list += &format!("<sheet name=\"{name}\" sheetId=\"{id}\" r:id=\"rId{id}\"/>");
        links += &format!(
            "<Relationship Id=\"rId{id}\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet{id}.xml\"/>"
        );
        let sheet = format!("<worksheet xmlns=\"{MAIN}\">{data}</worksheet>");
        part(&format!("xl/worksheets/sheet{id}.xml"), sheet.as_bytes());
    }
    let book = format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{list}</sheets></workbook>");
    part("xl/workbook.xml", book.as_bytes());
    let root = format!(
        "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"rId1\" Type=\"{OFFICE}/officeDocument\" \
         Target=\"xl/workbook.xml\"/></Relationships>"
    );
    part("_rels/.rels", root.as_bytes());
    let links = format!("<Relationships xmlns=\"{PACKAGE}\">{links}</Relationships>");
    part("xl/_rels/workbook.xml.rels", links.as_bytes());
    for (name, content) in parts {
        part(name, content);
    }
    zip.finish().expect("a zip is finished").into_inner()
}

/// `sheetData` from rows of cells; `""` is a blank cell, and a row without cells is left out.
pub fn table(rows: &[&[&str]]) -> String {
    let mut out = String::from("<sheetData>");
    for (row, cells) in (1..).zip(rows) {
        out += &format!("<row r=\"{row}\">");
        for (column, text) in ('A'..='Z').zip(*cells).filter(|(_, text)| !text.is_empty()) {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            out += &match text.parse::<f64>() {
                Ok(_) => format!("<c r=\"{column}{row}\"><v>{text}</v></c>"),
                Err(_) => format!("<c r=\"{column}{row}\" t=\"inlineStr\"><is><t>{text}</t></is></c>"),
            };
        }
        out += "</row>";
    }
    out + "</sheetData>"
}

/// Writes `size` over the uncompressed size of every part in the central directory.
pub fn declare_sizes(zip: &mut [u8], size: u32) {
    for at in 0..zip.len().saturating_sub(28) {
        if zip[at..].starts_with(b"PK\x01\x02") {
            zip[at + 24..at + 28].copy_from_slice(&size.to_le_bytes());
        }
    }
}

/// A running server; it ends with the story.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its stdout"))
            .read_line(&mut line)
            .expect("its first line");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(',').next()).map(str::parse);
        let Some(Ok(address)) = address else { panic!("no address in {line:?}") };
        Self { child, address }
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path)
    }

    pub fn json(&self, path: &str) -> (u16, serde_json::Value) {
        let (status, body) = self.get(path);
        let body = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body:?}"));
        (status, body)
    }

    pub fn ask(&self, method: &str, path: &str) -> (u16, String) {
        self.send(method, path, "Host: localhost\r\n", b"")
    }

    /// Status and body; the headers are lines that end in `\r\n`.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let (head, body) = self.whole(method, path, headers, body);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body)
    }

    /// The head and the body of an answer.
    pub fn whole(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let head = format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("a request");
        // Who is refused before the end is not read to the end.
        let _ = stream.write_all(body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    /// Sends files as a browser's form does: the part's name, the file's name, its bytes.
    pub fn upload(&self, files: &[(&str, &str, &[u8])]) -> (u16, serde_json::Value) {
        let mut body = Vec::new();
        for (part, name, bytes) in files {
            let head = format!("Content-Disposition: form-data; name=\"{part}\"; filename=\"{name}\"");
            write!(body, "--cut\r\n{head}\r\nContent-Type: application/octet-stream\r\n\r\n")
                .expect("memory");
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--cut--\r\n");
        let headers = format!(
            "Host: localhost\r\nContent-Type: multipart/form-data; boundary=cut\r\nContent-Length: {}\r\n",
            body.len()
        );
        let (status, answer) = self.send("POST", "/api/v1/upload/excel-files", &headers, &body);
        (status, serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}")))
    }
}

impl Server {
    /// A refusal: its status and the word that stays.
    pub fn problem(&self, method: &str, path: &str) -> (u16, String) {
        let (status, body) = self.ask(method, path);
        let problem: serde_json::Value =
            serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"));
        assert_eq!(problem["status"], status, "{body}");
        (status, problem["code"].as_str().unwrap_or_else(|| panic!("no code in {body}")).to_owned())
    }

    /// Asks again until the answer is as it should be.
    pub fn wait_for(
        &self,
        path: &str,
        is_right: impl Fn(&(u16, serde_json::Value)) -> bool,
    ) -> serde_json::Value {
        wait_until(&format!("{path} answers as it should"), || {
            let answer = self.json(path);
            if is_right(&answer) { Ok(answer.1) } else { Err(format!("{answer:?}")) }
        })
    }
}

/// Looks again and again until something is so; `Err` is what was seen instead.
#[track_caller]
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = std::time::Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(began.elapsed() < Duration::from_secs(30), "not so in time: {what}: {seen}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
