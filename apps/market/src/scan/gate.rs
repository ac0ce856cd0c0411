//! The one gate to a provider for all processes that share a store: its row in `provider_state` says when a request may
//! go, whether the circuit is open, and which cookie and crumb are good. It outlives every process.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;

use super::limiter::{Admission, Permit, Rules, Standing};
use crate::clock;
use crate::store::{Field, Location, Store, Tables, Writer};

const HOUR: f64 = 3600.0;

/// Cookie and crumb, which the provider wants to see together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// `NAME=value`
    pub cookie: String,
    /// As the provider gave it, not encoded.
    pub crumb: String,
}

/// How to come by a pass.
#[derive(Debug)]
pub enum Way {
    /// Here it is.
    Known(Pass),
    /// Fetch one; nobody else does so until it is kept or given up. There may be a cookie already.
    Fetch(Option<String>),
    /// Another process fetches one.
    Wait,
}

/// The way to a provider.
#[derive(Debug)]
pub struct Gate {
    store: Store,
    writer: Writer,
    host: String,
    rules: Rules,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Entry {
    standing: Standing,
    cookie: Option<String>,
    crumb: Option<String>,
    crumb_leased_until: f64,
}

impl Gate {
    /// The gate to `host` in this database.
    ///
    /// # Errors
    /// The database cannot be opened.
    pub fn open(database: &Location, writer: &Writer, host: &str, rules: Rules) -> Result<Self> {
        Ok(Self { store: Store::open(database)?, writer: writer.clone(), host: host.to_owned(), rules })
    }

