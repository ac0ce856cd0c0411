//! PostgreSQL, for several machines that share one store: writers take turns by an advisory lock of the database, readers
//! see one snapshot. A connection that was lost is made anew before the next transaction.
//! Parameters are sent with the type of the field, so no query needs casts for them.

use std::borrow::Cow;
use std::error::Error;
use std::io::Write;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use postgres::config::{Host, SslMode};
use postgres::error::{Severity, SqlState};
use postgres::types::{FromSql, ToSql, Type};
use postgres::{Client, Config, NoTls};

use super::{Engine, Field, Fill, Row, Tables, Value};

/// A cycle takes milliseconds; who waits this long waits for something that hangs.
const BUSY: Duration = Duration::from_secs(10);
/// `market` in ASCII: the key of the lock that every writer takes.
const LOCK: i64 = 0x6d61_726b_6574;
/// A writer that sleeps or whose machine is gone loses its transaction, and with it the lock.
const SESSION: &str = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'; \
                       SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// A server, and the connection to it while there is one.
pub struct Postgres {
    config: Config,
    shown: String,
    client: Option<Client>,
}

/// Connects to the server that the URL names. A password that is not in it is taken from `PGPASSWORD`.
pub fn open(url: &str) -> Result<Postgres> {
    let (kind, shown) = (url.split("://").next().unwrap_or_default(), shown(url));
    if !is_ours(kind) {
        bail!("no database of the kind `{kind}` is known; give a path, or postgres://…, by --database");
    }
    let parsed = url.parse::<Config>();
    let mut config = parsed.map_err(|e| anyhow!("cannot read the URL of --database: {}", told(&e)))?;
    if config.get_ssl_mode() == SslMode::Require {
        bail!(
            "{shown} is asked for with sslmode=require, but TLS to a database is not built in: reach it through a \
             tunnel (ssh -L, stunnel, WireGuard), and leave sslmode away"
        );
    }
    if let (None, Ok(password)) = (config.get_password(), std::env::var("PGPASSWORD")) {
        config.password(password);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(BUSY);
    }
    config.application_name("market").keepalives_idle(BUSY).tcp_user_timeout(3 * BUSY);
    let mut server = Postgres { config, shown, client: None };
    server.client = Some(server.connect()?);
    Ok(server)
}

/// The URL without user, password and options.
pub fn shown(url: &str) -> String {
    let kind = url.split("://").next().unwrap_or_default();
    let Ok(config) = url.parse::<Config>() else { return format!("{kind}://…") };
    // One port may be meant for all hosts.
    let ports = config.get_ports().iter().chain(config.get_ports().last().into_iter().cycle());
    let places = config.get_hosts().iter().zip(ports).map(|(host, port)| match host {
        Host::Tcp(name) => format!("{name}:{port}"),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let places = places.collect::<Vec<_>>().join(",");
    format!("{kind}://{places}/{}", config.get_dbname().unwrap_or_default())
}

fn is_ours(kind: &str) -> bool {
    matches!(kind, "postgres" | "postgresql")
}

impl Postgres {
    fn connect(&self) -> Result<Client> {
        let connected = self.config.connect(NoTls).and_then(|mut client| {
            client.batch_execute(SESSION)?;
            Ok(client)
        });
        connected.map_err(|e| {
            let hint = "check that it runs, and host, name, user and password in --database";
            anyhow!("cannot reach the database {}: {}; {hint}", self.shown, told(&e))
        })
    }

    /// Runs statements on the connection, or on a new one if that does not take them, and hands it out.
    fn begin(&mut self, statements: &str) -> Result<(Client, Result<(), postgres::Error>)> {
        if let Some(mut client) = self.client.take() {
            let begun = client.batch_execute(statements);
            if begun.as_ref().err().is_none_or(is_waited_for) {
                return Ok((client, begun));
            }
        }
        let mut client = self.connect()?;
        let begun = client.batch_execute(statements);
        Ok((client, begun))
    }

    /// The connection is put back only after a clean end: without one, and after a panic, it is closed, and the server
    /// takes the transaction back.
    fn transact(&mut self, begin: &str, act: &mut dyn FnMut(&mut dyn Tables) -> Result<()>) -> Result<()> {
        let (mut client, begun) = self.begin(begin)?;
        let mut within = Within { client: &mut client, has_failed: false };
        let done = match begun {
            Err(e) if is_waited_for(&e) => Err(anyhow!(
                "the database {} could not be locked for writing within {} s: another writer holds it; try again \
                 when it is done",
                self.shown,
                BUSY.as_secs()
            )),
            Err(e) => Err(anyhow!("the database {} takes no transaction: {}", self.shown, told(&e))),
            Ok(()) => act(&mut within),
        };
        // The server would answer a COMMIT by a silent ROLLBACK.
        let done = match done {
            Ok(()) if within.has_failed => Err(anyhow!("a statement failed, so nothing was changed")),
            done => done,
        };
        let ended = client.batch_execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" });
        match (done, ended) {
            (done, Ok(())) => {
                self.client = Some(client);
                done
            }
            (Ok(()), Err(e))
                if e.as_db_error().is_some_and(|e| e.parsed_severity() == Some(Severity::Error)) =>
            {
                bail!(
                    "the database {} did not take the change: {}; look for space on its disk",
                    self.shown,
                    told(&e)
                )
            }
            (Ok(()), Err(e)) => bail!(
                "the connection to {} broke while it took the change ({}); whether it did is seen by the next run",
                self.shown,
                told(&e)
            ),
            (Err(e), Err(_)) => Err(e.context(format!(
                "the connection to {} was lost and nothing was changed; the next use connects anew",
                self.shown
            ))),
        }
    }
}

/// A connection is closed by a runtime of its own, which must not happen on a thread that runs another.
impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = std::thread::spawn(move || drop(client)).join();
        }
    }
}

