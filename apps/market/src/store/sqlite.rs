//! SQLite in a file, with a write-ahead log: one writer, and readers that it never holds up.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, TransactionBehavior, params_from_iter};

use super::{Engine, Field, Fill, Row, Tables, Value};

/// A cycle takes milliseconds; who waits this long waits for something that hangs.
const BUSY: Duration = Duration::from_secs(10);
const PAGE: i64 = 16_384;

/// An open file.
pub struct Sqlite {
    connection: Connection,
    place: String,
}

/// Opens the file to write; makes it if need be.
pub fn open(path: &Path) -> Result<Sqlite> {
    opened(path, || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -1024;")?;
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode != "wal" {
            // A snapshot is written whole, so fewer, larger pages save system calls. Only a new file takes it.
            connection.pragma_update(None, "page_size", PAGE)?;
            switch_to_wal(&connection)?;
        }
        Ok(connection)
    })
}

/// Opens the file to read; none without one.
pub fn look(path: &Path) -> Result<Option<Sqlite>> {
    if !path.try_exists().with_context(|| format!("cannot look at the database {}", path.display()))? {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = opened(path, || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("PRAGMA cache_size = -512;")?;
        Ok(connection)
    });
    sqlite.map(Some)
}

fn opened(path: &Path, open: impl FnOnce() -> rusqlite::Result<Connection>) -> Result<Sqlite> {
    let place = path.display().to_string();
    match open() {
        Ok(connection) => Ok(Sqlite { connection, place }),
        Err(e) => Err(failed("cannot be opened", &place, e.into())),
    }
}

/// SQLite does not wait for a lock when it changes the journal, so two first runs at once need this loop.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut left = 200;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(e) if is_busy(&e) && left > 0 => {
                left -= 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// An error of SQLite gets the file and what to do; any other stays as it is.
fn failed(what: &str, place: &str, error: anyhow::Error) -> anyhow::Error {
    let Some(cause) = error.downcast_ref::<rusqlite::Error>() else { return error };
    let hint = match cause.sqlite_error_code() {
        _ if is_busy(cause) => "another writer holds it: try again when it is done",
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => "look for space on its disk",
        _ => "check the path and its rights, or name another by --database",
    };
    error.context(format!("the database {place} {what}; {hint}"))
}

impl Engine for Sqlite {
    fn version(&mut self) -> Result<i64> {
        Within(&self.connection).version().map_err(|e| failed("cannot be read", &self.place, e))
    }

    fn write(&mut self, act: &mut dyn FnMut(&mut dyn Tables) -> Result<()>) -> Result<()> {
        let mut write = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            act(&mut Within(&transaction))?;
            Ok(transaction.commit()?)
        };
        write().map_err(|e| failed("did not take the change", &self.place, e))
    }

    fn read(&mut self, act: &mut dyn FnMut(&mut dyn Tables) -> Result<()>) -> Result<()> {
        let mut read = || act(&mut Within(&*self.connection.transaction()?));
        read().map_err(|e| failed("cannot be read", &self.place, e))
    }
}

/// The connection while a transaction is open on it.
struct Within<'a>(&'a Connection);

impl Tables for Within<'_> {
    fn execute(&mut self, statement: &str, fields: &[Field<'_>]) -> Result<u64> {
        let changed = self.0.prepare_cached(statement)?.execute(params_from_iter(fields))?;
        Ok(changed as u64)
    }

    fn batch(&mut self, statements: &str) -> Result<()> {
        Ok(self.0.execute_batch(statements)?)
    }

    fn rows(&mut self, query: &str, fields: &[Field<'_>]) -> Result<Vec<Row>> {
        let mut query = self.0.prepare_cached(query)?;
        let columns = query.column_count();
        let rows = query.query_map(params_from_iter(fields), |row| {
            (0..columns).map(|at| Ok(value(row.get_ref(at)?))).collect::<rusqlite::Result<_>>().map(Row)
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn declared(&self, tables: &str) -> String {
        tables.replace("{id}", "INTEGER PRIMARY KEY")
    }

    fn version(&mut self) -> Result<i64> {
        Ok(self.0.pragma_query_value(None, "user_version", |row| row.get(0))?)
    }

    fn set_version(&mut self, version: i64) -> Result<()> {
        Ok(self.0.pragma_update(None, "user_version", version)?)
    }

    fn insert(&mut self, table: &str, columns: &[&str], fill: Fill<'_>) -> Result<()> {
        let places = vec!["?"; columns.len()].join(", ");
        let mut statement = self
            .0
            .prepare_cached(&format!("INSERT INTO {table} ({}) VALUES ({places})", columns.join(", ")))?;
        // Most texts are those of the row before, and what is bound stays bound.
        let mut bound = vec![None::<String>; columns.len()];
        fill(&mut |fields| {
            for ((at, field), bound) in (1..).zip(fields).zip(&mut bound) {
                let text = if let Field::Text(text) = field { Some(*text) } else { None };
                if text.is_none() || text != bound.as_deref() {
                    statement.raw_bind_parameter(at, field)?;
                    match text {
                        Some(text) => text.clone_into(bound.get_or_insert_default()),
                        None => *bound = None,
                    }
                }
            }
            statement.raw_execute()?;
            Ok(())
        })
    }
}

impl ToSql for Field<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Field::Null => ValueRef::Null,
            Field::Int(number) => ValueRef::Integer(*number),
            Field::Real(number) => ValueRef::Real(*number),
            Field::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn value(stored: ValueRef<'_>) -> Value {
    match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            Value::Text(String::from_utf8_lossy(text).into_owned())
        }
    }
}
