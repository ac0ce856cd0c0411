//! Dates and times of day as people write them, and moments as clocks count them. No zone: that is `zone.rs`.

use std::fmt;
use std::time::Duration;

use crate::time::Time;

/// A moment on the wall clock: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// So much later.
    pub fn plus(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long ago an earlier moment was; zero for a later one.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }
}

/// How the wall clock stands to the clock that counts from boot. It changes only when somebody sets the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// What the wall clock said at boot, in nanoseconds since 1970.
    pub boot_ns: i128,
}

impl Clock {
    /// What the wall clock says at a time since boot.
    pub fn wall(self, at: Time) -> Moment {
        let ns = self.boot_ns + i128::try_from(at.0.as_nanos()).unwrap_or(i128::MAX / 2);
        Moment(i64::try_from(ns.div_euclid(1_000_000)).unwrap_or(i64::MAX))
    }

    /// When the wall clock says so, not a nanosecond earlier; for a moment before the boot, the boot.
    pub fn boot(self, at: Moment) -> Time {
        let ns = i128::from(at.0) * 1_000_000 - self.boot_ns;
        let (secs, rest) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
        match u64::try_from(secs) {
            Ok(secs) => Time(Duration::new(secs, u32::try_from(rest).unwrap_or_default())),
            Err(_) if ns < 0 => Time(Duration::ZERO),
            Err(_) => Time(Duration::MAX),
        }
    }
}

/// A day of the Gregorian calendar: days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weekday {
    /// ISO 8601 day 1.
    Monday,
    /// 2
    Tuesday,
    /// 3
    Wednesday,
    /// 4
    Thursday,
    /// 5
    Friday,
    /// 6
    Saturday,
    /// 7
    Sunday,
}

impl Weekday {
    /// In the order of ISO 8601.
    pub const ALL: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    /// `mon`, `tue`, … as in cron.
    pub fn short(self) -> &'static str {
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][self as usize]
    }
}

/// Some days of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    /// These.
    pub fn of(days: &[Weekday]) -> Days {
        Days(days.iter().fold(0, |set, day| set | 1 << *day as u8))
    }

    /// Monday to Friday.
    pub fn workdays() -> Days {
        Days(0b001_1111)
    }

    /// All seven.
    pub fn all() -> Days {
        Days(0b111_1111)
    }

    /// Whether it is one of them.
    pub fn has(self, day: Weekday) -> bool {
        self.0 & 1 << day as u8 != 0
    }
}

impl Date {
    /// A day, if there is such a one: year, month from 1, day from 1.
    pub fn new(year: i32, month: u32, day: u32) -> Option<Date> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        (1..=days_of(year, month)).contains(&day).then(|| {
            // Years that begin in March have their leap day last (Howard Hinnant: chrono-compatible date algorithms).
            let year = if month <= 2 { year - 1 } else { year };
            let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
            let of_year = (153 * ((month as i32 + 9) % 12) + 2) / 5 + day as i32 - 1;
            Date(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
        })
    }

    /// Year, month from 1, day from 1.
    pub fn parts(self) -> (i32, u32, u32) {
        let days = i64::from(self.0) + 719_468;
        let (era, of_era) = (days.div_euclid(146_097) as i32, days.rem_euclid(146_097) as i32);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = (of_year - (153 * month + 2) / 5 + 1) as u32;
        let month = if month < 10 { month + 3 } else { month - 9 } as u32;
        (year + era * 400 + i32::from(month <= 2), month, day)
    }

    /// Which day of the week it is.
    pub fn weekday(self) -> Weekday {
        // 1970-01-01 was a Thursday.
        Weekday::ALL[((self.0.rem_euclid(7) + 3) % 7) as usize]
    }

    /// So many days later, or earlier.
    pub fn plus(self, days: i32) -> Date {
        Date(self.0.saturating_add(days))
    }

    /// Reads `2026-03-04`.
    pub fn parse(text: &str) -> Option<Date> {
        let bytes = text.as_bytes();
        let is_shaped = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
        let number = |from: usize, to: usize| {
            let digits = text.get(from..to)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
        };
        if !is_shaped {
            return None;
        }
        let (year, month, day): (u32, u32, u32) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        Date::new(i32::try_from(year).ok()?, month, day)
    }
}

