//! Time zones for the core: what the IANA database says, as data. It is the system's where there is one, else the one
//! that is built in.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use soloist_core::schedule::civil::Moment;
use soloist_core::schedule::zone::Zone;

/// Changes are told from here
const FIRST: i64 = 0;
/// to here: 2100-01-01. Nobody knows the rules so far ahead, and no schedule looks so far.
const LAST: i64 = 4_102_444_800;

/// A zone by its IANA name, whose case does not matter.
pub fn named(name: &str) -> Option<Arc<Zone>> {
    let zone = TimeZone::get(name).ok()?;
    let name = zone.iana_name().unwrap_or(name).to_owned();
    Some(Arc::new(as_data(&name, &zone)))
}

/// The zone of this machine; UTC if it does not say.
pub fn local() -> Arc<Zone> {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    let name = zone.iana_name().unwrap_or("local time").to_owned();
    Arc::new(as_data(&name, &zone))
}

/// All names.
pub fn names() -> Vec<String> {
    jiff::tz::db().available().map(|name| name.to_string()).collect()
}

fn as_data(name: &str, zone: &TimeZone) -> Zone {
    let first = Timestamp::from_second(FIRST).unwrap_or_default();
    let changes = zone
        .following(first)
        .take_while(|change| change.timestamp().as_second() < LAST)
        .map(|change| (Moment(change.timestamp().as_millisecond()), change.offset().seconds()))
        .collect();
    Zone::new(name, zone.to_offset(first).seconds(), changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_core::schedule::civil::{Date, TimeOfDay};
    use soloist_core::schedule::zone::Resolved;

    #[test]
    fn a_zone_says_what_its_database_says() {
        let zone = named("europe/london").unwrap();
        assert_eq!(zone.name(), "Europe/London");
        let date = Date::parse("2027-03-28").unwrap();
        assert!(matches!(zone.resolve(date, TimeOfDay::parse("01:30").unwrap()), Resolved::Never(_)));
        assert_eq!(named("Europe/Atlantis"), None);
        assert!(names().iter().any(|name| name == "Asia/Kolkata"));
    }
}
