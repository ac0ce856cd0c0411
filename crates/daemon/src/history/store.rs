//! The rows on disk: one SQLite file in WAL mode (sqlite.org/wal.html). It says of each error whether the file is to
//! blame, and moves such a file aside; when something is written is no matter here.

use std::fmt;
use std::fs::{Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params};
use soloist_api::history::Entry;
use soloist_api::status::ExitStatus;

use crate::convert::moment;

/// Rows older than this are deleted, but for the last ones of each service.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Beyond so many rows the oldest are deleted, but for the last ones of each service; beyond twice as many these, too.
pub const KEPT_ROWS: i64 = 100_000;
/// So many rows of a service are kept, whatever their age.
pub const KEPT_LAST: i64 = 20;
/// How long another process may hold the file: nobody but a curious person does.
const BUSY_LIMIT: Duration = Duration::from_secs(1);
/// The file and what SQLite keeps beside it.
const COMPANIONS: [&str; 3] = ["", "-wal", "-shm"];
/// Of this shape, at first; what came later is added.
const SHAPE: &str = "
    CREATE TABLE IF NOT EXISTS entries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        service TEXT NOT NULL,
        what TEXT NOT NULL,
        run_id TEXT,
        cause TEXT,
        exit_code INTEGER,
        exit_signal INTEGER,
        duration_ms INTEGER,
        pid INTEGER,
        peak_kib INTEGER,
        cpu_ms INTEGER,
        log_at INTEGER,
        detail TEXT
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS once ON entries (service, run_id, what)
        WHERE run_id IS NOT NULL AND what IN ('started', 'exited', 'ended', 'guard-lost');
    CREATE INDEX IF NOT EXISTS by_time ON entries (at);
    CREATE INDEX IF NOT EXISTS by_service ON entries (service, at);
    PRAGMA user_version = 1;";
/// What came later. An older soloist does not mind, and says again that this is version 1.
const LATER: [&str; 2] = ["count", "log_seq"];
/// A run starts, exits, ends and loses its guard once: whoever tells it again adds nothing.
const INSERT: &str = "
    INSERT OR IGNORE INTO entries
        (at, service, what, run_id, cause, exit_code, exit_signal, duration_ms, pid, peak_kib, cpu_ms, log_at, detail,
         count, log_seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
/// But what was not known the first time is filled in.
const FILL: &str = "
    UPDATE entries SET
        cause = coalesce(cause, ?4),
        duration_ms = coalesce(duration_ms, ?7),
        pid = coalesce(pid, ?8),
        peak_kib = coalesce(peak_kib, ?9),
        cpu_ms = coalesce(cpu_ms, ?10),
        log_at = coalesce(log_at, ?11),
        log_seq = coalesce(log_seq, ?13),
        detail = coalesce(detail, ?12),
        exit_code = coalesce(exit_code, ?5),
        exit_signal = coalesce(exit_signal, ?6)
    WHERE service = ?1 AND what = ?2 AND run_id = ?3";
/// What is too old or too much, and not among the last of its service.
const PRUNE: &str = "
    DELETE FROM entries
    WHERE (at < ?1 OR id <= (SELECT id FROM entries ORDER BY id DESC LIMIT 1 OFFSET ?2))
      AND EXISTS (SELECT 1 FROM entries AS newer
                  WHERE newer.service = entries.service AND (newer.at, newer.id) > (entries.at, entries.id)
                  LIMIT 1 OFFSET ?3)";
/// The columns as `read_row` wants them, without those that came later.
const COLUMNS: &str = "id, at, service, what, run_id, cause, exit_code, exit_signal, duration_ms, pid, peak_kib, \
                       cpu_ms, log_at, detail";

/// The columns as `read_row` wants them, as far as the file has them: one of an older soloist lacks the later ones.
pub fn columns(connection: &Connection) -> rusqlite::Result<String> {
    LATER.iter().try_fold(COLUMNS.to_owned(), |columns, name| {
        let known = if has_column(connection, name)? { name } else { "NULL" };
        Ok(format!("{columns}, {known}"))
    })
}

fn has_column(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM pragma_table_info('entries') WHERE name = ?1";
    connection.query_row(sql, [name], |row| row.get::<_, i64>(0)).map(|found| found > 0)
}

/// Why something could not be written.
#[derive(Debug)]
pub enum Fault {
    /// The file is none of ours: it is to be moved aside.
    Broken(String),
    /// The disk is full, not writable, or somebody holds the file: it is to be tried again.
    Passing(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Broken(why) | Fault::Passing(why) => f.write_str(why),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        use rusqlite::Error::{SqlInputError, SqliteFailure};
        match &error {
            // Our statements fit our tables, so these are somebody else's.
            SqlInputError { .. } => Fault::Broken("its tables are not ours".to_owned()),
            SqliteFailure(cause, _) => match cause.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Fault::Broken(error.to_string()),
                ErrorCode::Unknown => Fault::Broken("its tables are not ours".to_owned()),
                _ => Fault::Passing(error.to_string()),
            },
            _ => Fault::Passing(error.to_string()),
        }
    }
}

/// The open file.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// Device and inode: whoever removes the file gets a new one.
    opened: (u64, u64),
}

