//! Cron in the core against oracles that nobody here wrote: croner for the fields and the search, jiff for the zones.

use std::str::FromStr as _;

use croner::parser::CronParser;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use proptest::prelude::*;
use soloist_core::schedule::civil::Moment;
use soloist_core::schedule::cron::Cron;
use soloist_core::schedule::zone::Zone;
use soloist_daemon::zones;

/// The last two never change their clocks.
const ZONES: [&str; 5] = ["America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"];

/// Croner reads `5/10` only if it is told to.
fn croner(text: &str) -> croner::Cron {
    CronParser::builder().sloppy_ranges(true).build().parse(text).unwrap()
}

fn moment(at: &Zoned) -> Moment {
    Moment(at.timestamp().as_millisecond())
}

/// A value, a range, or either with a step.
fn item(least: u32, most: u32) -> impl Strategy<Value = String> {
    let ends = (least..=most, least..=most).prop_map(|(a, b)| (a.min(b), a.max(b)));
    (ends, 2..=most - least, 0..6).prop_map(|((first, last), step, shape)| match shape {
        0 => format!("{first}-{last}"),
        1 => format!("{first}-{last}/{step}"),
        2 => format!("{first}/{step}"),
        _ => first.to_string(),
    })
}

/// One to three items.
fn list(least: u32, most: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => item(least, most),
        1 => prop::collection::vec(item(least, most), 1..4).prop_map(|items| items.join(",")),
    ]
}

/// A list or something with a star.
fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("*".to_owned()),
        1 => (1..=most - least).prop_map(|step| format!("*/{step}")),
        4 => list(least, most),
    ]
}

/// Day and weekday. Croner takes `*/2` for a restricted field, we as Vixie do not: it is only here beside a plain `*`.
fn days() -> impl Strategy<Value = (String, String)> {
    let star = || Just("*".to_owned());
    let names =
        || prop_oneof![Just("mon-fri"), Just("sun"), Just("Sat-Sun"), Just("TUE,thu")].prop_map(String::from);
    let day = || prop_oneof![4 => list(1, 31), 1 => Just("L".to_owned()), 1 => Just("13,L".to_owned())];
    prop_oneof![
        (field(1, 31), star()),
        (day(), star()),
        (star(), field(0, 7)),
        (star(), names()),
        (day(), list(0, 7)),
        (day(), names()),
    ]
}

fn month() -> impl Strategy<Value = String> {
    prop_oneof![2 => Just("*".to_owned()), 1 => Just("feb,Mar,nov".to_owned()), 1 => field(1, 12)]
}

/// A moment of the years 2000 to 2037; half of them within hours of a change of the clocks, if the zone has any.
fn start(zone: &TimeZone, ms: i64, around: Option<i64>) -> Timestamp {
    let at = Timestamp::from_millisecond(946_684_800_000 + ms).unwrap();
    let change = zone.following(at).next().map(|change| change.timestamp());
    match (around, change) {
        (Some(seconds), Some(change)) => change + SignedDuration::from_secs(seconds),
        _ => at,
    }
}

fn starts() -> impl Strategy<Value = (i64, Option<i64>)> {
    (0..1_167_600_000_000_i64, prop::option::of(-9000..9000_i64))
}

