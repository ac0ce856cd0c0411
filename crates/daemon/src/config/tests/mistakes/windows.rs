//! Mistakes in windows and calendars, told where they stand and not where they are used.

use std::fs;

use super::super::super::*;
use super::super::folder;
use super::check;

#[test]
fn names() {
    check(
        "[windows.market]\nopen = '9:00'\nclose = '9:30'\n[jobs.a]\ncommand = 'a'\nevery = '6s'\n",
        &[
            (
                "window = 'markt'",
                (7, 10),
                "there is no window and no calendar `markt`",
                "did you mean `market`?",
            ),
            (
                "[windows.'a b']\nopen = '9:00'\nclose = '9:30'",
                (7, 10),
                "`a b` is no name for a window",
                "1 to 64",
            ),
            (
                "[windows.'a@b']\nopen = '9:00'\nclose = '9:30'",
                (7, 10),
                "`a@b` is no name for a window",
                "1 to 64",
            ),
            ("[windows.w]\ncalendar = 'NYZE'", (8, 12), "there is no calendar `NYZE`", ""),
            // What is wrong with it is told once, where it stands.
            (
                "window = 'w'\n[windows.w]\nopen = '9:00'",
                (9, 8),
                "`open` is declared without `close`",
                "when it closes",
            ),
            ("window = 'c'\n[calendars.c]\nfile = 'file/x'", (9, 8), "cannot be read", "correct the path"),
        ],
    );
    check(
        "",
        &[
            (
                "[jobs.a]\ncommand = 'a'\nevery = '6s'\nwindow = 5",
                (4, 10),
                "`window` is a whole number",
                "window = ",
            ),
            ("windows = 5", (1, 11), "`windows` is a whole number, but it must be a table", "[windows.NAME]"),
            ("[windows]\nw = 5", (2, 5), "`w` is a whole number, but it must be a table", "[windows.NAME]"),
            ("[window.w]\nopen = '9:00'", (1, 2), "the file has no key `window`", "did you mean `windows`?"),
        ],
    );
}

#[test]
fn hours_by_hand() {
    check(
        "[windows.w]\n",
        &[
            ("", (1, 10), "the window `w` has no hours", "`open` and `close`, `sessions`, or `calendar`"),
            ("timezone = 'UTC'", (1, 10), "the window `w` has no hours", ""),
            ("open = '9:00'", (2, 8), "`open` is declared without `close`", "when it closes"),
            ("close = '9:00'", (2, 9), "`close` is declared without `open`", "when it opens"),
            (
                "open = '9:00'\nclose = '9:00'",
                (3, 9),
                "opens and closes at the same time, 09:00",
                "00:00 and 24:00",
            ),
            (
                "open = '22:00'\nclose = '02:00'",
                (3, 9),
                "it closes at 02:00, before it opens at 22:00",
                "for a session over midnight write `26:00`",
            ),
            ("open = '47:00'\nclose = '46:00'", (3, 9), "it closes at 46:00, before", "later than it opens"),
            ("open = '9'\nclose = '9:30'", (2, 8), "`9` is no time of day", "open = \"09:15\""),
            ("open = '9:00'\nclose = '49:00'", (3, 9), "`49:00` is no time of day", "up to 48:00"),
            ("open = 9\nclose = '9:30'", (2, 8), "`open` is a whole number", "open = \"09:15\""),
            (
                "open = '9:00'\nclose = '9:30'\nsessions = '9:00-9:30'",
                (2, 8),
                "`sessions` stands beside",
                "all of them",
            ),
            ("sessions = []", (2, 12), "`sessions` is empty", "sessions = ["),
            ("sessions = '9:00'", (2, 12), "`9:00` is no session", "sessions = [\"09:00-11:30\""),
            ("sessions = ['9:00-x']", (2, 19), "`x` is no time of day", "sessions = ["),
            ("sessions = ['y-9:00']", (2, 14), "`y` is no time of day", "sessions = ["),
            ("sessions = ['22:00-02:00']", (2, 13), "before it opens", "write `26:00`"),
            (
                "sessions = ['11:00-15:00', '09:00-11:30']",
                (2, 13),
                "the sessions 09:00-11:30 and 11:00-15:00 overlap",
                "make them one",
            ),
            (
                "sessions = ['9:00-10:00', '22:00-34:00']",
                (2, 12),
                "the session 22:00-34:00 overlaps with 09:00-10:00 of the next day",
                "before the other opens",
            ),
            (
                "days = 'mon-fry'\nopen = '9:00'\nclose = '9:30'",
                (2, 13),
                "`fry` is no day of the week",
                "mean `fri`?",
            ),
            (
                "days = ['monday']\nopen = '9:00'\nclose = '9:30'",
                (2, 10),
                "`monday` is no day",
                "mean `mon`?",
            ),
            (
                "days = 'mon, x'\nopen = '9:00'\nclose = '9:30'",
                (2, 14),
                "`x` is no day",
                "known are `mon`, `tue`",
            ),
            ("days = []\nopen = '9:00'\nclose = '9:30'", (2, 8), "`days` is empty", "take it out"),
            (
                "timezone = 'Asia/Calcuta'\nopen = '9:00'\nclose = '9:30'",
                (2, 12),
                "is no time zone",
                "`Asia/Calcutta`",
            ),
            ("opens = '9:00'", (2, 1), "a window has no key `opens`", "did you mean `open`?"),
            ("session = 'regular'", (2, 1), "`session` is declared without `calendar`", "calendar = \"NSE\""),
            ("beyond = 'clsed'", (2, 10), "`clsed` is not an answer", "did you mean `closed`?"),
            (
                "session = 'premarket'",
                (2, 11),
                "`premarket` is not a session of a calendar",
                "known are `regular`, `pre`",
            ),
        ],
    );
}

