//! `docs/soloist.toml.md`, the page of all keys, against what is read.

use std::fs;

use super::super::draft::Section;
use super::super::probes::Which;
use super::super::*;
use super::folder;

pub(super) fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/soloist.toml.md")).expect("the page")
}

pub(super) fn example() -> String {
    let page = page();
    let (_, rest) = page.split_once("```toml\n").expect("it has an example");
    rest.split_once("```").expect("it ends").0.to_owned()
}

#[test]
fn every_key_is_on_its_page() {
    let page = page();
    let keys = Section::Services.keys(true).into_iter().chain(Section::Jobs.keys(false));
    let probes = [Which::Startup, Which::Readiness, Which::Liveness].into_iter().flat_map(Which::keys);
    let tables =
        [read::PROJECT_KEYS, listen::HTTP_SECTION_KEYS, settings::BACKOFF_KEYS, settings::LIMIT_KEYS];
    let tables = tables.into_iter().chain([question::HTTP_KEYS, limits::RLIMITS]);
    let tables = tables.chain([sockets::SOCKET_KEYS, spares::PORT_KEYS]).flatten().copied();
    let times =
        [log::PROJECT_LOG_KEYS, almanac::CALENDAR_KEYS, windows::REGIME_KEYS].into_iter().flatten().copied();
    for key in keys.chain(probes).chain(tables).chain(times).chain(windows::keys()) {
        assert!(page.contains(&format!("`{key}`")), "`{key}` is not on the page");
    }
    fn words<T>(of: &[(&'static str, T)]) -> Vec<&'static str> {
        of.iter().map(|(word, _)| *word).collect()
    }
    let times = [
        words(schedules::OVERLAPS),
        words(schedules::MISFIRES),
        words(schedules::ON_CLOSES),
        words(schedules::WAYS),
        words(windows::SESSION_KINDS),
        words(windows::BEYONDS),
    ];
    let restarts = words(settings::RESTARTS);
    for word in restarts.into_iter().chain(words(needs::CONDITIONS)).chain(times.concat()) {
        assert!(page.contains(&format!("`\"{word}\"`")), "{word} is not on the page");
    }
}

#[test]
fn its_example_is_good() {
    let folder = folder();
    let config =
        Config::parse(&example(), folder.path(), FILE_NAME).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.declared.len(), 8);
}
