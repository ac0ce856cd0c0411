//! The time of day as the tables and the exchanges have it.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

/// UTC without a zone, as all times in the tables.
pub fn utc_now() -> String {
    utc(Timestamp::now())
}

/// A moment as the tables have it.
pub fn utc(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// A moment of the tables.
pub fn parse(text: &str) -> Option<Timestamp> {
    Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Whole seconds since a moment; a clock that was set back makes none of them negative.
pub fn seconds_since(moment: Timestamp) -> i64 {
    Timestamp::now().duration_since(moment).as_secs().max(0)
}

/// Today in Mumbai. India has one zone and no summer time, so its offset spares the reading of a time zone database.
pub fn today_in_mumbai() -> Date {
    let offset = Offset::from_seconds(5 * 3600 + 30 * 60).unwrap_or(Offset::UTC);
    Timestamp::now().to_zoned(TimeZone::fixed(offset)).date()
}