#[test]
fn regimes_and_dates() {
    check(
        "[windows.w]\nopen = '09:15'\nclose = '15:30'\n",
        &[
            (
                "[[windows.w.regimes]]\nfrom = '2026-08-03'\nopen = '9:00'\nclose = '9:30'\n\
                 [[windows.w.regimes]]\nfrom = '2026-08-03'\nopen = '9:00'\nclose = '9:40'",
                (9, 8),
                "two regimes begin on 2026-08-03",
                "another day",
            ),
            (
                "[[windows.w.regimes]]\nopen = '9:00'\nclose = '9:30'",
                (4, 1),
                "the regime has no first day",
                "from = ",
            ),
            (
                "[[windows.w.regimes]]\nfrom = '2026-08-03'",
                (4, 1),
                "the regime has no hours",
                "`open` and `close`",
            ),
            ("[[windows.w.regimes]]\nfrom = '3 August'", (5, 8), "`3 August` is no day", "2026-11-08"),
            (
                "[[windows.w.regimes]]\nfrom = 2026-08-03",
                (5, 8),
                "`from` is a date or time",
                "from = \"2026-08-03\"",
            ),
            (
                "[[windows.w.regimes]]\ntimezone = 'UTC'",
                (5, 1),
                "a regime has no key `timezone`",
                "known are `from`",
            ),
            ("regimes = 5", (4, 11), "`regimes` is a whole number, but it must be a list", "[[windows"),
            ("[windows.w.dates]\n2026-02-29 = 'closed'", (5, 1), "`2026-02-29` is no day", "a year, a month"),
            ("[windows.w.dates]\n2026-11-08 = 'shut'", (5, 14), "`shut` is no session", "= \"closed\""),
            ("[windows.w.dates]\n2026-11-08 = []", (5, 14), "`2026-11-08` is empty", "closed"),
            (
                "[windows.w.dates]\n2026-11-08 = 'closed'\n'2026-11-08' = '18:00-19:15'",
                (6, 1),
                "is declared twice",
                "keep one",
            ),
        ],
    );
}

#[test]
fn calendars() {
    check(
        "[calendars.c]\n",
        &[
            ("", (1, 12), "the calendar `c` has no file", "file = \"holidays.toml\""),
            ("file = 5", (2, 8), "`file` is a whole number", "file = \"holidays.toml\""),
            (
                "file = 'gone.toml'",
                (2, 8),
                "the calendar file `gone.toml` cannot be read: No such file",
                "create ",
            ),
            ("file = 'sub'", (2, 8), "`sub` cannot be read: it is not a file", "correct the path"),
        ],
    );
}

#[test]
fn a_calendar_file_tells_its_own_mistakes() {
    let folder = folder();
    fs::write(folder.path().join("bytes"), b"\xff").expect("a file");
    let told = |file: &str| {
        let text =
            format!("[calendars.c]\nfile = '{file}'\n[jobs.a]\ncommand = 'a'\nevery = '6s'\nwindow = 'c'\n");
        let error = Config::parse(&text, folder.path(), FILE_NAME).unwrap_err();
        for problem in error.problems() {
            assert_eq!((problem.line, problem.column), (2, 8), "{error}");
        }
        error.problems().iter().map(|problem| problem.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("bytes"), ["the calendar file `bytes` cannot be read: it is not valid UTF-8"]);
    let holidays = "timezone = 'UTC'\nvalid-through = '2026-12-31'\n\
                    regimes = [{ from = '2020-01-01', days = 'mon-fri', regular = '09:30-16:00' }]\n\
                    holidays.2026 = ['03-03', '12-25', '03-03 again']\n";
    fs::write(folder.path().join("twice"), holidays).expect("a file");
    let twice = "twice:4:36: 2026-03-03 is listed twice, also at 4:18; keep one of the two";
    assert_eq!(told("twice"), [twice]);
}

#[test]
fn a_name_near_a_calendar_that_comes_with_soloist() {
    check(
        "[windows.market]\nopen = '9:00'\nclose = '9:30'\n[jobs.a]\ncommand = 'a'\nevery = '6s'\n",
        &[
            ("window = 'NSX'", (7, 10), "no window and no calendar `NSX`", "did you mean `NSE`?"),
            (
                "[windows.w]\ncalendar = 'XNIS'",
                (8, 12),
                "there is no calendar `XNIS`",
                "did you mean `XNYS`?",
            ),
            (
                "[windows.w]\ncalendar = 'NSE'\ntimezone = 'UTC'",
                (9, 1),
                "`calendar` and `timezone` are both declared",
                "under `dates`",
            ),
        ],
    );
}
