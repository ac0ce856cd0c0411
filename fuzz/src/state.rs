//! What a daemon finds in `.soloist`, where somebody may have been before: the ledger, and what lies at a claim.

use std::fs;
use std::sync::LazyLock;

use soloist_daemon::inner::Ledger;
use soloist_os::claim::{Claim, held_by};
use soloist_os::layout::Place;
use soloist_os::record::Record;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// A ledger: what can be read is kept, what cannot is moved aside and said; then it is written and read again.
pub fn ledger(data: &[u8]) {
    let path = FOLDER.path().join("ledger.json");
    fs::write(&path, data).expect("a file");
    let names = ["api", "db", "scan~2", ""];
    let wanted = names.map(|name| Ledger::wants(&path, name));
    let (mut ledger, said) = Ledger::open(&path);
    assert_eq!(names.map(|name| ledger.wishes(name)), wanted);
    let aside = path.with_extension("json.corrupt");
    if said.is_some() {
        assert_eq!(fs::read(&aside).expect("it was moved aside"), data);
        assert!(!path.exists() && !wanted.contains(&true) && ledger.is_up("found alive", true));
        fs::remove_file(&aside).expect("a file");
    }
    for name in names {
        assert!(ledger.followed(name).is_none_or(|(since, followed)| since <= followed));
    }
    ledger.note("api", true);
    ledger.note("db", false);
    ledger.write().expect("it is written");
    let followed = names.map(|name| ledger.followed(name));
    let (again, said) = Ledger::open(&path);
    assert!(said.is_none() && again.wishes("api") && !again.wishes("db"));
    assert_eq!(names.map(|name| again.followed(name)), followed);
    assert!(
        names.iter().all(|name| again.queued(name) == ledger.queued(name)) && Ledger::is_abandoned(&path)
    );
}

/// A record, or a lock file: what is read of it is the same when it is written; nobody is believed to live for what it
/// says, and the token of a claim only grows.
pub fn records(data: &[u8]) {
    let place = Place { base: FOLDER.path().join("state"), instance: "api".to_owned() };
    place.make().expect("its folders");
    fs::write(place.record(), data).expect("a file");
    fs::write(place.claim(), data).expect("a file");
    assert_eq!(held_by(&place), None, "nobody of this boot is named");
    if let Some(record) = Record::read(&place.record()) {
        record.write(&place).expect("it is written");
        assert_eq!(Record::read(&place.record()), Some(record));
    }
    let claim = Claim::take(&place.claim()).expect("a file").expect("nobody has it");
    let kept = content(data);
    let (first, second) = (claim.next_token(), claim.next_token());
    assert!(second > first || first == u64::MAX, "{first} before {second}");
    let now = content(&fs::read(place.claim()).expect("a file"));
    for (key, value) in kept.iter().filter(|(key, _)| *key != "token") {
        assert_eq!(now.get(key), Some(value), "of another version, and kept");
    }
}

fn content(bytes: &[u8]) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_slice(bytes).unwrap_or_default()
}
