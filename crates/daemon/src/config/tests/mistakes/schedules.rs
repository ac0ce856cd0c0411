//! Mistakes in what triggers a run, and in what happens to runs that cannot begin at their moment.

use super::check;

#[test]
fn triggers() {
    check(
        "[jobs.a]\ncommand = 'a'\n",
        &[
            ("every = '0s'", (3, 9), "`every` is zero", "every = \"6s\""),
            ("every = '-1s'", (3, 9), "`every` is negative: `-1s`", "leave out the sign"),
            ("every = '1 fortnight'", (3, 9), "not a duration: `1 fortnight`", "units are ms, s, m, h, d"),
            ("every = '1ms'", (3, 9), "`every` is too short: `1ms`", "10ms"),
            ("at = '25:00'", (3, 6), "`25:00` is no time of a day", "from 00:00 to 23:59:59"),
            ("at = '24:00'", (3, 6), "`24:00` is no time of a day", "from 00:00 to 23:59:59"),
            ("at = ['09:15', '9.15']", (3, 16), "`9.15` is no time of a day", "at = [\"09:15\""),
            ("at = ['09:15', '9:15']", (3, 16), "`09:15` is there twice", "take one"),
            ("at = []", (3, 6), "`at` is empty", "take it out"),
            ("at = 09:15:00", (3, 6), "`at` is a date or time, but it must be a string", "at = ["),
            ("cron = []", (3, 8), "`cron` is empty", "cron = \"*/5 9-15 * * mon-fri\""),
            ("cron = 5", (3, 8), "`cron` is a whole number, but it must be a string", "cron = "),
            ("cron = ['0 9 * * *', '0 9 * * *']", (3, 22), "`0 9 * * *` is there twice", "take one"),
            (
                "at = '09:15'\ntimezone = 'Asia/Kolkatta'",
                (4, 12),
                "`Asia/Kolkatta` is no time zone",
                "mean `Asia/Kolkata`?",
            ),
            ("at = '09:15'\ntimezone = 'IST'", (4, 12), "`IST` is no time zone", "mean `Asia/Kolkata`?"),
            ("at = '09:15'\ntimezone = 'new york'", (4, 12), "is no time zone", "mean `America/New_York`?"),
            ("at = '09:15'\ntimezone = 'somewhere'", (4, 12), "`somewhere` is no time zone", "IANA"),
            (
                "every = '6s'\ntimezone = 'UTC'",
                (4, 1),
                "`timezone` is declared without `cron` or `at`",
                "take it out",
            ),
        ],
    );
}

#[test]
fn rules() {
    check(
        "[jobs.a]\ncommand = 'a'\nevery = '6s'\n",
        &[
            ("jitter = '6s'", (4, 1), "the jitter, 6s, is not shorter than the interval, 6s", "shorten it"),
            ("jitter = 5", (4, 10), "`jitter` is a number without a unit", "\"5s\""),
            (
                "run-on-start = 'yes'",
                (4, 16),
                "`run-on-start` is a string, but it must be `true` or `false`",
                "= true",
            ),
            ("overlap = 'skipp'", (4, 11), "`skipp` is not an overlap rule", "did you mean `skip`?"),
            (
                "max-overlap = 4",
                (4, 1),
                "`max-overlap` is declared without `overlap = \"allow\"`",
                "add that",
            ),
            (
                "overlap = 'queue'\nmax-overlap = 4",
                (5, 1),
                "declared without `overlap = \"allow\"`",
                "add that",
            ),
            ("overlap = 'allow'\nmax-overlap = 1", (5, 15), "`1` is not a number of runs", "from 2 to 32"),
            ("overlap = 'allow'\nmax-overlap = 33", (5, 15), "`33` is not a number of runs", "from 2 to 32"),
            (
                "overlap = 'allow'\npid-file = 'a.pid'",
                (5, 12),
                "cannot be had with `overlap = \"allow\"`",
                "one pid",
            ),
            (
                "misfire = 'run-last'",
                (4, 11),
                "`run-last` is not a misfire rule",
                "known are `skip`, `run-once`",
            ),
            ("misfire-grace = '0s'", (4, 17), "`misfire-grace` is zero", "10s"),
            ("misfire-grace = '99ms'", (4, 17), "`99ms` is no grace", "from 100ms to 31 days"),
            ("misfire-grace = '32d'", (4, 17), "`32d` is no grace", "from 100ms to 31 days"),
            ("on-close = 'stop'", (4, 1), "`on-close` is declared without `window`", "window = \"NSE\""),
            ("final-run = true", (4, 1), "`final-run` is declared without `window`", "window = \"NSE\""),
            ("trigger = 'stdin'", (4, 1), "`trigger` belongs to services", "[services.a]"),
            ("drain-timeout = '5m'", (4, 1), "`drain-timeout` belongs to services", "[services.a]"),
            ("coalesce = true", (4, 1), "no key `coalesce`", "did you mean `misfire`?"),
        ],
    );
    check(
        "[jobs.a]\ncommand = 'a'\n",
        &[
            (
                "run-on-start = true",
                (3, 1),
                "`run-on-start` is declared without `every`, `cron` or `at`",
                "say when",
            ),
            ("overlap = 'queue'", (3, 1), "declared without `every`, `cron` or `at`", "say when it runs"),
            ("misfire-grace = '1s'", (3, 1), "declared without `every`, `cron` or `at`", "say when it runs"),
            ("jitter = '1s'", (3, 1), "declared without `every`, `cron` or `at`", "say when it runs"),
            (
                "window = 'w'\n[windows.w]\nopen = '9:00'\nclose = '9:30'",
                (3, 1),
                "without `every`, `cron`",
                "say when",
            ),
        ],
    );
}

