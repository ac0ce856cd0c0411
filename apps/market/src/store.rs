//! Where rows are kept: SQLite in a file, or PostgreSQL when several machines share them. Queries are written once, for
//! both; what differs is in `store/sqlite` and `store/postgres`. What the tables are is in `store/schema`.
//! A writer holds the write lock from its first statement on; readers see one snapshot and are never held up.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};

mod postgres;
mod schema;
mod sqlite;

/// Which database: a file, or a server by its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of SQLite.
    File(PathBuf),
    /// `postgres://user@host:port/name`
    Server(String),
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty; give a path, or postgres://…".to_owned()),
            // Not refused here, whatever its kind: the command line would show it with its password.
            url if url.contains("://") => Ok(Self::Server(url.to_owned())),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// Without a password, as it may be shown.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(url) => f.write_str(&postgres::shown(url)),
        }
    }
}

/// A field of a row, on its way in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Field<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(&'a str),
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Field<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Field<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Field<'_> {
    fn from(number: f64) -> Self {
        // SQLite has no such number; neither shall PostgreSQL.
        if number.is_nan() { Self::Null } else { Self::Real(number) }
    }
}

impl<'a, T: Into<Field<'a>>> From<Option<T>> for Field<'a> {
    fn from(field: Option<T>) -> Self {
        field.map_or(Self::Null, Into::into)
    }
}

/// A field of a row that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
}

