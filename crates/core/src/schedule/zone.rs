//! A time zone as data: when its offset to UTC changes. Where the data comes from is the driver's matter.

use super::civil::{Date, Moment, TimeOfDay};

/// A zone: its name in the IANA database and its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    /// Seconds east of UTC before the first change.
    first: i32,
    /// From then on so many seconds east of UTC; in order.
    changes: Vec<(Moment, i32)>,
}

/// A local time on the line of moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It is once.
    Once(Moment),
    /// The clocks went back over it: it is twice.
    Twice(Moment, Moment),
    /// The clocks went forward over it: it is not; then they did.
    Never(Moment),
}

impl Resolved {
    /// The one moment that stands for it: the first of two, and for none the moment at which the clocks went forward.
    pub fn moment(self) -> Moment {
        match self {
            Resolved::Once(at) | Resolved::Twice(at, _) | Resolved::Never(at) => at,
        }
    }
}

impl Zone {
    /// A zone with its changes, which are put in order.
    pub fn new(name: &str, first: i32, mut changes: Vec<(Moment, i32)>) -> Zone {
        changes.sort_unstable();
        Zone { name: name.to_owned(), first, changes }
    }

    /// UTC.
    pub fn utc() -> Zone {
        Zone::new("UTC", 0, Vec::new())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds east of UTC at a moment.
    pub fn offset(&self, at: Moment) -> i32 {
        let passed = self.changes.partition_point(|(change, _)| *change <= at);
        passed.checked_sub(1).map_or(self.first, |last| self.changes[last].1)
    }

    /// When its offset is next changed after a moment, as far as is known.
    pub fn change_after(&self, at: Moment) -> Option<Moment> {
        let passed = self.changes.partition_point(|(change, _)| *change <= at);
        self.changes.get(passed).map(|(change, _)| *change)
    }

    /// What calendar and clock on the wall say at a moment: the day, and milliseconds after its midnight.
    pub fn local(&self, at: Moment) -> (Date, u32) {
        let ms = at.0.saturating_add(i64::from(self.offset(at)) * 1000);
        let (days, rest) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        (Date(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })), rest as u32)
    }

    /// The day it is there.
    pub fn date(&self, at: Moment) -> Date {
        self.local(at).0
    }

    /// When it is this time on this day.
    pub fn resolve(&self, date: Date, time: TimeOfDay) -> Resolved {
        let local = i64::from(date.0) * DAY_MS + i64::from(time.seconds()) * 1000;
        // No offset is beyond a day: what is not known of them is decided among the changes around.
        let from = self.changes.partition_point(|(change, _)| change.0 < local - 2 * DAY_MS);
        let to = self.changes.partition_point(|(change, _)| change.0 <= local + 2 * DAY_MS);
        let before = |at: usize| at.checked_sub(1).map_or(self.first, |last| self.changes[last].1);
        let mut found: Option<Moment> = None;
        for at in from..=to {
            let begins = at.checked_sub(1).map_or(i64::MIN, |last| self.changes[last].0.0);
            let ends = self.changes.get(at).map_or(i64::MAX, |change| change.0.0);
            let moment = local - i64::from(before(at)) * 1000;
            if (begins..ends).contains(&moment) {
                match found {
                    Some(first) => return Resolved::Twice(first, Moment(moment)),
                    None => found = Some(Moment(moment)),
                }
            }
        }
        match found {
            Some(moment) => Resolved::Once(moment),
            // The change that leaps over it: the first after which the wall shows a later time.
            None => {
                let leap = self.changes[from..to]
                    .iter()
                    .find(|(at, offset)| at.0 + i64::from(*offset) * 1000 > local);
                Resolved::Never(leap.map_or(Moment(local), |(at, _)| *at))
            }
        }
    }
}

const DAY_MS: i64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: &Zone, date: &str, time: &str) -> Resolved {
        zone.resolve(Date::parse(date).unwrap(), TimeOfDay::parse(time).unwrap())
    }

    /// New York in 2026: UTC-5, from 2026-03-08T07:00Z UTC-4, from 2026-11-01T06:00Z UTC-5 again.
    fn new_york() -> Zone {
        let changes = vec![(Moment(1_772_953_200_000), -4 * 3600), (Moment(1_793_512_800_000), -5 * 3600)];
        Zone::new("America/New_York", -5 * 3600, changes)
    }

    #[test]
    fn a_local_time_is_once_twice_or_never() {
        let zone = new_york();
        assert_eq!(at(&zone, "2026-03-08", "01:59"), Resolved::Once(Moment(1_772_953_140_000)));
        assert_eq!(at(&zone, "2026-03-08", "02:30"), Resolved::Never(Moment(1_772_953_200_000)));
        assert_eq!(at(&zone, "2026-03-08", "03:00"), Resolved::Once(Moment(1_772_953_200_000)));
        let first = Moment(1_793_511_000_000);
        assert_eq!(at(&zone, "2026-11-01", "01:30"), Resolved::Twice(first, Moment(first.0 + 3_600_000)));
        assert_eq!(at(&zone, "2026-11-01", "02:00"), Resolved::Once(Moment(1_793_516_400_000)));
        assert_eq!(at(&zone, "2026-10-31", "25:30"), at(&zone, "2026-11-01", "01:30"));
    }

    #[test]
    fn every_moment_has_a_local_time_that_leads_back_to_it() {
        let zone = new_york();
        for hours in 0..24 * 365 {
            let moment = Moment(1_767_225_600_000 + hours * 3_600_000);
            let (date, ms) = zone.local(moment);
            let back = zone.resolve(date, TimeOfDay::new(ms / 1000).unwrap());
            assert!(
                matches!(back, Resolved::Once(found) if found == moment)
                    || matches!(back, Resolved::Twice(a, b) if a == moment || b == moment),
                "{moment:?} {back:?}"
            );
        }
    }
}
