//! How logs are kept: what a good table gives, and what is wrong with others.

use soloist_os::guard::{LogRules, OnFull};

use super::super::*;
use super::folder;
use super::mistakes::check;

#[test]
fn a_log_is_kept_as_its_service_says_else_as_its_project_does() {
    let text = "[services.a]\ncommand = 'a'\n\
                log = { size = '1MiB', max-age = false, on-full = 'block', mask = 'token=\\S+' }\n\
                [jobs.b]\ncommand = 'b'\nlog.split = true\nevery = '1h'\noverlap = 'allow'\n\
                [project]\nlog = { keep = 3, compress = false, total = '2MiB', max-age = '1d', mask = ['secret'] }\n";
    let folder = folder();
    let config = Config::parse(text, folder.path(), FILE_NAME).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.log_total, 2 << 20);
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let project = Logging {
        rules: LogRules { max_age_ms: Some(DAY_MS), ..LogRules::default() },
        keep: 3,
        compress: false,
        mask: vec!["secret".to_owned()],
    };
    assert_eq!(config.log, project);
    let a = LogRules { size: 1 << 20, max_age_ms: None, on_full: OnFull::Block, ..LogRules::default() };
    let mask = vec!["secret".to_owned(), "token=\\S+".to_owned()];
    assert_eq!(config.declared[0].program.log, Logging { rules: a, mask, ..project.clone() });
    let b = LogRules { is_split: true, ..project.rules.clone() };
    assert_eq!(config.declared[1].program.log, Logging { rules: b, ..project });
    assert!(config.declared.len() > 2, "lanes");
    assert!(config.declared[2..].iter().all(|lane| lane.program.log == config.declared[1].program.log));

    let standard = Config::parse("[services.a]\ncommand = 'a'\n", folder.path(), FILE_NAME).expect("right");
    assert_eq!((standard.log_total, standard.log.keep, standard.log.compress), (1 << 30, 10, true));
    assert_eq!(standard.log.rules.max_age_ms, Some(30 * DAY_MS));
    assert_eq!(standard.declared[0].program.log, standard.log);
}

#[test]
fn how_a_log_is_kept() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("log = 'a.log'", (3, 7), "`log` is a string, but it must be a table", "log = { size"),
            ("log.size = 5", (3, 12), "`size` is a number without a unit", "size = \"16MiB\""),
            ("log.size = '63KiB'", (3, 12), "is too small for a log", "64KiB are the least"),
            ("log.size = '16M'", (3, 12), "`M` is no unit of a size", "did you mean `\"16MiB\"`?"),
            ("log.keep = -1", (3, 12), "`-1` is not a number of files", "from 0 to 10000"),
            ("log.max-age = '0s'", (3, 15), "`max-age` is zero", "max-age = \"30d\""),
            ("log.max-age = true", (3, 15), "must be a string with a duration", "max-age = \"30d\""),
            ("log.compress = 1", (3, 16), "must be `true` or `false`", "compress = true"),
            ("log.on-full = 'wait'", (3, 15), "`wait` is not an answer to a full disk", "`drop`, `block`"),
            ("log.mask = '('", (3, 12), "`(` is no regular expression", "single quotes"),
            ("log.mask = ['a', 'x*']", (3, 18), "`x*` matches where there is nothing", "token="),
            ("log.total = '1GiB'", (3, 5), "a log has no key `total`", "known are"),
            ("log.max_age = '1d'", (3, 5), "a log has no key `max_age`", "`max-age`"),
        ],
    );
    check("[project]\n", &[("log.totl = '1GiB'", (2, 5), "a log has no key `totl`", "`total`")]);
}
