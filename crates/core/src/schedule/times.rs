//! Times of every day: when the next of them is.

use super::civil::{Moment, TimeOfDay};
use super::zone::Zone;

/// The first moment after this one at which it is one of these times; none without times. A time over which the clocks
/// leap is when they do, one that is twice is the first time.
pub fn next_of(times: &[TimeOfDay], after: Moment, zone: &Zone) -> Option<Moment> {
    let today = zone.date(after);
    // Times reach into the next day but one, and a leap of the clocks may leave out a day.
    let days = (-2..=2).map(|ahead| today.plus(ahead));
    let moments = days.flat_map(|day| times.iter().map(move |time| zone.resolve(day, *time).moment()));
    moments.filter(|moment| *moment > after).min()
}

#[cfg(test)]
mod tests {
    use super::super::civil::moment;
    use super::*;

    fn following(times: &[&str], zone: &Zone, mut after: Moment, count: usize) -> Vec<Moment> {
        let times: Vec<TimeOfDay> = times.iter().filter_map(|time| TimeOfDay::parse(time)).collect();
        let mut found = Vec::new();
        while found.len() < count {
            after = next_of(&times, after, zone).unwrap();
            found.push(after);
        }
        found
    }

    #[test]
    fn each_time_is_once_a_day_whatever_the_clocks_do() {
        let changes =
            vec![(moment("2026-03-08 02:00", -5), -4 * 3600), (moment("2026-11-01 02:00", -4), -5 * 3600)];
        let zone = Zone::new("America/New_York", -5 * 3600, changes);
        let spring = following(&["02:15", "02:45", "3:30"], &zone, moment("2026-03-07 12:00", -5), 3);
        let expected = ["2026-03-08 03:00", "2026-03-08 03:30", "2026-03-09 02:15"];
        assert_eq!(spring, expected.map(|text| moment(text, -4)));
        let autumn = following(&["01:30", "24:30"], &zone, moment("2026-11-01 00:30", -4), 3);
        let expected = [("2026-11-01 01:30", -4), ("2026-11-02 00:30", -5), ("2026-11-02 01:30", -5)];
        assert_eq!(autumn, expected.map(|(text, offset)| moment(text, offset)));
    }

    #[test]
    fn a_day_that_a_zone_left_out_delays_its_times_to_the_next() {
        // Samoa went from 29 to 31 December 2011.
        let zone = Zone::new("Pacific/Apia", -10 * 3600, vec![(moment("2011-12-30 00:00", -10), 14 * 3600)]);
        let found = following(&["09:00"], &zone, moment("2011-12-29 09:00", -10), 2);
        assert_eq!(found, [moment("2011-12-31 00:00", 14), moment("2011-12-31 09:00", 14)]);
        assert_eq!(next_of(&[], Moment(0), &zone), None);
    }
}
