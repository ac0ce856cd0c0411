//! A whole soloist.toml, and the calendars, environments and working folders that it names.

use std::fs;
use std::sync::LazyLock;

use soloist_core::schedule::civil::Moment;
use soloist_daemon::config::{Config, FILE_NAME};
use soloist_daemon::schedules::upcoming;
use tempfile::TempDir;

/// A project's folder, with what a declaration may name.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let calendar = "timezone = 'UTC'\nvalid-through = '2030-12-31'\n\
                    [[regimes]]\nfrom = '2000-01-01'\ndays = 'mon-fri'\nregular = '09:00-17:00'\n";
    fs::create_dir(folder.path().join("app")).expect("a folder");
    fs::write(folder.path().join("a.env"), "A=1\n").expect("a file");
    fs::write(folder.path().join("a.toml"), calendar).expect("a file");
    folder
});

/// 2026-03-04 14:00 UTC
const NOW: Moment = Moment(1_772_632_800_000);

/// It is taken as it stands, whatever mark it begins and whatever comment it ends with, or refused in few words; and what
/// it says is due comes in order.
pub fn declaration(data: &[u8]) {
    let root = FOLDER.path();
    let Ok(text) = str::from_utf8(data) else {
        fs::write(root.join(FILE_NAME), data).expect("a file");
        assert!(!Config::load(root).expect_err("it is no text").problems().is_empty());
        return;
    };
    let parse = |text: &str| Config::parse(text, root, FILE_NAME);
    match parse(text) {
        Ok(config) => {
            assert_eq!(parse(&format!("{text}\n# the end")).as_ref().ok(), Some(&config));
            if !text.starts_with('\u{feff}') {
                assert_eq!(parse(&format!("\u{feff}{text}")).as_ref().ok(), Some(&config));
            }
            for declared in &config.declared {
                assert_eq!(config.declared.iter().filter(|other| other.name == declared.name).count(), 1);
                let next = upcoming(declared, 3, NOW).map_or(Vec::new(), |upcoming| upcoming.next);
                assert!(next.is_sorted() && next.iter().all(|at| at.as_millisecond() >= NOW.0), "{next:?}");
            }
        }
        Err(error) => {
            let said = error.to_string();
            assert!(!error.problems().is_empty() && said.contains(FILE_NAME));
            // At most forty problems are shown, each with a line.
            assert!(said.len() < 100_000 + 100 * text.len(), "{} bytes of words", said.len());
        }
    }
}
