//! A session window: the hours in which a service runs and a job may fire, and when they next begin or end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::calendar::{Calendar, Session, SessionKind};
use super::civil::{Date, Days, Moment};
use super::zone::Zone;

/// The hours in which something runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// What it is called in soloist.toml.
    pub name: String,
    /// In whose local time its dates and times are.
    pub zone: Arc<Zone>,
    /// Its plain hours.
    pub rule: Rule,
    /// What holds beyond the last day that the calendar knows.
    pub beyond: Beyond,
    /// Days with hours of their own, in place of what the rule says; without any, closed.
    pub dates: BTreeMap<Date, Vec<Session>>,
    /// What was ordered at run time; of two that overlap the later in this list holds.
    pub overrides: Vec<Override>,
}

/// Where the plain hours come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// An exchange's calendar.
    Calendar {
        /// Which.
        calendar: Arc<Calendar>,
        /// Which of its sessions.
        session: SessionKind,
    },
    /// A rule by hand, the oldest part first.
    Weekly(Vec<Hours>),
}

/// From a day on, the hours of a week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Its first day; none: ever since.
    pub from: Option<Date>,
    /// Its days of the week.
    pub days: Days,
    /// Their sessions, in order, which do not overlap.
    pub sessions: Vec<Session>,
}

/// What holds beyond the last day that a calendar knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beyond {
    /// Closed: nothing runs on a holiday that nobody knows of.
    #[default]
    Closed,
    /// The weekly rule, as if there were no holidays.
    WeeklyRule,
}

/// Open or closed for a time, whatever the rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// From this moment
    pub from: Moment,
    /// up to, not including, this one.
    pub until: Moment,
    /// Open, else closed.
    pub is_open: bool,
}

/// How a window stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Open.
    Open {
        /// Since then.
        since: Moment,
        /// Up to, not including, then; none: as far as one can see.
        until: Option<Moment>,
    },
    /// Closed.
    Closed {
        /// It opens then; none: as far as one can see it does not.
        until: Option<Moment>,
    },
}

impl Stand {
    /// Whether it is open.
    pub fn is_open(self) -> bool {
        matches!(self, Stand::Open { .. })
    }

    /// When it changes.
    pub fn until(self) -> Option<Moment> {
        match self {
            Stand::Open { until, .. } | Stand::Closed { until } => until,
        }
    }
}

impl Window {
    /// How it stands at a moment. Openings are sought two years far.
    pub fn at(&self, _moment: Moment) -> Stand {
        Stand::Closed { until: None }
    }

    /// The last day of which its hours are known; none: they are a rule by hand.
    pub fn valid_through(&self) -> Option<Date> {
        match &self.rule {
            Rule::Calendar { calendar, .. } => Some(calendar.valid_through),
            Rule::Weekly(_) => None,
        }
    }
}
