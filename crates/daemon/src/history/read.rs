//! Reads the history: a read-only connection of its own for each question, so that no reader is in the driver's way
//! and no daemon is needed.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, named_params};
use soloist_api::error::{Code, Problem};
use soloist_api::history::{Entry, History, HistoryQuery};

use super::store::{KEPT_ROWS, columns, read_row, refuse_links};

/// Lines that are told if nobody says how many.
pub const LINES: u32 = 100;
/// How long the writer may keep us waiting.
const BUSY_LIMIT: Duration = Duration::from_secs(1);

/// The lines that a query asks for, oldest first. A project without a history has none.
///
/// # Errors
/// If the file cannot be read as a history.
pub fn read(path: &Path, query: &HistoryQuery) -> Result<History, Problem> {
    Ok(History { entries: found(path, |connection| rows(connection, query))? })
}

/// What is found in the history at a path; nothing where there is none.
pub(super) fn found<T>(
    path: &Path,
    look: impl FnOnce(&Connection) -> rusqlite::Result<Vec<T>>,
) -> Result<Vec<T>, Problem> {
    if std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
        return Ok(Vec::new());
    }
    let cannot = |why: &dyn std::fmt::Display| {
        let said = format!("the history {} cannot be read: {why}", path.display());
        Problem::new(Code::Error, said)
            .hint("a daemon moves a corrupt one aside and begins a new one: `soloist up` starts one")
    };
    refuse_links(path).map_err(|why| cannot(&why))?;
    match open(path).and_then(|connection| look(&connection)) {
        Ok(found) => Ok(found),
        // The file was made and not filled yet.
        Err(e) if e.to_string().contains("no such table") => Ok(Vec::new()),
        Err(e) => Err(cannot(&e)),
    }
}

/// When runs were last begun, given as ticks, or left out; of a history that cannot be read nothing is known.
#[derive(Debug)]
pub struct Turns(Option<Connection>);

impl Turns {
    /// Opens the history at a path once for many questions.
    pub fn open(path: &Path) -> Turns {
        Turns(refuse_links(path).ok().and_then(|()| open(path).ok()))
    }

    /// The last one of an instance, in milliseconds since 1970 UTC, if it was not before `since_ms`.
    pub fn last(&self, name: &str, since_ms: u64) -> Option<u64> {
        self.ask("what IN ('started', 'skipped', 'ticked')", name, since_ms)
    }

    /// The same without those that were left out.
    pub fn last_begun(&self, name: &str, since_ms: u64) -> Option<u64> {
        self.ask("what IN ('started', 'ticked')", name, since_ms)
    }

    fn ask(&self, what: &str, name: &str, since_ms: u64) -> Option<u64> {
        let last = format!(
            "SELECT at FROM entries WHERE service = ?1 AND at >= ?2 AND {what} ORDER BY at DESC LIMIT 1"
        );
        let mut last = self.0.as_ref()?.prepare_cached(&last).ok()?;
        let at: i64 = last.query_row((name, i64::try_from(since_ms).ok()?), |row| row.get(0)).ok()?;
        u64::try_from(at).ok()
    }
}

/// Of an instance, or of all instances and lanes of a service.
pub(super) const OF_SERVICE: &str = "(:service IS NULL OR service = :service
    OR substr(service, 1, length(:service) + 1) IN (:service || '@', :service || '~'))";

fn rows(connection: &Connection, query: &HistoryQuery) -> rusqlite::Result<Vec<Entry>> {
    let columns = columns(connection)?;
    let mut found = connection.prepare(&format!(
        "SELECT {columns} FROM entries
         WHERE {OF_SERVICE}
           AND at >= :since AND id > :after
         ORDER BY at DESC, id DESC LIMIT :limit"
    ))?;
    let rows = found.query_map(
        named_params! {
            ":service": query.service,
            ":since": query.since.map_or(i64::MIN, |since| since.as_millisecond()),
            ":after": query.after.unwrap_or(0),
            ":limit": i64::from(query.limit.unwrap_or(LINES)).min(KEPT_ROWS),
        },
        read_row,
    )?;
    let mut entries = rows.collect::<rusqlite::Result<Vec<Entry>>>()?;
    entries.reverse();
    Ok(entries)
}

/// A file in WAL mode wants a companion that even a reader makes; where none can be made nobody writes either, and the
/// file is read as it is (sqlite.org/wal.html, "Read-Only Databases").
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())) {
        Err(e) if matches!(e.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) => {
            let uri = format!("file:{}?immutable=1", escaped(path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        }
        Err(e) => Err(e),
        Ok(()) => Ok(connection),
    }
}

/// A path in a URI (RFC 3986, 2.3).
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(byte);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.map(|b| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
}
