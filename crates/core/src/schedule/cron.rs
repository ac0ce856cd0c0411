//! Cron expressions, asked for their next moment in a zone: by months, days and times, never second by second. What
//! happens when the clocks are changed is Vixie's rule: fixed times keep to the clock, repeated ones to what elapses.

mod read;

use std::ops::Range;

use super::civil::{Date, Moment, TimeOfDay, days_of};
use super::zone::Zone;

/// A cron expression of five fields (minute, hour, day of month, month, day of week), or of six with seconds first.
/// Each field is the bits of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    seconds: u64,
    minutes: u64,
    hours: u64,
    /// Bit 0 is `LAST_DAY`.
    days: u64,
    months: u64,
    /// Bit 0 is Sunday.
    weekdays: u64,
    /// Vixie's day rule: of two restricted day fields either is enough. One that begins with `*` is not restricted.
    is_either_day: bool,
    /// Hour or minute has a `*` or a step: what is meant is how often, not when.
    is_elapsing: bool,
}

/// The last day of a month, whichever it is.
const LAST_DAY: u64 = 1;

/// A 29 February that is a Sunday may be 40 years off, for 2100 is no leap year.
const HORIZON_YEARS: i32 = 40;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// Where, in bytes of the expression.
    pub at: Range<usize>,
    /// What, in words.
    pub why: String,
    /// What to write instead, in words.
    pub help: String,
}