/// The fields of a row, in the order of the query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// The next field is a text, `""` if there is none; takes it out of the row.
    pub fn text(&mut self, at: usize) -> Result<String> {
        Ok(self.maybe_text(at)?.unwrap_or_default())
    }

    /// A text, if there is one; takes it out of the row.
    pub fn maybe_text(&mut self, at: usize) -> Result<Option<String>> {
        match self.0.get_mut(at).map(|field| std::mem::replace(field, Value::Null)) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            other => Err(odd(at, "a text", &other)),
        }
    }

    /// A whole number.
    pub fn int(&self, at: usize) -> Result<i64> {
        self.maybe_int(at)?.ok_or_else(|| odd(at, "a number", &None))
    }

    /// A whole number, if there is one.
    pub fn maybe_int(&self, at: usize) -> Result<Option<i64>> {
        match self.0.get(at) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            other => Err(odd(at, "a whole number", &other.cloned())),
        }
    }

    /// A number, if there is one.
    pub fn maybe_real(&self, at: usize) -> Result<Option<f64>> {
        match self.0.get(at) {
            Some(Value::Real(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            other => Err(odd(at, "a number", &other.cloned())),
        }
    }
}

fn odd(at: usize, wanted: &str, found: &Option<Value>) -> anyhow::Error {
    anyhow!("field {at} of a stored row is not {wanted} but {found:?}: is the database another program's?")
}

/// The tables within one transaction. Parameters are `$1`, `$2`, …, each first named in this order, which both engines
/// understand.
pub trait Tables {
    /// Runs a statement; returns how many rows it changed.
    fn execute(&mut self, statement: &str, fields: &[Field<'_>]) -> Result<u64>;

    /// Runs several statements without parameters.
    fn batch(&mut self, statements: &str) -> Result<()>;

    /// The rows of a query.
    fn rows(&mut self, query: &str, fields: &[Field<'_>]) -> Result<Vec<Row>>;

    /// Adds many rows to a table: `fill` is given a function that takes one row after another.
    fn insert(&mut self, table: &str, columns: &[&str], fill: Fill<'_>) -> Result<()>;

    /// Declarations of tables in the engine's words; `{id}` is a number that the engine counts up itself.
    fn declared(&self, tables: &str) -> String;

    /// The version of the tables, 0 without any.
    fn version(&mut self) -> Result<i64>;

    /// Changes it.
    fn set_version(&mut self, version: i64) -> Result<()>;

    /// The first row of a query, if there is one.
    fn row(&mut self, query: &str, fields: &[Field<'_>]) -> Result<Option<Row>> {
        Ok(self.rows(query, fields)?.into_iter().next())
    }
}

/// Gives rows one by one to the function it is given.
pub type Fill<'a> = &'a mut dyn FnMut(&mut Take<'_>) -> Result<()>;

/// Takes one row.
pub type Take<'a> = dyn FnMut(&[Field<'_>]) -> Result<()> + 'a;

/// Who writes, and by which right: the token grows with each run, so a writer that was put aside and wakes up late is
/// refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// `processor`, `scanner`, `uploads`.
    pub name: &'static str,
    /// The number that its supervisor gave this run (`SOLOIST_TOKEN`), if one did.
    pub token: Option<i64>,
}

impl Writer {
    /// The writer of this name, with the token of the environment.
    ///
    /// # Errors
    /// The token is there and is no number.
    pub fn of_this_run(name: &'static str) -> Result<Self> {
        let token = match std::env::var("SOLOIST_TOKEN") {
            Ok(text) => match text.parse() {
                Ok(token) => Some(token),
                Err(_) => bail!(
                    "SOLOIST_TOKEN is {text:?}, which is no number; unset it to run without a supervisor"
                ),
            },
            Err(_) => None,
        };
        Ok(Self { name, token })
    }
}

/// The open database.
pub struct Store {
    engine: Box<dyn Engine>,
}

/// One kind of database.
trait Engine: Send {
    /// The version of the tables that are there, 0 without any.
    fn version(&mut self) -> Result<i64>;

    /// Runs `act` in one transaction that holds the write lock, and commits it if it went well.
    fn write(&mut self, act: &mut dyn FnMut(&mut dyn Tables) -> Result<()>) -> Result<()>;

    /// Runs `act` on one snapshot.
    fn read(&mut self, act: &mut dyn FnMut(&mut dyn Tables) -> Result<()>) -> Result<()>;
}

impl Store {
    /// Opens the database to write, and makes its tables if need be.
    pub fn open(location: &Location) -> Result<Self> {
        let mut engine: Box<dyn Engine> = match location {
            Location::File(path) => Box::new(sqlite::open(path)?),
            Location::Server(url) => Box::new(postgres::open(url)?),
        };
        schema::make(engine.as_mut())?;
        Ok(Self { engine })
    }

    /// Opens the database to read; none if nobody has written to it yet. Makes nothing.
    pub fn look(location: &Location) -> Result<Option<Self>> {
        let engine: Option<Box<dyn Engine>> = match location {
            Location::File(path) => sqlite::look(path)?.map(|engine| Box::new(engine) as _),
            Location::Server(url) => Some(Box::new(postgres::open(url)?)),
        };
        let Some(mut engine) = engine else { return Ok(None) };
        Ok(schema::is_made(engine.as_mut())?.then_some(Self { engine }))
    }

    /// Runs `act` in one transaction, alone among all writers, and makes all of it visible at once if it went well.
    ///
    /// # Errors
    /// A writer with a greater token was here; what `act` says; the database does not take it. Then nothing has changed.
    pub fn write<T>(&mut self, writer: &Writer, act: impl FnOnce(&mut dyn Tables) -> Result<T>) -> Result<T> {
        once(act, |act| {
            self.engine.write(&mut |tables| {
                schema::fence(tables, writer)?;
                act(tables)
            })
        })
    }

    /// Runs `act` on one snapshot: whatever it asks, it never sees a mixture of two writes.
    pub fn read<T>(&mut self, act: impl FnOnce(&mut dyn Tables) -> Result<T>) -> Result<T> {
        once(act, |act| self.engine.read(act))
    }
}

/// Hands a function with a result through an engine that knows neither.
fn once<T>(
    act: impl FnOnce(&mut dyn Tables) -> Result<T>,
    run: impl FnOnce(&mut dyn FnMut(&mut dyn Tables) -> Result<()>) -> Result<()>,
) -> Result<T> {
    let (mut act, mut done) = (Some(act), None);
    run(&mut |tables| {
        let act = act.take().ok_or_else(|| anyhow!("a transaction was run twice"))?;
        done = Some(act(tables)?);
        Ok(())
    })?;
    done.ok_or_else(|| anyhow!("a transaction was not run"))
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
