//! The format of `soloist.toml` from outside: what a good file gives, and what each mistake is answered with.
//! Looks only through `Config::load` and `Config::parse`, so that the inside may change.

use std::fs;
use std::time::Duration;

use soloist_core::plan::{Backoff, Condition, Kind, Need, Plan, Restart, RestartLimit};

use super::*;

mod logs;
mod mistakes;
mod more;
mod page;
mod schedules;

fn ready(on: &str) -> Need {
    Need { on: on.to_owned(), until: Condition::Ready }
}

const GOOD: &str = r#"# A market.
[project]
name = "market"

[services.db]
command = ["postgres", "-D", "a b"]
port = 5432
scope = "machine"
stop-signal = "SIGINT"

[jobs.processor]
command = "target/release/market process 'a b'"
every = "6s"
depends-on = ["db"]

[services.api]
command = ["./market", "serve"]
dir = "sub"
env = { KEY = "value", COUNT = 0x10, SHARE = 0.5, DEBUG = true }
ports = [9000, 9001]
restart = "on-failure:3"
stop-signal = "USR1"
stop-grace = "2500ms"
ready-timeout = "1m 30s"
success-exit-codes = [0, 143]
backoff = { first = "2s", max = "10s", reset-after = "1m" }
restart-limit = { count = 5, period = "1h" }
depends-on = ["db", "processor"]
pid-file = "run/api.pid"

[jobs."once.v2"]
command = "sh -c 'a && b'"
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    fs::create_dir(folder.path().join("sub")).expect("a folder in it");
    fs::write(folder.path().join("file"), "").expect("a file in it");
    folder
}

#[test]
fn a_full_file_is_read_in_its_order() {
    let folder = folder();
    let root = folder.path();
    let config = Config::parse(GOOD, root, FILE_NAME).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.project, "market");
    assert_eq!(config.root, root);
    let names: Vec<_> = config.declared.iter().map(|declared| declared.name.as_str()).collect();
    assert_eq!(names, ["db", "processor", "api", "once.v2"]);

    let [db, processor, api, once] = config.declared.as_slice() else { panic!("{config:?}") };
    assert_eq!(db.program.argv, ["postgres", "-D", "a b"]);
    assert_eq!(db.program.scope, Scope::Machine);
    assert_eq!(db.program.stop_signal, 2);
    assert_eq!(db.program.dir, root);
    assert_eq!(db.program.executable(), Path::new("postgres"));
    assert_eq!(db.plan, Plan { ports: vec![5432], ..Plan::default() });

    assert_eq!(processor.program.argv, ["target/release/market", "process", "a b"]);
    assert_eq!(processor.program.executable(), root.join("target/release/market"));
    assert_eq!(processor.plan.interval(), Some(Duration::from_secs(6)));
    assert_eq!(processor.plan.restart, Restart::No);
    assert_eq!(processor.plan.needs, [ready("db")]);

    assert_eq!(api.program.dir, root.join("sub"));
    assert_eq!(api.program.executable(), root.join("sub/market"));
    assert_eq!(api.program.pid_file, Some(root.join("run/api.pid")));
    let env: Vec<_> = api.program.env.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(env, [("COUNT", "16"), ("DEBUG", "true"), ("KEY", "value"), ("SHARE", "0.5")]);
    let seconds = Duration::from_secs;
    let expected = Plan {
        kind: Kind::Service,
        ports: vec![9000, 9001],
        needs: vec![ready("db"), ready("processor")],
        restart: Restart::OnFailure(Some(3)),
        backoff: Backoff { first: seconds(2), max: seconds(10), reset_after: seconds(60) },
        limit: RestartLimit { count: 5, period: seconds(3600) },
        stop_grace: Duration::from_millis(2500),
        ready_timeout: seconds(90),
        success_codes: vec![0, 143],
        ..Plan::default()
    };
    assert_eq!(api.plan, expected);
    assert_eq!((once.plan.kind, &once.plan.schedule), (Kind::Job, &None));
    assert_eq!(once.program.argv, ["sh", "-c", "a && b"]);
}

#[test]
fn an_empty_file_declares_nothing_and_is_named_after_its_folder() {
    let folder = folder();
    let root = folder.path().join("sub");
    let config = Config::parse("", &root, FILE_NAME).expect("nothing is wrong in it");
    let expected = Config { project: "sub".to_owned(), ..Config::empty(&root) };
    assert_eq!(config, expected);
    assert_eq!(Config::empty(&root).project, "sub");
    assert_eq!(Config::empty(Path::new("/")).project, "project");
}

#[test]
fn load_takes_the_true_path_of_the_folder() {
    let folder = folder();
    fs::write(folder.path().join("sub").join(FILE_NAME), "[services.a]\ncommand = 'a'\n").expect("a file");
    let config = Config::load(&folder.path().join("sub/../sub")).expect("nothing is wrong in it");
    assert_eq!(config.root, folder.path().join("sub").canonicalize().expect("it is there"));
    assert_eq!(config.declared[0].program.dir, config.root);
}