impl Cron {
    /// Reads an expression. As in cronie ranges do not go around (`22-2`), but a week by name may end with `sun`.
    ///
    /// # Errors
    /// What no cron takes, `@reboot`, steps longer than their field, and what never fires.
    pub fn parse(text: &str) -> Result<Cron, CronError> {
        read::read(text)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its first moment after this one; none outside the years 1 to 9999.
    ///
    /// A fixed time over which the clocks leap fires when they do, and one that is twice fires the first time. With `*`
    /// or a step in hour or minute nothing is made up for, and what is twice fires twice.
    pub fn next(&self, after: Moment, zone: &Zone) -> Option<Moment> {
        if self.is_elapsing { self.next_elapsing(after, zone) } else { self.next_fixed(after, zone) }
    }

    fn next_fixed(&self, after: Moment, zone: &Zone) -> Option<Moment> {
        let (mut date, ms) = zone.local(after);
        let mut second = ms / 1000;
        loop {
            (date, second) = self.local_from(date, second)?;
            let moment = zone.resolve(date, TimeOfDay::new(second)?).moment();
            if moment > after {
                return Some(moment);
            }
            second += 1;
        }
    }

    fn next_elapsing(&self, after: Moment, zone: &Zone) -> Option<Moment> {
        let mut from = Moment(after.0.div_euclid(1000).saturating_add(1).saturating_mul(1000));
        loop {
            let (date, ms) = zone.local(from);
            let (day, second) = self.local_from(date, ms / 1000)?;
            let ahead = i64::from(day.0 - date.0) * 24 * 3600 + i64::from(second) - i64::from(ms / 1000);
            let moment = Moment(from.0 + ahead * 1000);
            match zone.change_after(from) {
                // The clocks are changed before: what they show from then on is looked at anew.
                Some(change) if change <= moment => from = change,
                _ => return Some(moment),
            }
        }
    }

    /// The first local time from this one on: the day, and seconds after its midnight.
    fn local_from(&self, date: Date, second: u32) -> Option<(Date, u32)> {
        let first = self.date_from(date)?;
        if first > date {
            return Some((first, self.time_from(0)?));
        }
        match self.time_from(second) {
            Some(time) => Some((date, time)),
            None => Some((self.date_from(date.plus(1))?, self.time_from(0)?)),
        }
    }

    fn date_from(&self, date: Date) -> Option<Date> {
        let (mut year, mut month, mut day) = date.parts();
        let horizon = year + HORIZON_YEARS;
        while year <= horizon {
            match first_from(self.months, month) {
                None => (year, month, day) = (year + 1, 1, 1),
                Some(later) if later > month => (month, day) = (later, 1),
                Some(_) => match first_from(self.days_in(year, month)?, day) {
                    Some(day) => return Date::new(year, month, day),
                    None => (month, day) = (month + 1, 1),
                },
            }
        }
        None
    }

    /// Its days in a month, as bits from 1.
    fn days_in(&self, year: i32, month: u32) -> Option<u64> {
        let last = days_of(year, month);
        let first = (Date::new(year, month, 1)?.weekday() as u32 + 1) % 7;
        let six_weeks = (0..6).fold(0, |all, week| all | self.weekdays << (7 * week));
        let by_week = six_weeks >> first << 1;
        let by_number = self.days | (self.days & LAST_DAY) << last;
        let days = if self.is_either_day { by_number | by_week } else { by_number & by_week };
        Some(days & ((1 << (last + 1)) - 2))
    }

    /// Its first time from this second of a day on.
    fn time_from(&self, second: u32) -> Option<u32> {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let later_minute = |from| Some((first_from(self.minutes, from)?, first_from(self.seconds, 0)?));
        let in_hour = match first_from(self.seconds, second) {
            Some(second) if self.minutes & 1 << minute != 0 => Some((minute, second)),
            _ => later_minute(minute + 1),
        };
        let (hour, (minute, second)) = match in_hour {
            Some(time) if self.hours & 1 << hour != 0 => (hour, time),
            _ => (first_from(self.hours, hour + 1)?, later_minute(0)?),
        };
        Some(hour * 3600 + minute * 60 + second)
    }
}

/// The first bit from this one on.
fn first_from(set: u64, bit: u32) -> Option<u32> {
    let rest = set.checked_shr(bit)?;
    (rest != 0).then(|| bit + rest.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::super::civil::moment;
    use super::*;

    /// So many moments after this one, as the clock of the zone shows them, with its offset in hours.
    fn following(text: &str, zone: &Zone, mut after: Moment, count: usize) -> Vec<String> {
        let cron = Cron::parse(text).unwrap();
        let mut found = Vec::new();
        while found.len() < count {
            after = cron.next(after, zone).unwrap();
            let (date, ms) = zone.local(after);
            found.push(format!(
                "{date} {} {}",
                TimeOfDay::new(ms / 1000).unwrap(),
                zone.offset(after) / 3600
            ));
        }
        found
    }

    #[test]
    fn the_next_moments_are_those_that_the_fields_name() {
        for (text, after, expected) in [
            ("*/5 9-15 * * mon-fri", "2026-03-06 15:54", ["2026-03-06 15:55 0", "2026-03-09 09:00 0"]),
            ("30 15/20 9 * * *", "2026-03-06 09:35:29", ["2026-03-06 09:35:30 0", "2026-03-06 09:55:30 0"]),
            // Either of two restricted days, both if one begins with a star.
            ("0 0 13 * FRI", "2026-03-06 00:00", ["2026-03-13 00:00 0", "2026-03-20 00:00 0"]),
            ("0 0 1-7 * */7", "2026-03-06 00:00", ["2026-04-05 00:00 0", "2026-05-03 00:00 0"]),
            ("0 0 */2 * mon", "2026-03-06 00:00", ["2026-03-09 00:00 0", "2026-03-23 00:00 0"]),
            ("0 0 ? * 7", "2026-03-06 00:00", ["2026-03-08 00:00 0", "2026-03-15 00:00 0"]),
            ("0 0 * * sat-sun", "2026-03-06 00:00", ["2026-03-07 00:00 0", "2026-03-08 00:00 0"]),
            ("59 59 23 L 1-2 *", "2028-01-31 23:59:58", ["2028-01-31 23:59:59 0", "2028-02-29 23:59:59 0"]),
            ("0 12 29 2 *", "2096-02-29 11:59:59", ["2096-02-29 12:00 0", "2104-02-29 12:00 0"]),
            ("0 0 29 2 */7", "2072-01-01 00:00", ["2088-02-29 00:00 0", "2128-02-29 00:00 0"]),
            ("* * 29 2 */7", "2088-02-29 23:58", ["2088-02-29 23:59 0", "2128-02-29 00:00 0"]),
            ("@yearly", "2026-12-31 23:59:59", ["2027-01-01 00:00 0", "2028-01-01 00:00 0"]),
            (" @Weekly ", "2026-12-27 00:00", ["2027-01-03 00:00 0", "2027-01-10 00:00 0"]),
        ] {
            assert_eq!(following(text, &Zone::utc(), moment(after, 0), 2), expected, "{text}");
        }
    }

    #[test]
    fn when_the_clocks_are_changed_fixed_times_keep_to_the_clock_and_repeated_ones_to_what_elapses() {
        let change = |text, before, after| (moment(text, before), after * 3600);
        let changes = vec![change("2026-03-08 02:00", -5, -4), change("2026-11-01 02:00", -4, -5)];
        let new_york = Zone::new("America/New_York", -5 * 3600, changes);
        let changes = vec![change("2026-03-29 01:00", 0, 1), change("2026-10-25 02:00", 1, 0)];
        let london = Zone::new("Europe/London", 0, changes);
        let (spring, autumn) = (moment("2026-03-08 01:59:59", -5), moment("2026-11-01 00:59:59", -4));
        for (text, after, expected) in [
            ("30 2 * * *", spring, ["2026-03-08 03:00 -4", "2026-03-09 02:30 -4"]),
            ("0,20,40 2 * * *", spring, ["2026-03-08 03:00 -4", "2026-03-09 02:00 -4"]),
            ("* 30 2 * * *", spring, ["2026-03-08 03:00 -4", "2026-03-09 02:30 -4"]),
            ("30 2,3 * * *", spring, ["2026-03-08 03:00 -4", "2026-03-08 03:30 -4"]),
            ("0 3 * * *", spring, ["2026-03-08 03:00 -4", "2026-03-09 03:00 -4"]),
            ("30 2 * * mon", spring, ["2026-03-09 02:30 -4", "2026-03-16 02:30 -4"]),
            ("30 * * * *", spring, ["2026-03-08 03:30 -4", "2026-03-08 04:30 -4"]),
            ("*/30 2 * * *", spring, ["2026-03-09 02:00 -4", "2026-03-09 02:30 -4"]),
            ("30 1 * * *", autumn, ["2026-11-01 01:30 -4", "2026-11-02 01:30 -5"]),
            ("0,30 1 * * *", autumn, ["2026-11-01 01:00 -4", "2026-11-01 01:30 -4"]),
            ("30 1,2 * * *", autumn, ["2026-11-01 01:30 -4", "2026-11-01 02:30 -5"]),
            ("30 * * * *", autumn, ["2026-11-01 01:30 -4", "2026-11-01 01:30 -5"]),
            ("*/45 1 * * *", Moment(autumn.0 + 3_600_000), ["2026-11-01 01:00 -5", "2026-11-01 01:45 -5"]),
            ("0 1 * * *", Moment(autumn.0 + 1_800_000), ["2026-11-02 01:00 -5", "2026-11-03 01:00 -5"]),
        ] {
            assert_eq!(following(text, &new_york, after, 2), expected, "{text} in New York");
        }
        let (spring, autumn) = (moment("2026-03-29 00:59:59", 0), moment("2026-10-25 00:59:59", 1));
        for (text, after, expected) in [
            ("30 1 * * *", spring, ["2026-03-29 02:00 1", "2026-03-30 01:30 1"]),
            ("*/30 * * * *", spring, ["2026-03-29 02:00 1", "2026-03-29 02:30 1"]),
            ("30 1 * * *", autumn, ["2026-10-25 01:30 1", "2026-10-26 01:30 0"]),
            ("30 */1 * * *", autumn, ["2026-10-25 01:30 1", "2026-10-25 01:30 0"]),
        ] {
            assert_eq!(following(text, &london, after, 2), expected, "{text} in London");
        }
    }

    #[test]
    fn what_no_cron_takes_is_refused_with_its_place() {
        for (text, part, why) in [
            ("", "", "the expression has 0 fields"),
            ("* * * *", "* * * *", "the expression has 4 fields"),
            ("0 0 12 * * ? 2026", "2026", "the expression has 7 fields"),
            ("60 * * * *", "60", "`60` is no minute"),
            ("0 0 24 * * *", "24", "`24` is no hour"),
            ("0 0 0 * *", "0", "`0` is no day of the month"),
            ("0 0 * 13 *", "13", "`13` is no month"),
            ("0 0 * * 8", "8", "`8` is no day of the week"),
            ("0 0 * * mon,thursday", "thursday", "`thursday` is no day of the week"),
            ("0 0 * * fri#2", "fri#2", "`fri#2` is no day of the week"),
            ("? * * * *", "?", "`?` is no minute"),
            ("99999999999 * * * *", "99999999999", "`99999999999` is no minute"),
            ("+5 * * * *", "+5", "`+5` is no minute"),
            ("0 22-2 * * *", "22-2", "`22-2` is backwards: a range does not go around"),
            ("1,,2 * * * *", "", "a minute is missing"),
            ("-5 * * * *", "", "a minute is missing"),
            ("1-2-3 * * * *", "1-2-3", "`1-2-3` is no range"),
            ("*/0 * * * *", "0", "`0` is no step through the field minute"),
            ("*/90 * * * *", "90", "`90` is no step through the field minute"),
            ("*/ * * * *", "", "`` is no step through the field minute"),
            ("*/5/2 * * * *", "*/5/2", "`*/5/2` has two steps"),
            ("0 0 31 2 *", "31 2", "it never fires: no month that it names has a day 31"),
            ("0 0 30 feb ?", "30 feb", "it never fires: no month that it names has a day 30"),
            ("0 0  31  apr,jun */2", "31  apr,jun", "it never fires: no month that it names has a day 31"),
            ("@reboot", "@reboot", "`@reboot` is no time"),
            ("@daily 5", "@daily 5", "`@daily` stands alone"),
            ("0 0 * * mañana", "mañana", "`mañana` is no day of the week"),
        ] {
            let error = Cron::parse(text).unwrap_err();
            assert_eq!((&text[error.at.clone()], error.why.as_str()), (part, why), "{text}");
            assert!(!error.help.is_empty(), "{text}");
        }
        let at = Cron::parse("0 5 * * 5,fri-mon").unwrap_err();
        assert_eq!((at.at, at.help.as_str()), (10..17, "write it as two: `fri-sat,sun-mon`"));
        assert!(Cron::parse("0 5 * * 5,fri-sat,sun-mon").is_ok());
        for text in ["0 0 29 2 *", "0 0 31 2 mon", "0 0 L 2 *", "0 0 30,L 2 *", "0 0 31 * *", "0\t0 1 1 0-7"]
        {
            assert!(Cron::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn no_text_and_no_moment_is_too_much() {
        let mut random = crate::random::Random::new(7);
        let mut up_to = move |most: u64| random.next() % most;
        let pieces =
            ["*", "/", "-", ",", "0", "5", "59", "mon", "SUN", "feb", "L", "?", "@", "é", "#", "4294967296"];
        let mut read = 0;
        for _ in 0..100_000 {
            let mut text: Vec<String> = "0 */5 9-15 1,15 * mon-fri".chars().map(String::from).collect();
            for _ in 0..up_to(6) {
                let place = up_to(text.len() as u64) as usize;
                text[place] = pieces[up_to(16) as usize].to_owned();
            }
            let text = text.concat();
            match Cron::parse(&text) {
                Ok(_) => read += 1,
                Err(error) => assert!(text.get(error.at.clone()).is_some(), "{text}: {error:?}"),
            }
        }
        assert!((10_000..90_000).contains(&read), "{read}");
        for text in ["* * * * *", "0 0 * * *"] {
            let cron = Cron::parse(text).unwrap();
            for far in [i64::MIN, i64::MIN / 2, i64::MAX / 2, i64::MAX] {
                assert_eq!(cron.next(Moment(far), &Zone::new("far", -3600, vec![(Moment(0), 3600)])), None);
            }
        }
    }
}
