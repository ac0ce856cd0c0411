//! The sessions of the New York Stock Exchange: before, regular, after, closed, by the calendar that soloist ships.
//! Its format is in docs/calendars.md; read here is as much of it as this one file uses.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

const CALENDAR: &str = include_str!("../../../../crates/daemon/calendars/xnys.toml");
/// No exchange is closed for longer.
const DAYS_AROUND: usize = 14;

/// What the exchange does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Trading before the regular session.
    Pre,
    /// The regular session.
    Regular,
    /// Trading after the regular session.
    After,
    /// No trading.
    Closed,
}

impl Session {
    /// The word for it in tables, answers and pages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Regular => "regular",
            Self::After => "after",
            Self::Closed => "closed",
        }
    }
}

/// The sessions of a day, in order, in minutes of the local day; each up to, not including, its last minute.
type Day = Vec<(Session, Range<i64>)>;

/// All days that are known, and what holds on the others.
#[derive(Debug)]
pub struct Hours {
    zone: TimeZone,
    valid_through: Date,
    regimes: Vec<(Date, Day)>,
    exceptions: BTreeMap<Date, Day>,
}

impl Hours {
    /// New York, as the calendar has it.
    ///
    /// # Errors
    /// The calendar that was built in cannot be read; a test sees that first.
    pub fn of_new_york() -> Result<Self> {
        let file: File = toml::from_str(CALENDAR).context("the calendar of New York cannot be read")?;
        let mut exceptions = BTreeMap::new();
        let mut except = |years: &Years, day: &Day| -> Result<()> {
            for (year, days) in years {
                for entry in days {
                    let date = entry.split(' ').next().unwrap_or_default();
                    exceptions.insert(self::date(&format!("{year}-{date}"))?, day.clone());
                }
            }
            Ok(())
        };
        except(&file.holidays, &Day::new())?;
        except(&file.half_days.on, &file.half_days.sessions.day()?)?;
        for special in &file.special {
            exceptions.insert(date(&special.date)?, special.sessions.day()?);
        }
        let regime = |regime: &Regime| {
            if regime.days != "mon-fri" {
                bail!("the calendar has the days {:?}; only mon-fri is read here", regime.days);
            }
            Ok((date(&regime.from)?, regime.sessions.day()?))
        };
        Ok(Self {
            zone: TimeZone::get(&file.timezone)?,
            valid_through: date(&file.valid_through)?,
            regimes: file.regimes.iter().map(regime).collect::<Result<_>>()?,
            exceptions,
        })
    }

    /// The session at this moment, and whether the calendar knows its day; of others it knows no holidays.
    pub fn at(&self, now: Timestamp) -> (Session, bool) {
        let local = now.to_zoned(self.zone.clone());
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let open = self.day(local.date()).iter().find(|(_, stretch)| stretch.contains(&minute));
        let is_known = local.date() <= self.valid_through || self.exceptions.contains_key(&local.date());
        (open.map_or(Session::Closed, |(session, _)| *session), is_known)
    }

    /// When trading of any kind begins next, in local words: `Mon 2026-11-23 04:00 EST`.
    pub fn next_open(&self, now: Timestamp) -> Option<String> {
        let today = self.today(now);
        let opens = today.series(1.day()).take(DAYS_AROUND).flat_map(|date| {
            self.day(date).iter().filter_map(move |(_, stretch)| self.moment(date, stretch.start))
        });
        let next = opens.into_iter().find(|open| *open > now)?;
        Some(next.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string())
    }

    /// When trading of any kind ended last.
    pub fn last_close(&self, now: Timestamp) -> Option<Timestamp> {
        self.today(now).series(-1.day()).take(DAYS_AROUND).find_map(|date| {
            let (_, stretch) = self.day(date).last()?;
            self.moment(date, stretch.end).filter(|close| *close <= now)
        })
    }

    /// The day whose trading began last, and how many minutes of its sessions lie behind `now`.
    pub fn trading_day(&self, now: Timestamp) -> Option<(Date, i64)> {
        self.today(now).series(-1.day()).take(DAYS_AROUND).find_map(|date| {
            let (_, first) = self.day(date).first()?;
            let open = self.moment(date, first.start).filter(|open| *open <= now)?;
            Some((date, now.duration_since(open).as_secs() / 60))
        })
    }

    /// The last day with trading before this one.
    pub fn day_before(&self, date: Date) -> Option<Date> {
        date.series(-1.day()).skip(1).take(DAYS_AROUND).find(|date| !self.day(*date).is_empty())
    }

    /// When the sessions of this kind begin and end on a day.
    pub fn stretch(&self, date: Date, session: Session) -> Option<Range<Timestamp>> {
        let (_, stretch) = self.day(date).iter().find(|(kind, _)| *kind == session)?;
        Some(self.moment(date, stretch.start)?..self.moment(date, stretch.end)?)
    }

    fn today(&self, now: Timestamp) -> Date {
        now.to_zoned(self.zone.clone()).date()
    }

    fn day(&self, date: Date) -> &[(Session, Range<i64>)] {
        if let Some(day) = self.exceptions.get(&date) {
            return day;
        }
        let regime = self.regimes.iter().rev().find(|(from, _)| *from <= date);
        match (regime, date.weekday()) {
            (None, _) | (_, Weekday::Saturday | Weekday::Sunday) => &[],
            (Some((_, day)), _) => day,
        }
    }