#[test]
fn services() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("cron = '* * * * *'", (3, 1), "`cron` belongs to jobs", "move it to [jobs.a], or tick a worker"),
            ("overlap = 'skip'", (3, 1), "`overlap` belongs to jobs", "`trigger = \"stdin\"`"),
            ("final-run = true", (3, 1), "`final-run` belongs to jobs", "`trigger = \"stdin\"`"),
            ("max-overlap = 4", (3, 1), "`max-overlap` belongs to jobs", "declare it under [jobs.a]"),
            (
                "trigger = 'stdn'\nevery = '6s'",
                (3, 11),
                "`stdn` is not a way to be triggered",
                "did you mean `stdin`?",
            ),
            (
                "trigger = 'stdin'",
                (3, 1),
                "`trigger` is declared without `every`, `cron` or `at`",
                "say when",
            ),
            ("on-close = 'drain'", (3, 1), "`on-close` is declared without `window`", "window = \"NSE\""),
            (
                "drain-timeout = '5m'",
                (3, 1),
                "`drain-timeout` is declared without `window`",
                "window = \"NSE\"",
            ),
            (
                "trigger = 'stdin'\nevery = '6s'\noverlap = 'replace'",
                (5, 1),
                "`overlap = \"replace\"` cannot be had with `trigger = \"stdin\"`",
                "`skip` or `queue`",
            ),
            (
                "trigger = 'stdin'\nevery = '6s'\nmax-overlap = 4",
                (5, 1),
                "`max-overlap` belongs to jobs",
                "[jobs.a]",
            ),
            (
                "window = 'w'\ndrain-timeout = '5m'\n[windows.w]\nopen = '9:00'\nclose = '9:30'",
                (4, 1),
                "`drain-timeout` is declared without `on-close = \"drain\"`",
                "add that",
            ),
            (
                "window = 'w'\non-close = 'drain'\ndrain-timeout = '0s'\n[windows.w]\nopen = '9:00'\nclose = '9:30'",
                (5, 17),
                "`drain-timeout` is zero",
                "5m",
            ),
        ],
    );
}

#[test]
fn cron_expressions_are_marked_where_they_are_wrong() {
    check(
        "[jobs.a]\ncommand = 'a'\n",
        &[
            ("cron = '0 0 9 * * mon 2026'", (3, 23), "the expression has 7 fields", "five fields: minute"),
            ("cron = '0 9 * *'", (3, 9), "the expression has 4 fields", "five fields: minute"),
            ("cron = ''", (3, 8), "the expression has 0 fields", "five fields: minute"),
            ("cron = '*/5 9-24 * * mon-fri'", (3, 15), "`24` is no hour", "0 to 23"),
            ("cron = '0 9 * * mo'", (3, 17), "`mo` is no day of the week", "sun to sat"),
            ("cron = ['0 9 * * *', '0 0 30 2 *']", (3, 27), "it never fires", "a day that every month has"),
            // Behind an escape the places in the string are not those of the file.
            ("cron = \"0 9\\t* * x\"", (3, 8), "`x` is no day of the week", "sun to sat"),
            ("cron = \"0 9 * * \\u001b\"", (3, 8), "`\\u{1b}` is no day of the week", "sun to sat"),
        ],
    );
}