    /// May a request go now? It is counted if so.
    ///
    /// # Errors
    /// Like all here: the database does not take it, or a later run of the scanner has written to it.
    pub fn admit(&mut self) -> Result<Admission> {
        let rules = self.rules;
        let host = self.host.clone();
        self.change(|entry, tables, now| {
            let fields: [Field<'_>; 2] = [(&host).into(), (now - HOUR).into()];
            tables.execute("DELETE FROM provider_requests WHERE host = $1 AND asked_at <= $2", &fields)?;
            let query = "SELECT asked_at FROM provider_requests WHERE host = $1 ORDER BY asked_at";
            let rows = tables.rows(query, &[(&host).into()])?;
            let asked: Vec<f64> = rows
                .iter()
                .map(|row| row.maybe_real(0))
                .flat_map(Result::transpose)
                .collect::<Result<_>>()?;
            let admission = entry.standing.admit(&rules, &asked, now);
            if let Admission::Go(_) = admission {
                let statement = "INSERT INTO provider_requests (host, asked_at) VALUES ($1, $2)";
                tables.execute(statement, &[(&host).into(), now.into()])?;
            }
            Ok(admission)
        })
    }

    /// Until when the circuit is open.
    pub fn shut_until(&mut self) -> Result<Option<f64>> {
        let host = self.host.clone();
        self.store.read(|tables| Ok(Entry::read(tables, &host)?.standing.shut_until(epoch())))
    }

    /// The provider asked for quiet, for so many seconds if it said so. Returns until when.
    pub fn refused(&mut self, permit: Permit, retry_after: Option<f64>) -> Result<f64> {
        let rules = self.rules;
        // A hasher is seeded at random, and chance is all that is wanted.
        let chance = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
        self.change(|entry, _, now| Ok(entry.standing.refused(&rules, permit, retry_after, chance, now)))
    }

    /// It answered, well or not.
    pub fn answered(&mut self, permit: Permit) -> Result<()> {
        if !permit.is_probe {
            return Ok(());
        }
        self.change(|entry, _, _| {
            entry.standing.answered(permit);
            Ok(())
        })
    }

    /// It gave what was asked for.
    pub fn served(&mut self, permit: Permit) -> Result<()> {
        if !permit.is_in_doubt {
            return Ok(());
        }
        self.change(|entry, _, now| {
            entry.standing.served(now);
            Ok(())
        })
    }

    /// There was no answer.
    pub fn failed(&mut self, permit: Permit) -> Result<()> {
        if !permit.is_probe {
            return Ok(());
        }
        self.change(|entry, _, now| {
            entry.standing.failed(permit, now);
            Ok(())
        })
    }

    /// The pass, or how to come by one. Who is told to fetch it has so much time before another does.
    pub fn way(&mut self, lease: Duration) -> Result<Way> {
        self.change(|entry, _, now| {
            Ok(match (&entry.cookie, &entry.crumb) {
                (Some(cookie), Some(crumb)) => {
                    Way::Known(Pass { cookie: cookie.clone(), crumb: crumb.clone() })
                }
                // Far ahead it is from before the clock was set back.
                _ if now < entry.crumb_leased_until && entry.crumb_leased_until <= now + HOUR => Way::Wait,
                _ => {
                    entry.crumb_leased_until = now + lease.as_secs_f64();
                    Way::Fetch(entry.cookie.clone())
                }
            })
        })
    }

    /// Keeps what was fetched; without a crumb another may try. What a faster one has fetched meanwhile stays then.
    pub fn keep(&mut self, cookie: Option<String>, crumb: Option<String>) -> Result<()> {
        self.change(|entry, _, _| {
            if crumb.is_some() || entry.crumb.is_none() {
                (entry.cookie, entry.crumb) = (cookie, crumb);
            }
            entry.crumb_leased_until = 0.0;
            Ok(())
        })
    }

    /// The provider does not know this pass any more. If another has fetched one meanwhile, that stays.
    pub fn forget(&mut self, pass: &Pass) -> Result<()> {
        self.change(|entry, _, _| {
            if entry.crumb.as_ref() == Some(&pass.crumb) {
                (entry.cookie, entry.crumb) = (None, None);
            }
            Ok(())
        })
    }

    fn change<T>(&mut self, act: impl FnOnce(&mut Entry, &mut dyn Tables, f64) -> Result<T>) -> Result<T> {
        let host = &self.host;
        self.store.write(&self.writer, |tables| {
            let old = Entry::read(tables, host)?;
            let mut entry = old.clone();
            let done = act(&mut entry, tables, epoch())?;
            if entry != old {
                entry.write(tables, host)?;
            }
            Ok(done)
        })
    }
}

impl Entry {
    fn read(tables: &mut dyn Tables, host: &str) -> Result<Self> {
        let query = "SELECT next_free_at, open_until, backoff_seconds, cookie, crumb, crumb_leased_until \
                     FROM provider_state WHERE host = $1";
        let Some(mut row) = tables.row(query, &[host.into()])? else { return Ok(Self::default()) };
        let [next_free_at, open_until, backoff, crumb_leased_until] =
            [0, 1, 2, 5].map(|at| row.maybe_real(at).map(Option::unwrap_or_default));
        Ok(Self {
            standing: Standing { next_free_at: next_free_at?, open_until: open_until?, backoff: backoff? },
            cookie: row.maybe_text(3)?,
            crumb: row.maybe_text(4)?,
            crumb_leased_until: crumb_leased_until?,
        })
    }

    fn write(&self, tables: &mut dyn Tables, host: &str) -> Result<()> {
        let statement = "INSERT INTO provider_state (host, next_free_at, open_until, backoff_seconds, cookie, crumb, \
                         crumb_leased_until, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (host) \
                         DO UPDATE SET next_free_at = excluded.next_free_at, open_until = excluded.open_until, \
                         backoff_seconds = excluded.backoff_seconds, cookie = excluded.cookie, \
                         crumb = excluded.crumb, crumb_leased_until = excluded.crumb_leased_until, \
                         updated_at = excluded.updated_at";
        let updated_at = clock::utc_now();
        let fields: [Field<'_>; 8] = [
            host.into(),
            self.standing.next_free_at.into(),
            self.standing.open_until.into(),
            self.standing.backoff.into(),
            self.cookie.as_ref().into(),
            self.crumb.as_ref().into(),
            self.crumb_leased_until.into(),
            (&updated_at).into(),
        ];
        tables.execute(statement, &fields).map(|_| ())
    }
}

/// Now, as the limiter counts: all processes share the wall clock, and nothing else.
pub fn epoch() -> f64 {
    Timestamp::now().as_microsecond() as f64 / 1e6
}
