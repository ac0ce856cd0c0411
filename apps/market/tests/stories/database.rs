//! The database of a story: a file in its folder, or one of its own on the server that `postgres` starts for the run.
//! Both are looked into past the program, by their own crates.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postgres::{Client, NoTls, SimpleQueryMessage};
use rusqlite::OpenFlags;
use rusqlite::types::Value;

use crate::stage::Fields;

/// Names the server on which the stories of this process have their databases.
pub const SERVER: &str = "MARKET_STORY_SERVER";

pub enum Database {
    File(PathBuf),
    Server { server: String, name: String },
}

impl Database {
    /// An empty one: no table is there, of SQLite not even the file.
    pub fn empty(room: &Path, server: Option<&str>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let Some(server) = server else { return Self::File(room.join("market.db")) };
        let name = format!("story_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        on(server, "postgres").batch_execute(&format!("CREATE DATABASE {name}")).expect("a database");
        Self::Server { server: server.to_owned(), name }
    }

    /// What `--database` takes.
    pub fn location(&self) -> OsString {
        match self {
            Self::File(path) => path.into(),
            Self::Server { server, name } => format!("{server}/{name}").into(),
        }
    }

    /// Runs statements as another program might.
    pub fn change(&self, statements: &str) {
        match self {
            Self::File(path) => rusqlite::Connection::open(path)
                .and_then(|connection| connection.execute_batch(statements))
                .expect("statements run"),
            Self::Server { server, name } => {
                on(server, name).batch_execute(statements).expect("statements run")
            }
        }
    }

    pub fn connection(&self) -> Connection {
        match self {
            Self::File(path) => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
                let connection = rusqlite::Connection::open_with_flags(path, flags);
                let connection = connection.expect("the database opens");
                connection.busy_timeout(Duration::from_secs(10)).expect("a timeout");
                Connection::File(connection)
            }
            Self::Server { server, name } => Connection::Server(RefCell::new(on(server, name))),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Server { server, name } = self {
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            let dropped = Client::connect(&format!("{server}/postgres"), NoTls)
                .and_then(|mut client| client.batch_execute(&drop));
            // The server goes with all its databases; a story that failed tells its own reason.
            let _ = dropped;
        }
    }
}

fn on(server: &str, name: &str) -> Client {
    Client::connect(&format!("{server}/{name}"), NoTls).expect("the server of the stories answers")
}

pub enum Connection {
    File(rusqlite::Connection),
    Server(RefCell<Client>),
}

impl Connection {
    /// Begins to see one snapshot.
    pub fn hold(&self) {
        match self {
            Self::File(connection) => connection.execute_batch("BEGIN").expect("a transaction"),
            Self::Server(client) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
                client.borrow_mut().batch_execute(begin).expect("a transaction");
            }
        }
    }

    /// The rows of a query, everything as text.
    pub fn rows(&self, query: &str) -> Vec<Fields> {
        match self {
            Self::File(connection) => {
                let mut statement = connection.prepare(query).expect("the tables are there");
                let columns = statement.column_count();
                let text = |value: Value| match value {
                    Value::Text(text) => text,
                    Value::Integer(number) => number.to_string(),
                    other => format!("{other:?}"),
                };
                let rows =
                    statement.query_map([], |row| (0..columns).map(|at| row.get(at).map(text)).collect());
                rows.and_then(Iterator::collect).expect("rows")
            }
            Self::Server(client) => {
                let messages = client.borrow_mut().simple_query(query).expect("the tables are there");
                let rows = messages.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("Null").to_owned()).collect())
                    .collect()
            }
        }
    }
}
