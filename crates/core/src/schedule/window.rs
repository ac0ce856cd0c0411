//! A session window: the hours in which a service runs and a job may fire, and when they next begin or end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::calendar::{Calendar, Known, Session, SessionKind};
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
    /// A rule by hand, the oldest part first; of those with one first day each is for other days of the week.
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

/// From so many days before the last one that is known on, people should be told.
pub const WARN_DAYS: i64 = 60;

/// At most so many days are searched for a change.
const FAR: i32 = 2 * 366;

impl Window {
    /// How it stands at a moment. Changes are sought two years far, both ways; what has been open for longer counts as
    /// open since 1970.
    pub fn at(&self, moment: Moment) -> Stand {
        if self.is_open(moment) {
            Stand::Open { since: self.opening(moment), until: self.change(moment, false) }
        } else {
            Stand::Closed { until: self.change(moment, true) }
        }
    }

    /// The last day of which its hours are known; none: they are a rule by hand.
    pub fn valid_through(&self) -> Option<Date> {
        match &self.rule {
            Rule::Calendar { calendar, .. } => Some(calendar.valid_through),
            Rule::Weekly(_) => None,
        }
    }

    /// For how many more days its hours are known: 0 on the last one, below zero beyond it. None: they are a rule by hand.
    pub fn days_left(&self, now: Moment) -> Option<i64> {
        self.valid_through().map(|last| i64::from(last.0) - i64::from(self.zone.date(now).0))
    }

    fn is_open(&self, at: Moment) -> bool {
        let ordered = self.overrides.iter().rev().find(|order| order.from <= at && at < order.until);
        ordered.map_or_else(|| self.is_in_hours(at), |order| order.is_open)
    }

    fn is_in_hours(&self, at: Moment) -> bool {
        // Of the day before for sessions over midnight, of the day after for clocks that go back over midnight.
        let today = self.zone.date(at);
        let mut near = (-1..=1).flat_map(|days| self.stretches(today.plus(days)));
        near.any(|(open, close)| open <= at && at < close)
    }

    /// The first moment after this one from which it is open, or closed.
    fn change(&self, after: Moment, is_open: bool) -> Option<Moment> {
        let turns = |at: &Moment| *at > after && self.is_open(*at) == is_open;
        let mut found = self.orders().filter(turns).min();
        let first = self.zone.date(after).plus(-1);
        for date in (0..self.reach(first)).map(|days| first.plus(days)) {
            // What opens on later days is later.
            if found.is_some_and(|at| self.zone.date(at).plus(1) < date) {
                break;
            }
            let mut edges = self.stretches(date).map(|(open, close)| if is_open { open } else { close });
            found = found.into_iter().chain(edges.find(turns)).min();
        }
        found
    }

    /// When it opened, for a moment at which it is open.
    fn opening(&self, at: Moment) -> Moment {
        let opens = |edge: &Moment| {
            *edge <= at && self.is_open(*edge) && !self.is_open(Moment(edge.0.saturating_sub(1)))
        };
        let mut found = self.orders().filter(opens).max();
        let last = self.zone.date(at).plus(1);
        for date in (0..self.reach(last)).map(|days| last.plus(-days)) {
            // What opens on earlier days is earlier, even beyond their 24:00.
            if found.is_some_and(|at| date.plus(2) < self.zone.date(at)) {
                break;
            }
            let mut edges = self.stretches(date).map(|(open, _)| open);
            found = found.into_iter().chain(edges.rfind(opens)).max();
        }
        found.unwrap_or_default()
    }

    /// How many days must be searched from this one on, or back. Behind all that is special a rule by hand repeats itself
    /// every week, but for a session that the clocks leap over.
    fn reach(&self, from: Date) -> i32 {
        let Rule::Weekly(parts) = &self.rule else { return FAR };
        let begins = parts.iter().filter_map(|hours| hours.from);
        let ordered = self.orders().map(|at| self.zone.date(at));
        let special = self.dates.keys().copied().chain(begins).chain(ordered);
        let farthest = special.map(|date| date.0.saturating_sub(from.0).saturating_abs()).max().unwrap_or(0);
        farthest.saturating_add(15).min(FAR)
    }

    /// Where orders begin and end.
    fn orders(&self) -> impl Iterator<Item = Moment> {
        self.overrides.iter().flat_map(|order| [order.from, order.until])
    }

    /// The sessions that open on a day, in order, whatever is ordered. A time that the clocks leap over is the moment they do, and
    /// one that is twice the first.
    fn stretches(&self, date: Date) -> impl DoubleEndedIterator<Item = (Moment, Moment)> {
        let moment = move |time| self.zone.resolve(date, time).moment();
        self.sessions(date).into_iter().map(move |session| (moment(session.open), moment(session.close)))
    }

    fn sessions(&self, date: Date) -> Vec<Session> {
        if let Some(own) = self.dates.get(&date) {
            return own.clone();
        }
        match &self.rule {
            Rule::Calendar { calendar, session } => match (calendar.day(date), self.beyond) {
                (Known::Day(day), _) | (Known::Beyond(day), Beyond::WeeklyRule) => day.sessions(*session),
                (Known::Beyond(_), Beyond::Closed) => Vec::new(),
            },
            Rule::Weekly(parts) => plain(parts, date).map(|hours| hours.sessions.clone()).unwrap_or_default(),
        }
    }
}

/// The hours of a day: of the parts that began last the one that has its day of the week.
fn plain(parts: &[Hours], date: Date) -> Option<&Hours> {
    let from = parts.iter().rev().find(|hours| hours.from.is_none_or(|from| from <= date))?.from;
    parts.iter().find(|hours| hours.from == from && hours.days.has(date.weekday()))
}

#[cfg(test)]
mod tests;
