//! The calendar of an exchange as data: its weekly rule in its regimes, its holidays, half days and special sessions, and
//! how far all this is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::civil::{Date, Days, TimeOfDay};
use super::zone::Zone;

/// A time of a day from its opening up to, not including, its close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    /// When it begins.
    pub open: TimeOfDay,
    /// When it is over.
    pub close: TimeOfDay,
}

/// The sessions of a day, in order, of each kind; without any it is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// The regular ones.
    pub regular: Vec<Session>,
    /// Before them.
    pub pre: Option<Session>,
    /// After them.
    pub post: Option<Session>,
    /// What is special about it: `holiday`, `half day`, `Muhurat`; empty for a plain day.
    pub label: String,
}

/// From a day on, these are the plain days of a week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regime {
    /// Its first day.
    pub from: Date,
    /// Its days of the week.
    pub days: Days,
    /// Their sessions.
    pub day: Day,
}

/// Which sessions are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionKind {
    /// The regular ones.
    #[default]
    Regular,
    /// Before them.
    Pre,
    /// After them.
    Post,
    /// All of them.
    Extended,
}

/// The calendar of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// What it is called: `NSE`.
    pub name: String,
    /// Where it stands.
    pub zone: Arc<Zone>,
    /// Its rules, the oldest first.
    pub regimes: Vec<Regime>,
    /// The days that are not plain.
    pub exceptions: BTreeMap<Date, Day>,
    /// The last day of which all exceptions are known.
    pub valid_through: Date,
}

/// What a calendar says of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is so.
    Day(Day),
    /// It is beyond what is known; this is what the weekly rule alone says.
    Beyond(Day),
}

impl Calendar {
    /// What it says of a day.
    pub fn day(&self, _date: Date) -> Known {
        Known::Beyond(Day::default())
    }
}

impl Day {
    /// Its sessions of a kind, in order.
    pub fn sessions(&self, _kind: SessionKind) -> Vec<Session> {
        Vec::new()
    }
}
