//! What calendar files may say, and what is told of those that say it wrong.

use super::*;

const GOOD: &str = r#"timezone = "America/New_York"
valid-through = "2026-12-31"
regimes = [
    { from = "2020-01-01", days = "mon-thu", regular = "09:30-16:00", post = "16:00-20:00" },
    { from = "2020-01-01", days = "fri", regular = "09:30-12:00, 13:00-15:00" },
]
special = [{ date = "2026-02-01", label = "budget", regular = "22:00-26:00" }]
[holidays]
2026 = ["01-26 Republic Day", "03-03"]
[half-days]
regular = "09:30-13:00"
on.2026 = ["11-27", "12-24 before Christmas"]
"#;

#[test]
fn those_that_come_with_soloist_are_found_by_each_of_their_names() {
    for (names, _) in BUILT_IN {
        for name in names {
            assert_eq!(built_in(name).unwrap().name, names[0]);
        }
    }
    assert_eq!(names(), ["NSE", "XBOM", "XNYS"]);
    assert_eq!(built_in("LSE"), None);
}

#[test]
fn a_file_says_which_days_are_not_plain_and_why() {
    let calendar = parse("mine", GOOD).unwrap();
    let told: Vec<String> = calendar
        .exceptions
        .iter()
        .map(|(date, day)| {
            let sessions: Vec<String> = day.regular.iter().map(Session::to_string).collect();
            format!("{date} {}: {}", day.label, sessions.join(" "))
        })
        .collect();
    let expected = [
        "2026-01-26 Republic Day: ",
        "2026-02-01 budget: 22:00-26:00",
        "2026-03-03 holiday: ",
        "2026-11-27 half day: 09:30-13:00",
        "2026-12-24 before Christmas: 09:30-13:00",
    ];
    assert_eq!(told, expected);
    assert_eq!((calendar.name.as_str(), calendar.zone.name()), ("mine", "America/New_York"));
    assert_eq!(calendar.regimes.len(), 2);
    assert_eq!(calendar.regimes[1].day.regular.len(), 2);
}

#[test]
fn days_are_ranges_and_lists() {
    let of = |list: &[usize]| Some(Days::of(&list.iter().map(|at| Weekday::ALL[*at]).collect::<Vec<_>>()));
    assert_eq!(days("mon-fri"), Some(Days::workdays()));
    assert_eq!(days("Sun-Thu"), of(&[6, 0, 1, 2, 3]));
    assert_eq!(days("mon, wed,sat - sun"), of(&[0, 2, 5, 6]));
    assert_eq!(days("fri-fri"), of(&[4]));
    for wrong in ["", "mon-", "mo", "monday", "mon fri", "mon-wed-fri"] {
        assert_eq!(days(wrong), None, "{wrong}");
    }
}

#[test]
fn each_mistake_is_one_clear_line_with_its_place() {
    for (right, wrong, expected) in [
        (
            "America/New_York",
            "america/newyork",
            "1:12: \"america/newyork\" is no time zone; did you mean `America/New_York`?",
        ),
        (
            "America/New_York",
            "Mars",
            "1:12: \"Mars\" is no time zone; write a name of the IANA database, like `Asia/Kolkata`; it need not be abbreviated",
        ),
        ("2026-12-31", "31.12.2026", "2:17: \"31.12.2026\" is no date; write it like `2026-08-03`"),
        ("mon-thu", "mon-th", "4:35: \"mon-th\" are no days; write them like `mon-fri` or `mon, wed`"),
        (
            "mon-thu",
            "mon-fri",
            "5:14: two regimes begin on 2020-01-01 for the same days; give each other days, or the later one its own first day",
        ),
        (
            "01\", days = \"fri",
            "01\", days = \"sat\", pre = \"09:00-10:00",
            "5:73: 09:30-12:00 overlaps 09:00-10:00 before it; let it open when that has closed",
        ),
        (
            "13:00-15:00",
            "11:59-15:00",
            "5:52: 11:59-15:00 overlaps 09:30-12:00 before it; let it open when that has closed",
        ),
        (
            "16:00-20:00",
            "16:00-17:00, 18:00-19:00",
            "4:78: \"16:00-17:00, 18:00-19:00\" are several; give one session here",
        ),
        (
            "22:00-26:00",
            "22:00-02:00",
            "7:63: \"22:00-02:00\" closes before it opens; after midnight count on: `22:00-26:00`",
        ),
        ("22:00-26:00", "22:00", "7:63: \"22:00\" is no session; write it like `09:15-15:30`"),
        ("\"03-03\"", "\"02-29 leap\"", "9:31: \"02-29\" is no day of 2026; write month and day: `01-26`"),
        ("\"03-03\"", "\"01-26\"", "9:31: 2026-01-26 is listed twice, also at 9:9; keep one of the two"),
        ("\"11-27\"", "\"03-03\"", "12:12: 2026-03-03 is listed twice, also at 9:31; keep one of the two"),
        ("2026-02-01", "2026-12-24", "7:21: 2026-12-24 is listed twice, also at 12:21; keep one of the two"),
        (
            "valid-through",
            "valid-trough",
            "2:1: unknown key `valid-trough`, expected one of `timezone`, `valid-through`, `regimes`, `holidays`, `half-days`, `special`; docs/calendars.md has all keys and an example",
        ),
        (
            "label",
            "lable",
            "7:35: unknown key `lable`, expected one of `date`, `label`, `regular`, `pre`, `post`; docs/calendars.md has all keys and an example",
        ),
        (
            "\"mon-thu\"",
            "4",
            "4:35: invalid type: integer `4`, expected a string; docs/calendars.md has all keys and an example",
        ),
    ] {
        assert!(GOOD.contains(right), "{right}");
        assert_eq!(parse("mine", &GOOD.replacen(right, wrong, 1)), Err(vec![expected.to_owned()]), "{wrong}");
    }
}

#[test]
fn all_mistakes_are_told_in_their_order_and_no_text_panics() {
    let faults = parse("mine", &GOOD.replace("03-03", "é").replace("2020-01-01", "2020")).unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].starts_with("4:14: ") && faults[2].starts_with("9:31: "), "{faults:?}");
    for end in (0..GOOD.len()).filter(|end| GOOD.is_char_boundary(*end)) {
        let _ = parse("mine", &GOOD[..end]);
    }
    let missing = parse("mine", "").unwrap_err();
    assert_eq!(missing, ["1:1: missing key `timezone`; docs/calendars.md has all keys and an example"]);
}

#[test]
fn the_example_of_the_page_is_a_calendar() {
    let page = include_str!("../../../../docs/calendars.md");
    let example = page.split("```toml\n").nth(2).and_then(|rest| rest.split("```").next()).unwrap();
    let calendar = parse("mine", example).unwrap();
    assert_eq!((calendar.regimes.len(), calendar.exceptions.len()), (2, 5));
}