impl Engine for Postgres {
    fn version(&mut self) -> Result<i64> {
        let (mut client, _) = self.begin("")?;
        let version = match client.query_typed("SELECT version FROM schema_version", &[]) {
            Ok(rows) => rows.first().map_or(Ok(0), |row| row.try_get(0)),
            Err(e) if e.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(0),
            Err(e) => Err(e),
        };
        self.client = Some(client);
        version.map_err(|e| anyhow!("cannot read the database {}: {}", self.shown, told(&e)))
    }

    fn write(&mut self, act: &mut dyn FnMut(&mut dyn Tables) -> Result<()>) -> Result<()> {
        // Not REPEATABLE READ: its snapshot would be of before the lock.
        let begin =
            format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({LOCK})");
        self.transact(&begin, act)
    }

    fn read(&mut self, act: &mut dyn FnMut(&mut dyn Tables) -> Result<()>) -> Result<()> {
        self.transact("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", act)
    }
}

/// The connection while a transaction is open on it.
struct Within<'a> {
    client: &'a mut Client,
    has_failed: bool,
}

impl Within<'_> {
    fn run<T>(
        &mut self,
        fields: &[Field<'_>],
        act: impl FnOnce(&mut Client, &[(&(dyn ToSql + Sync), Type)]) -> Result<T, postgres::Error>,
    ) -> Result<T> {
        let texts: Vec<_> = fields.iter().map(|field| clean(field)).collect();
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = fields
            .iter()
            .zip(&texts)
            .map(|(field, text)| -> (&(dyn ToSql + Sync), Type) {
                match field {
                    // The server finds out what it is none of.
                    Field::Null => (&None::<&str>, Type::UNKNOWN),
                    Field::Int(number) => (number, Type::INT8),
                    Field::Real(number) => (number, Type::FLOAT8),
                    Field::Text(_) => (text, Type::TEXT),
                }
            })
            .collect();
        let done = act(self.client, &typed);
        self.has_failed |= done.is_err();
        done.map_err(|e| anyhow!(told(&e)))
    }
}