/// How many days a month has.
pub fn days_of(year: i32, month: u32) -> u32 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A time of day in seconds after midnight. Beyond 24:00 it is a time of the next day, as in timetables: a session over
/// midnight opens at 22:00 and closes at 26:00.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u32);

impl TimeOfDay {
    /// So many seconds after midnight, up to 48 hours.
    pub fn new(seconds: u32) -> Option<TimeOfDay> {
        (seconds <= 48 * 3600).then_some(TimeOfDay(seconds))
    }

    /// Seconds after midnight.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// Reads `09:15`, `9:15` and `09:15:30`.
    pub fn parse(text: &str) -> Option<TimeOfDay> {
        let parts: Vec<&str> = text.split(':').collect();
        let is_number =
            |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(is_number) {
            return None;
        }
        let numbers: Vec<u32> = parts.iter().filter_map(|part| part.parse().ok()).collect();
        let (hours, minutes, seconds) = (numbers[0], numbers[1], numbers.get(2).copied().unwrap_or(0));
        (minutes < 60 && seconds < 60)
            .then(|| TimeOfDay::new(hours * 3600 + minutes * 60 + seconds))
            .flatten()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60)?;
        if self.0.is_multiple_of(60) { Ok(()) } else { write!(f, ":{:02}", self.0 % 60) }
    }
}

/// `2026-03-04 05:06` with an offset to UTC in hours as a moment.
#[cfg(test)]
pub(crate) fn moment(text: &str, offset: i64) -> Moment {
    let (date, time) = text.split_once(' ').unwrap();
    let seconds = i64::from(TimeOfDay::parse(time).unwrap().seconds());
    Moment((i64::from(Date::parse(date).unwrap().0) * 24 * 3600 + seconds - offset * 3600) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_has_one_date() {
        let mut date = Date::new(1600, 1, 1).unwrap();
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=days_of(year, month) {
                    assert_eq!((date.parts(), Date::new(year, month, day)), ((year, month, day), Some(date)));
                    date = date.plus(1);
                }
            }
        }
        assert_eq!((Date(0).weekday(), Date(0).to_string()), (Weekday::Thursday, "1970-01-01".to_owned()));
        for (far, weekday) in [(i32::MIN, Weekday::Tuesday), (i32::MAX, Weekday::Friday)] {
            assert_eq!((Date(far).weekday(), Date(far).parts().0 < 0), (weekday, far < 0));
        }
    }

    #[test]
    fn dates_that_are_none_are_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-01",
            "20260101",
            "2026-01-01 ",
            "+026-01-01",
            "é026-01-01",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert_eq!(Date::parse("2024-02-29").unwrap().to_string(), "2024-02-29");
    }

    #[test]
    fn times_of_day_read_back() {
        for (text, seconds) in [("09:15", 33_300), ("9:15", 33_300), ("09:15:30", 33_330), ("26:00", 93_600)]
        {
            assert_eq!(TimeOfDay::parse(text).map(TimeOfDay::seconds), Some(seconds), "{text}");
        }
        for text in ["", "9", "9:60", "48:01", "-1:00", "9:15:60", "1:2:3:4", " 9:15", "100:00"] {
            assert_eq!(TimeOfDay::parse(text), None, "{text}");
        }
        assert_eq!(TimeOfDay::parse("9:15:30").unwrap().to_string(), "09:15:30");
    }

    #[test]
    fn the_two_clocks_meet_and_never_early() {
        let clock = Clock { boot_ns: 1_700_000_000_123_456_789 };
        for ms in [1_700_000_000_124, 1_700_000_005_000, 1_800_000_000_000] {
            let at = clock.boot(Moment(ms));
            assert_eq!(clock.wall(at), Moment(ms));
            assert!(clock.wall(Time(at.0 - Duration::from_nanos(1))) < Moment(ms));
        }
        assert_eq!(clock.boot(Moment(0)), Time(Duration::ZERO));
    }
}