#[test]
fn a_missing_file_is_told_apart_and_says_what_to_do() {
    let folder = folder();
    let error = Config::load(folder.path()).unwrap_err();
    assert!(error.is_missing());
    let report = error.to_string();
    assert!(report.contains("there is no soloist.toml in") && report.contains("[services.web]"), "{report}");

    let error = Config::load(&folder.path().join("nowhere")).unwrap_err();
    assert!(!error.is_missing() && error.problems().is_empty());
    assert!(error.to_string().contains("nowhere: "), "{error}");
}

#[test]
fn the_example_for_a_missing_file_is_itself_good() {
    let folder = folder();
    let report = Config::load(folder.path()).unwrap_err().to_string();
    let example: Vec<_> = report.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let config = Config::parse(&example.join("\n"), folder.path(), FILE_NAME).expect("the example is good");
    assert_eq!(config.declared.len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = folder();
    fs::create_dir(folder.path().join(FILE_NAME)).expect("a folder where a file should be");
    let error = Config::load(folder.path()).unwrap_err();
    assert!(!error.is_missing());
    let report = error.to_string();
    assert!(
        report.contains("cannot read") && report.contains("directory") && report.contains("help: move"),
        "{report}"
    );
}

#[test]
fn a_file_that_is_not_utf_8_says_where() {
    let folder = folder();
    fs::write(folder.path().join(FILE_NAME), b"# \xc3\xa9\nname = \"\xff\"\n").expect("a file");
    let error = Config::load(folder.path()).unwrap_err();
    let [problem] = error.problems() else { panic!("{error}") };
    assert_eq!((problem.line, problem.column), (2, 9));
    let report = error.to_string();
    assert!(report.contains("not valid UTF-8") && report.contains("0xff"), "{report}");
    assert!(report.contains("soloist.toml:2:9"), "{report}");
}

#[test]
fn the_ways_of_other_editors_are_read() {
    let folder = folder();
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    let plain = Config::parse(GOOD, folder.path(), FILE_NAME).expect("it is good");
    assert_eq!(Config::parse(&text, folder.path(), FILE_NAME).expect("so is this"), plain);
}

/// Small, fast and the same everywhere; the test needs variety, not quality.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn no_bytes_make_it_panic() {
    const PIECES: &[&str] = &[
        "[",
        "]",
        "[[",
        "{",
        "}",
        "\"",
        "'",
        "\"\"\"",
        "=",
        ",",
        ".",
        "\n",
        "\r\n",
        "#",
        "-1",
        "0",
        "99999999999999999999",
        "1e9",
        "nan",
        "é",
        "\u{feff}",
        "\0",
        "\\",
        "\\u0000",
        "services.db",
        "[services.db]\n",
        "[[services]]\n",
        "depends-on = [\"api\"]\n",
        "depends-on = { api = \"started\" }\n",
        "instances = [\"a\", \"b\"]\n",
        "readiness.http = \"http://[::1\"\n",
        "liveness.log = \"(\"\n",
        "{instance}",
        "@",
        "port = 5432\n",
        "every = \"0.01s\"\n",
        "at = [\"9:15\", \"23:59:59\"]\n",
        "cron = \"*/7 * é * *\"\n",
        "overlap = \"allow\"\n",
        "trigger = \"stdin\"\n",
        "timezone = \"Europe/Lundon\"\n",
        "window = \"market\"\n",
        "[[windows.market.regimes]]\n",
        "[calendars.c]\nfile = \"file\"\n",
        "days = \"é-,fri-mon\"\n",
        "sessions = [\"-\", \"22:00-é\", \"47:59-48:00\"]\n",
        "48:00-",
        "$",
        "&&",
        "1979-05-27T07:32:00Z",
        "true",
        "\t",
        "\u{1b}[31m",
        "🦀",
    ];
    let folder = folder();
    let mut dice = Dice(7);
    let example = page::example();
    for number in 0..6_000 {
        let text = if number % 2 == 0 { GOOD } else { &example };
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(5) {
                0 => bytes[at] = dice.below(256) as u8,
                1 => drop(bytes.drain(at..(at + dice.below(12)).min(bytes.len()))),
                2 => drop(bytes.splice(at..at, PIECES[dice.below(PIECES.len())].bytes())),
                3 => bytes.truncate(at.max(1)),
                _ => {
                    let copied = bytes[at..(at + dice.below(60)).min(bytes.len())].to_vec();
                    let to = dice.below(bytes.len());
                    drop(bytes.splice(to..to, copied));
                }
            }
            if bytes.is_empty() {
                bytes.push(b'\n');
            }
        }
        let Err(error) = Config::parse_bytes(&bytes, folder.path(), FILE_NAME, &Changes::default()) else {
            continue;
        };
        assert!(!error.problems().is_empty());
        let report = error.to_string();
        for problem in error.problems() {
            assert!(problem.line > 0 && problem.column > 0 && !problem.help.is_empty(), "{problem:?}");
        }
        assert!(report.starts_with("error: "), "{report}");
    }
}