impl Store {
    /// Opens the file or makes it (0600), brings it into shape and prunes it.
    pub fn open(path: &Path, now_ms: u64) -> Result<Store, Fault> {
        let found = make(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_LIMIT)?;
        // NORMAL loses nothing when we are killed, only the last lines when the machine is.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
        connection.pragma_update(None, "cache_size", -256)?;
        connection.execute_batch(SHAPE)?;
        for name in LATER {
            if !has_column(&connection, name)? {
                connection.execute_batch(&format!("ALTER TABLE entries ADD COLUMN {name} INTEGER"))?;
            }
        }
        connection.prepare_cached(INSERT)?;
        connection.prepare_cached(FILL)?;
        let store = Store { connection, path: path.to_owned(), opened: (found.dev(), found.ino()) };
        store.prune(now_ms)?;
        Ok(store)
    }

    /// Whether the path still leads to the open file.
    pub fn is_in_place(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.opened)
    }

    /// Writes rows in one transaction; all or none. Each new one gets its id, one that was there keeps id 0.
    pub fn write(&mut self, rows: &mut [Entry]) -> Result<(), Fault> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(INSERT)?;
            let mut fill = transaction.prepare_cached(FILL)?;
            for row in rows.iter_mut() {
                // A transaction that failed may have given it one.
                row.id = 0;
                let exit = row.exit.unwrap_or(ExitStatus { code: None, signal: None });
                let (duration, peak) = (row.duration_ms.map(whole), row.peak_kib.map(whole));
                let (cpu, log_at) = (row.cpu_ms.map(whole), row.log_at.map(whole));
                let (count, log_seq) = (row.count.map(whole), row.log_seq.map(whole));
                let is_new = insert.execute(params![
                    row.at.as_millisecond(),
                    row.service,
                    row.what,
                    row.run_id,
                    row.cause,
                    exit.code,
                    exit.signal,
                    duration,
                    row.pid,
                    peak,
                    cpu,
                    log_at,
                    row.detail,
                    count,
                    log_seq,
                ])? == 1;
                if is_new {
                    row.id = transaction.last_insert_rowid();
                } else {
                    fill.execute(params![
                        row.service,
                        row.what,
                        row.run_id,
                        row.cause,
                        exit.code,
                        exit.signal,
                        duration,
                        row.pid,
                        peak,
                        cpu,
                        log_at,
                        row.detail,
                        log_seq,
                    ])?;
                }
            }
        }
        Ok(transaction.commit()?)
    }

    /// Deletes what is older than 30 days, and the oldest beyond 100,000 rows; but not the last 20 of any service, so that a
    /// job of each second does not make forgotten who stopped a server, and why.
    pub fn prune(&self, now_ms: u64) -> Result<(), Fault> {
        self.prune_to(now_ms, KEPT_ROWS)
    }

    /// The same with so many rows.
    pub(super) fn prune_to(&self, now_ms: u64, rows: i64) -> Result<(), Fault> {
        let oldest = whole(now_ms.saturating_sub(KEPT_FOR.as_millis() as u64));
        self.connection.prepare_cached(PRUNE)?.execute([oldest, rows, KEPT_LAST - 1])?;
        // There may be ever new names.
        let most =
            "DELETE FROM entries WHERE id <= (SELECT id FROM entries ORDER BY id DESC LIMIT 1 OFFSET ?1)";
        self.connection.prepare_cached(most)?.execute([2 * rows])?;
        Ok(())
    }
}

/// SQLite's integers are signed.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// SQLite writes into whatever has one of its names, even to read, and also where a hard link gives it another name.
pub fn refuse_links(path: &Path) -> Result<(), String> {
    let all = COMPANIONS.map(|companion| beside(path, companion));
    let is_planted = |path: &&PathBuf| {
        std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() || found.nlink() > 1)
    };
    all.iter().find(is_planted).map_or(Ok(()), |path| {
        Err(format!("{} is no plain file, or has another name (a link)", path.display()))
    })
}

/// Makes the file for its user alone; SQLite gives its companions the same mode. Whatever else lies there is in the way.
fn make(path: &Path) -> Result<Metadata, Fault> {
    let passing = |e: std::io::Error| Fault::Passing(e.to_string());
    refuse_links(path).map_err(Fault::Broken)?;
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(found),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            options.open(path).and_then(|file| file.metadata()).map_err(passing)
        }
        Err(e) => Err(passing(e)),
    }
}

/// Moves a file that is none of ours aside, with what SQLite keeps beside it: an old log beside a new file would be
/// taken for its own. Returns the new path.
pub fn move_aside(path: &Path, now_ms: u64) -> std::io::Result<PathBuf> {
    let aside = beside(path, &format!(".corrupt-{now_ms}"));
    for companion in COMPANIONS {
        match std::fs::rename(beside(path, companion), beside(&aside, companion)) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(aside)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A row of `columns` as it is told.
pub fn read_row(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let count = |column: usize| {
        row.get::<_, Option<i64>>(column).map(|number| number.and_then(|n| u64::try_from(n).ok()))
    };
    let (code, signal): (Option<i32>, Option<i32>) = (row.get(6)?, row.get(7)?);
    let at = u64::try_from(row.get::<_, i64>(1)?).ok().and_then(moment).unwrap_or_default();
    Ok(Entry {
        id: row.get(0)?,
        at,
        service: row.get(2)?,
        what: row.get(3)?,
        run_id: row.get(4)?,
        cause: row.get(5)?,
        exit: (code.is_some() || signal.is_some()).then_some(ExitStatus { code, signal }),
        duration_ms: count(8)?,
        pid: row.get(9)?,
        peak_kib: count(10)?,
        cpu_ms: count(11)?,
        log_at: count(12)?,
        log_seq: count(15)?,
        count: count(14)?,
        detail: row.get(13)?,
    })
}