impl Tables for Within<'_> {
    fn execute(&mut self, statement: &str, fields: &[Field<'_>]) -> Result<u64> {
        self.run(fields, |client, fields| client.execute_typed(statement, fields))
    }

    fn batch(&mut self, statements: &str) -> Result<()> {
        self.run(&[], |client, _| client.batch_execute(statements))
    }

    fn rows(&mut self, query: &str, fields: &[Field<'_>]) -> Result<Vec<Row>> {
        self.run(fields, |client, fields| {
            let rows = client.query_typed(query, fields)?;
            rows.iter()
                .map(|row| (0..row.len()).map(|at| row.try_get(at)).collect::<Result<_, _>>().map(Row))
                .collect()
        })
    }

    fn insert(&mut self, table: &str, columns: &[&str], fill: Fill<'_>) -> Result<()> {
        let copy = format!("COPY {table} ({}) FROM STDIN", columns.join(", "));
        let mut fill_error = None;
        self.run(&[], |client, _| {
            let mut sink = client.copy_in(&copy)?;
            let mut line = Vec::new();
            let filled = fill(&mut |fields| {
                line.clear();
                for field in fields {
                    append(&mut line, field)?;
                }
                line.pop();
                line.push(b'\n');
                Ok(sink.write_all(&line)?)
            });
            match filled {
                Ok(()) => sink.finish().map(|_| ()),
                // A sink that is dropped takes everything back.
                Err(e) => {
                    fill_error = Some(e);
                    Ok(())
                }
            }
        })?;
        match fill_error {
            Some(e) => {
                self.has_failed = true;
                Err(e)
            }
            None => Ok(()),
        }
    }

    /// Texts are ordered by their bytes, as SQLite does, whatever the language of the database.
    fn declared(&self, tables: &str) -> String {
        let id = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY";
        tables.replace("VARCHAR", "VARCHAR COLLATE \"C\"").replace("{id}", id)
    }

    fn version(&mut self) -> Result<i64> {
        self.batch("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT)")?;
        self.row("SELECT version FROM schema_version", &[])?.map_or(Ok(0), |row| row.int(0))
    }

    fn set_version(&mut self, version: i64) -> Result<()> {
        self.batch("DELETE FROM schema_version")?;
        self.execute("INSERT INTO schema_version VALUES ($1)", &[version.into()]).map(|_| ())
    }
}

/// The text of a field; the server takes no NUL in one.
fn clean<'a>(field: &Field<'a>) -> Cow<'a, str> {
    match field {
        Field::Text(text) if text.contains('\0') => Cow::Owned(text.replace('\0', "\u{fffd}")),
        Field::Text(text) => Cow::Borrowed(text),
        Field::Null | Field::Int(_) | Field::Real(_) => Cow::Borrowed(""),
    }
}

/// Writes a field and a tab as COPY reads them (PostgreSQL, COPY, "Text Format").
fn append(line: &mut Vec<u8>, field: &Field<'_>) -> std::io::Result<()> {
    match field {
        Field::Null => line.extend(b"\\N"),
        Field::Int(number) => write!(line, "{number}")?,
        Field::Real(number) => write!(line, "{number:e}")?,
        Field::Text(_) => {
            for byte in clean(field).bytes() {
                match byte {
                    b'\\' => line.extend(b"\\\\"),
                    b'\t' => line.extend(b"\\t"),
                    b'\n' => line.extend(b"\\n"),
                    b'\r' => line.extend(b"\\r"),
                    _ => line.push(byte),
                }
            }
        }
    }
    line.push(b'\t');
    Ok(())
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *kind {
            Type::BOOL => Self::Int(bool::from_sql(kind, raw)?.into()),
            Type::INT4 => Self::Int(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Int(i64::from_sql(kind, raw)?),
            Type::FLOAT8 => Self::Real(f64::from_sql(kind, raw)?),
            _ => Self::Text(String::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::BOOL | Type::INT4 | Type::INT8 | Type::FLOAT8)
            || <String as FromSql>::accepts(kind)
    }
}

/// Whether a lock was not free in time.
fn is_waited_for(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// An error in one line. Neither server nor crate puts the password into one.
fn told(error: &postgres::Error) -> String {
    let text = match (error.as_db_error(), error.source()) {
        (Some(told), _) => match (told.detail(), told.hint()) {
            (None, None) => told.message().to_owned(),
            (detail, hint) => {
                let more = detail.or(hint).unwrap_or_default();
                format!("{} ({more})", told.message())
            }
        },
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    };
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_url_has_no_password() {
        for (url, seen) in [
            ("postgres://me:pa55@db.example:5433/market?password=pa55", "postgres://db.example:5433/market"),
            ("postgres://me:p%40@[::1]/market", "postgres://::1:5432/market"),
            ("postgresql://me@%2Frun%2Fpostgresql/market", "postgresql:///run/postgresql/market"),
            ("postgres://me:pa55@one:1,two:2/market", "postgres://one:1,two:2/market"),
            ("postgres://me:pa55@host:port/market", "postgres://…"),
            ("mysql://me:pa55@host/market", "mysql://…"),
        ] {
            assert_eq!(shown(url), seen);
        }
    }

    #[test]
    fn a_copied_line_is_read_as_it_was() {
        let mut line = Vec::new();
        let text = "a\\b\tc\nd\re\0f";
        for field in [Field::Null, Field::Int(-7), Field::Real(0.1), Field::Real(1e300), Field::Text(text)] {
            append(&mut line, &field).expect("memory takes it");
        }
        let right = "\\N\t-7\t1e-1\t1e300\ta\\\\b\\tc\\nd\\re\u{fffd}f\t";
        assert_eq!(String::from_utf8_lossy(&line), right);
    }
}