/// Whether both sides take it for the same kind of job. A list or a range of plain hours or minutes and more than one
/// second are fixed times to us and to Vixie, to croner they are repeated ones.
fn is_same_kind(second: &str, minute: &str, hour: &str) -> bool {
    let is_repeated = [minute, hour].iter().any(|field| field.contains(['*', '/']));
    is_repeated || [second, minute, hour].iter().all(|field| field.bytes().all(|b| b.is_ascii_digit()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_next_moments_are_those_of_croner(
        second in prop_oneof![2 => Just("0".to_owned()), 1 => field(0, 59)],
        minute in field(0, 59),
        hour in field(0, 23),
        (day, weekday) in days(),
        month in month(),
        (ms, around) in starts(),
        zone in 0..5_usize,
    ) {
        let text = format!("{second} {minute} {hour} {day} {month} {weekday}");
        let name = if is_same_kind(&second, &minute, &hour) { ZONES[zone] } else { ZONES[3 + zone % 2] };
        let (ours, theirs) = (zones::named(name).unwrap(), TimeZone::get(name).unwrap());
        let cron = match Cron::parse(&text) {
            Ok(cron) => cron,
            Err(error) => {
                prop_assert!(error.why.starts_with("it never fires"), "{}: {:?}", text, error);
                return Ok(());
            }
        };
        let oracle = croner(&text);
        let mut at = start(&theirs, ms, around).to_zoned(theirs);
        for _ in 0..4 {
            let expected = oracle.find_next_occurrence(&at, false).unwrap();
            let found = cron.next(moment(&at), &ours);
            prop_assert_eq!(found, Some(moment(&expected)), "{} after {}: {}", text, at, expected);
            at = expected;
        }
    }
}

/// All moments of a cron expression of whole minutes within a day, from its definition: each minute is looked at. Only
/// which fields a time of day meets is asked of croner.
fn by_definition(text: &str, zone: &TimeZone, after: Timestamp) -> Vec<Moment> {
    let oracle = croner(text);
    let until = after + SignedDuration::from_hours(24);
    let is_repeated = text.split(' ').take(2).any(|field| field.contains(['*', '/']));
    let mut found = Vec::new();
    if is_repeated {
        let first = after.as_second().div_euclid(60) + 1;
        let minutes = (first..first + 24 * 60).map(|minute| Timestamp::from_second(minute * 60).unwrap());
        found.extend(minutes.filter(|at| oracle.is_time_matching(&zone.to_datetime(*at)).unwrap()));
    } else {
        let from = zone.to_datetime(after - SignedDuration::from_hours(24));
        let first = from.with().second(0).subsec_nanosecond(0).build().unwrap();
        let minutes = (0..72 * 60).map(|minutes| first + SignedDuration::from_mins(minutes));
        for time in minutes.filter(|time| oracle.is_time_matching(time).unwrap()) {
            let ambiguous = zone.to_ambiguous_timestamp(time);
            let is_gap = matches!(ambiguous.offset(), jiff::tz::AmbiguousOffset::Gap { .. });
            let earlier = ambiguous.earlier().unwrap();
            found.push(if is_gap { zone.following(earlier).next().unwrap().timestamp() } else { earlier });
        }
    }
    found.dedup();
    found.retain(|at| *at > after && *at <= until);
    found.into_iter().map(|at| Moment(at.as_millisecond())).collect()
}

/// The last three also change their clocks around midnight.
const CHANGING: [&str; 6] = [
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Havana",
    "Asia/Gaza",
];

fn all_until(cron: &Cron, zone: &Zone, after: Moment, until: Moment) -> Vec<Moment> {
    let following = std::iter::successors(Some(after), |at| cron.next(*at, zone));
    following.skip(1).take_while(|at| *at <= until).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_moment_of_a_day_is_left_out_or_made_up(
        minute in field(0, 59),
        hour in prop_oneof![field(0, 23), list(0, 3)],
        (ms, seconds) in (0..1_167_600_000_000_i64, -64_800..10_800_i64),
        zone in 0..6_usize,
    ) {
        let text = format!("{minute} {hour} * * *");
        let (ours, theirs) = (zones::named(CHANGING[zone]).unwrap(), TimeZone::get(CHANGING[zone]).unwrap());
        let after = start(&theirs, ms, Some(seconds));
        let from = Moment(after.as_millisecond());
        let found = all_until(&Cron::parse(&text).unwrap(), &ours, from, Moment(from.0 + 24 * 3_600_000));
        prop_assert_eq!(found, by_definition(&text, &theirs, after), "{} after {} in {}", text, after, CHANGING[zone]);
    }
}

#[test]
fn what_is_refused_because_it_never_fires_never_fires_to_croner_either() {
    let now = Zoned::from_str("2026-01-01T00:00:00[UTC]").unwrap();
    for text in ["0 0 31 2 *", "0 0 30 feb *", "0 0 31 apr,jun,sep,nov *"] {
        assert!(Cron::parse(text).unwrap_err().why.starts_with("it never fires"), "{text}");
        assert!(croner(text).find_next_occurrence(&now, false).is_err(), "{text}");
    }
}
