//! Single values of soloist.toml, each in the place where it is read: durations, sizes, ports, times, days, zones, limits.
//! And the files of `env-file`.

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use soloist_core::schedule::calendar::Session;
use soloist_core::schedule::civil::{Date, TimeOfDay};
use soloist_daemon::config::{Config, Declared, duration, interval};
use tempfile::TempDir;

/// Where the value stands; what it is must be told by the reader of that key alone.
const PLACES: [&str; 20] = [
    "[services.a]\ncommand = 'x'\nstop-grace = ",
    "[services.a]\ncommand = 'x'\nmemory-max = ",
    "[services.a]\ncommand = 'x'\ncpu-max = ",
    "[services.a]\ncommand = 'x'\numask = ",
    "[services.a]\ncommand = 'x'\nrestart = ",
    "[services.a]\ncommand = 'x'\nwatch = ",
    "[services.a]\ncommand = 'x'\nlisten = ",
    "[services.a]\ncommand = 'x'\nlog.size = ",
    "[services.a]\ncommand = 'x'\nlog.mask = ",
    "[services.a]\ncommand = 'x'\nport = 9\nreadiness.http = ",
    "[services.a]\nport.prefer = 8001\ncommand = 'x'\nport.else = ",
    "[services.a]\ncommand = ",
    "[jobs.a]\ncommand = 'x'\nevery = ",
    "[jobs.a]\ncommand = 'x'\ncron = ",
    "[jobs.a]\ncommand = 'x'\nat = ",
    "[windows.a]\ndays = 'mon'\nopen = '9:00'\nclose = ",
    "[windows.a]\nopen = '9:00'\nclose = '10:00'\ndays = ",
    "[windows.a]\nsessions = ",
    "[windows.a]\nopen = '9:00'\nclose = '10:00'\ntimezone = ",
    "[project]\nname = ",
];

/// A value of a key, as text.
pub fn values(data: &[u8]) {
    let Some((place, rest)) = super::choose(data, PLACES.len()) else { return };
    let Ok(text) = str::from_utf8(rest) else { return };
    core(text);
    let spoken = duration(text);
    if let Ok(found) = spoken {
        let again = format!("{}s {}ns", found.as_secs(), found.subsec_nanos());
        // It takes no more than eleven digits.
        assert!(again.len() > 14 || duration(&again) == Ok(found), "{found:?}");
    }
    if let Ok(found) = interval(text) {
        assert!(duration(text.trim()) == Ok(found) && found >= Duration::from_millis(10));
    }
    let toml = format!("{}{}\n", PLACES[place], toml::Value::from(text));
    match Config::parse(&toml, "/".as_ref(), "soloist.toml") {
        Ok(config) => fits(place, text, config.declared.first()),
        Err(error) => assert!(!error.problems().is_empty() && error.to_string().contains("soloist.toml:")),
    }
}

/// What was read is what a person reads there.
fn fits(place: usize, text: &str, declared: Option<&Declared>) {
    let Some(declared) = declared else { return };
    match place {
        0 => assert_eq!(duration(text.trim()), Ok(declared.plan.stop_grace)),
        1 => {
            let found = declared.program.limits.memory_max.expect("a limit");
            let again = format!("{}\"{}KiB\"\n", PLACES[1], found as f64 / 1024.0);
            let again = Config::parse(&again, "/".as_ref(), "soloist.toml").expect("the same size");
            assert_eq!(again.declared[0].program.limits.memory_max, Some(found));
        }
        11 => assert!(!declared.program.argv.is_empty()),
        12 => assert_eq!(interval(text).ok(), declared.plan.interval()),
        _ => {}
    }
}

/// Times and dates are read again from what they are shown as.
fn core(text: &str) {
    if let Some(time) = TimeOfDay::parse(text) {
        assert_eq!(TimeOfDay::parse(&time.to_string()), Some(time));
    }
    if let Some(date) = Date::parse(text) {
        assert_eq!(Date::parse(&date.to_string()), Some(date));
        let (year, month, day) = date.parts();
        assert_eq!(Date::new(year, month, day), Some(date));
    }
    if let Some(session) = Session::parse(text) {
        assert_eq!(Session::parse(&session.to_string()), Some(session));
    }
}

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// A file of `env-file`: the variables it sets are such as a process can have.
pub fn env_file(data: &[u8]) {
    let root = FOLDER.path();
    fs::write(root.join("fuzz.env"), data).expect("a file");
    let read = || Config::parse("[services.a]\ncommand = 'x'\nenv-file = 'fuzz.env'\n", root, "soloist.toml");
    match read() {
        Ok(config) => {
            let env = &config.declared[0].program.env;
            for (name, value) in env {
                assert!(
                    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'),
                    "{name:?}={value:?}"
                );
            }
            // What is left out by a comment changes nothing.
            fs::write(
                root.join("fuzz.env"),
                [b"# first\n", data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)].concat(),
            )
            .expect("a file");
            assert_eq!(read().expect("the same file").declared[0].program.env, *env);
        }
        Err(error) => {
            let lines = data.split(|byte| *byte == b'\n').count();
            let said = error.problems()[0].message.clone();
            let line = said.split("fuzz.env:").nth(1).and_then(|rest| rest.split(':').next()?.parse().ok());
            assert!(line.is_some_and(|line: usize| (1..=lines).contains(&line)), "{said}");
        }
    }
}