    fn moment(&self, date: Date, minute: i64) -> Option<Timestamp> {
        let local = date.at(0, 0, 0, 0).checked_add(minute.minutes()).ok()?;
        Some(local.to_zoned(self.zone.clone()).ok()?.timestamp())
    }
}

type Years = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    timezone: String,
    valid_through: String,
    regimes: Vec<Regime>,
    holidays: Years,
    half_days: HalfDays,
    #[serde(default)]
    special: Vec<Special>,
}

#[derive(Deserialize)]
struct Regime {
    from: String,
    days: String,
    #[serde(flatten)]
    sessions: Sessions,
}

#[derive(Deserialize)]
struct HalfDays {
    on: Years,
    #[serde(flatten)]
    sessions: Sessions,
}

#[derive(Deserialize)]
struct Special {
    date: String,
    #[serde(flatten)]
    sessions: Sessions,
}

#[derive(Deserialize)]
struct Sessions {
    pre: Option<String>,
    regular: String,
    post: Option<String>,
}

impl Sessions {
    fn day(&self) -> Result<Day> {
        let mut day = Day::new();
        let parts = [
            (Session::Pre, self.pre.as_deref()),
            (Session::Regular, Some(self.regular.as_str())),
            (Session::After, self.post.as_deref()),
        ];
        for (session, text) in parts {
            for stretch in text.into_iter().flat_map(|text| text.split(',')) {
                let (open, close) = stretch.trim().split_once('-').context("a session is no stretch")?;
                day.push((session, minute(open)?..minute(close)?));
            }
        }
        Ok(day)
    }
}

fn minute(text: &str) -> Result<i64> {
    let (hours, minutes) = text.split_once(':').with_context(|| format!("{text:?} is no time of day"))?;
    Ok(hours.parse::<i64>()? * 60 + minutes.parse::<i64>()?)
}

fn date(text: &str) -> Result<Date> {
    text.parse().with_context(|| format!("{text:?} is no date"))
}

#[cfg(test)]
mod tests {
    use super::{Hours, Session};

    fn at(moment: &str) -> (Session, bool) {
        Hours::of_new_york().expect("the calendar").at(moment.parse().expect("a moment"))
    }

    #[test]
    fn a_plain_day_has_three_sessions_in_winter_and_in_summer() {
        for (moment, session) in [
            ("2026-11-20T08:59:59Z", Session::Closed),
            ("2026-11-20T09:00:00Z", Session::Pre),
            ("2026-11-20T14:29:59Z", Session::Pre),
            ("2026-11-20T14:30:00Z", Session::Regular),
            ("2026-11-20T20:59:59Z", Session::Regular),
            ("2026-11-20T21:00:00Z", Session::After),
            ("2026-11-21T00:59:59Z", Session::After),
            ("2026-11-21T01:00:00Z", Session::Closed),
            // An hour earlier in UTC: the Monday after the clocks went forward.
            ("2026-03-09T13:29:59Z", Session::Pre),
            ("2026-03-09T13:30:00Z", Session::Regular),
            ("2026-03-06T13:30:00Z", Session::Pre),
        ] {
            assert_eq!(at(moment), (session, true), "{moment}");
        }
    }

    #[test]
    fn a_half_day_ends_at_one_and_its_after_hours_at_five() {
        for (moment, session) in [
            ("2026-11-27T17:59:59Z", Session::Regular),
            ("2026-11-27T18:00:00Z", Session::After),
            ("2026-11-27T21:59:59Z", Session::After),
            ("2026-11-27T22:00:00Z", Session::Closed),
            ("2026-11-26T15:00:00Z", Session::Closed), // Thanksgiving
            ("2026-11-28T15:00:00Z", Session::Closed), // a Saturday
        ] {
            assert_eq!(at(moment), (session, true), "{moment}");
        }
    }

    #[test]
    fn beyond_its_last_day_the_calendar_says_that_it_does_not_know() {
        assert_eq!(at("2027-12-31T15:00:00Z"), (Session::Regular, true));
        assert_eq!(at("2028-01-03T15:00:00Z"), (Session::Regular, false));
        assert_eq!(at("2028-01-01T15:00:00Z"), (Session::Closed, false));
    }

    #[test]
    fn the_next_open_and_the_last_close_are_over_holidays_and_changes_of_the_clock() {
        let hours = Hours::of_new_york().expect("the calendar");
        let look = |moment: &str| {
            let moment = moment.parse().expect("a moment");
            let close = hours.last_close(moment).expect("a close").to_string();
            (hours.next_open(moment).expect("an open"), close)
        };
        let wanted = ("Fri 2026-11-27 04:00 EST".to_owned(), "2026-11-26T01:00:00Z".to_owned());
        assert_eq!(look("2026-11-26T15:00:00Z"), wanted);
        let wanted = ("Mon 2026-03-09 04:00 EDT".to_owned(), "2026-03-07T01:00:00Z".to_owned());
        assert_eq!(look("2026-03-08T02:00:00Z"), wanted);
    }

    #[test]
    fn a_trading_day_lasts_until_the_next_begins() {
        let hours = Hours::of_new_york().expect("the calendar");
        let day = |moment: &str| hours.trading_day(moment.parse().expect("a moment")).expect("a day");
        assert_eq!(day("2026-11-23T08:59:00Z").0.to_string(), "2026-11-20");
        assert_eq!(day("2026-11-23T09:05:00Z"), ("2026-11-23".parse().expect("a date"), 5));
        let friday = "2026-11-27".parse().expect("a date");
        assert_eq!(hours.day_before(friday).map(|date| date.to_string()).as_deref(), Some("2026-11-25"));
    }
}
