//! Each byte that a service writes is in its log once: through rotation and compression, through the death of the daemon
//! and of the guard, and through a full disk, where what is lost is counted.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use e2e::puppet::voice;
use e2e::{Project, Random, daemon, in_namespace, log, puppet, quoted, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);
/// Another one is another test: `E2E_SEED` sets it.
const SEED: u64 = 0x10_6f11e5;

/// `flood` writes so many lines at once, by these rules of its log.
fn flood(lines: u64, log: &str, more: &str) -> Project {
    let command = quoted(&puppet(&["--write", &lines.to_string()]));
    Project::new(&format!("[services.flood]\ncommand = {command}\nlog = {log}\n{more}"))
}

/// Waits until the log of `flood` ends with its last line, and gives all of it.
#[track_caller]
fn whole(project: &Project, lines: u64) -> Vec<u8> {
    let last = voice::line(lines - 1);
    wait_until("the last line is there", LIMIT, || {
        let current = std::fs::read(project.log_file("flood")).unwrap_or_default();
        let is_whole = current.ends_with(last.as_bytes());
        if is_whole { Ok(project.log("flood")) } else { Err(format!("{} bytes", current.len())) }
    })
}

fn names(project: &Project) -> Vec<String> {
    let parts = log::parts(&project.log_file("flood"));
    parts.iter().map(|(_, path)| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[track_caller]
fn history(project: &Project, what: &str) -> Vec<Value> {
    let told = project.soloist(&["history", "flood", "--json", "-n", "10000"]).expect(0).json();
    let entries = told["entries"].as_array().expect("entries");
    entries.iter().filter(|entry| entry["what"] == what).cloned().collect()
}

#[test]
fn no_byte_is_lost_or_doubled_between_files_that_are_rotated_and_compressed() {
    const LINES: u64 = 100_000;
    let project = flood(LINES, "{ size = \"256KiB\", keep = 1000 }", "");
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!(voice::count(&whole(&project, LINES)), Ok(LINES));
    let found = wait_until("all but the current file are compressed", LIMIT, || {
        let found = names(&project);
        let plain = found.iter().filter(|name| !name.ends_with(".gz")).count();
        if plain == 1 { Ok(found) } else { Err(format!("{found:?}\n{}", project.diary())) }
    });
    assert!(found.len() > 15, "{found:?}");
    assert_eq!(voice::count(&project.log("flood")), Ok(LINES));
    for (_, path) in log::parts(&project.log_file("flood")) {
        let index = path.with_extension(if path.extension().unwrap() == "gz" { "idx" } else { "log.idx" });
        assert!(std::fs::read(&index).unwrap().starts_with(b"soloidx1"), "{}", index.display());
    }
    project.soloist(&["down"]).expect(0);
}

#[test]
fn only_as_many_files_are_kept_as_are_wanted() {
    const LINES: u64 = 100_000;
    let project = flood(LINES, "{ size = \"256KiB\", keep = 3, compress = false, split = true }", "");
    project.soloist(&["up", "-d"]).expect(0);
    let found = wait_until("the older files are gone", LIMIT, || {
        let found = names(&project);
        let current = std::fs::read(project.log_file("flood")).unwrap_or_default();
        let is_written = current.ends_with(voice::line(LINES - 1).as_bytes());
        if is_written && found.len() == 4 {
            Ok(found)
        } else {
            Err(format!("{found:?}\n{}", project.diary()))
        }
    });
    assert!(found.iter().all(|name| !name.ends_with(".gz")), "{found:?}");
    let kept = project.log("flood");
    let length = voice::line(0).len();
    let first = LINES - (kept.len() / length) as u64;
    let wanted: String = (first..LINES).map(voice::line).collect();
    assert!(kept == wanted.as_bytes(), "the last lines, without a gap");
    assert_eq!(std::fs::read(project.folder().join(".soloist/logs/flood~err.log")).unwrap(), b"");
}

fn seeded() -> Random {
    let seed = std::env::var("E2E_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    Random(seed)
}

/// So many lines of eleven bytes in bursts, for some seconds.
const IN_BURSTS: usize = 400_000;

/// `flood` writes those, into files of 64 KiB.
fn bursts(more: &str) -> Project {
    let script = "n=0; while [ $n -lt 40 ]; do seq -f %010.0f $((n * 10000)) $((n * 10000 + 9999)); \
                  sleep 0.05; n=$((n + 1)); done; exec sleep 1000";
    let command = quoted(&["/bin/sh", "-c", script]);
    Project::new(&format!(
        "[services.flood]\ncommand = {command}\nlog = {{ size = \"64KiB\", keep = 1000 }}\n{more}"
    ))
}

fn numbers() -> Vec<u8> {
    (0..IN_BURSTS).flat_map(|number| format!("{number:010}\n").into_bytes()).collect()
}

/// Waits until so many files are full.
#[track_caller]
fn wait_for_files(project: &Project, wanted: u64) {
    wait_until(&format!("{wanted} files are full"), LIMIT, || {
        let parts = log::parts(&project.log_file("flood"));
        let found = parts.iter().filter_map(|(number, _)| *number).max();
        if found >= Some(wanted) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Waits until the last number is there, and gives the whole log.
#[track_caller]
fn to_the_last_number(project: &Project) -> Vec<u8> {
    let last = format!("{:010}\n", IN_BURSTS - 1);
    wait_until("the last number is there", LIMIT, || {
        let current = project.read(".soloist/logs/flood.log");
        if current.ends_with(&last) { Ok(()) } else { Err(format!("{} bytes", current.len())) }
    });
    project.log("flood")
}

#[test]
fn no_byte_is_lost_when_the_daemon_is_killed_while_files_are_rotated_and_compressed() {
    let mut random = seeded();
    let project = bursts("");
    project.soloist(&["up", "-d"]).expect(0);
    for part in 0..5 {
        wait_for_files(&project, part * 12 + 1 + random.below(12));
        let killed = daemon::kill(&project);
        daemon::wait_for_another(&project, killed, LIMIT);
    }
    assert!(to_the_last_number(&project) == numbers(), "what was written is not what is there");
    wait_until("what was broken off is compressed", LIMIT, || {
        let found = names(&project);
        let plain = found.iter().filter(|name| !name.ends_with(".gz")).count();
        if plain == 1 { Ok(()) } else { Err(format!("{found:?}\n{}", project.diary())) }
    });
    assert!(project.log("flood") == numbers(), "what was written is not what is compressed");
}

#[test]
fn after_the_guard_is_killed_while_files_are_rotated_the_log_goes_on_without_a_gap_in_its_files() {
    let mut random = seeded();
    let project = bursts("restart = \"always\"\nbackoff = { first = \"10ms\", max = \"10ms\" }\n");
    project.soloist(&["up", "-d"]).expect(0);
    let guard = project.guard("flood");
    wait_for_files(&project, 1 + random.below(40));
    assert!(guard.kill(), "{guard} was gone already");
    let all = to_the_last_number(&project);
    // What of the first run has arrived, then all of the second.
    let written = numbers();
    let (first, second) = all.split_at(all.len() - written.len());
    assert!(second == written, "the second run is not there as it was written");
    assert!(
        !first.is_empty() && written.starts_with(first),
        "of the first run something is missing in between"
    );
    let numbers: Vec<u64> =
        log::parts(&project.log_file("flood")).iter().filter_map(|(number, _)| *number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

/// The folder of the project on a file system of eight megabytes.
const SMALL: &str = "mount -t tmpfs -o size=8m small /mnt && TMPDIR=/mnt exec \"$0\" \"$@\"";
const ON_FULL_DISK: u64 = 40_000;

/// On a full disk `flood` writes its lines; once `is_felt` there is room again, and it writes one more.
fn on_a_full_disk(rules: &str, is_felt: impl Fn(&Project) -> Result<(), String>) -> Project {
    let project = Project::empty();
    let voice = puppet(&["--write", &ON_FULL_DISK.to_string(), "--exit-after", "1"]).join(" ");
    let script = format!(
        "while [ -e hold ]; do sleep 0.02; done; {voice}; while [ ! -e more ]; do sleep 0.02; done; echo more; sleep 1000"
    );
    let command = quoted(&["/bin/sh", "-c", &script]);
    project.write("soloist.toml", &format!("[services.flood]\ncommand = {command}\nlog = {rules}\n"));
    let hold = project.write("hold", "");
    project.soloist(&["up", "-d"]).expect(0);
    let path = project.folder().join("ballast");
    let mut ballast = File::create(&path).unwrap();
    for size in [4096, 1] {
        while ballast.write_all(&vec![0; size]).is_ok() {}
    }
    std::fs::remove_file(hold).unwrap();
    wait_until("the full disk is felt", LIMIT, || is_felt(&project));
    drop(ballast);
    std::fs::remove_file(path).unwrap();
    wait_until("the end of it is told", LIMIT, || {
        let told = (history(&project, "log-full").len(), history(&project, "log-free").len());
        let note = project.service("flood").note;
        if told == (1, 1) && note.is_none() { Ok(()) } else { Err(format!("{told:?} {note:?}")) }
    });
    project.write("more", "");
    wait_until("the last line is there", LIMIT, || {
        let bytes = project.log("flood");
        if bytes.ends_with(b"more\n") { Ok(()) } else { Err(format!("{} bytes", bytes.len())) }
    });
    project
}

/// What the status says was lost.
fn lost(project: &Project) -> Option<u64> {
    let note = project.service("flood").note?;
    let words = note.strip_suffix(" bytes of output were lost")?;
    words.rsplit(' ').next()?.parse().ok()
}

#[test]
fn what_a_full_disk_does_not_take_is_counted_to_the_byte_and_the_service_goes_on() {
    let test = "what_a_full_disk_does_not_take_is_counted_to_the_byte_and_the_service_goes_on";
    in_namespace(test, &["--mount"], SMALL, || {
        let all = ON_FULL_DISK * voice::line(0).len() as u64;
        let project = on_a_full_disk("{ on-full = \"drop\" }", |project| {
            let (kept, lost) = (project.log("flood").len() as u64, lost(project));
            if lost.is_some_and(|lost| lost + kept == all) { Ok(()) } else { Err(format!("{kept} {lost:?}")) }
        });
        let log = project.log("flood");
        let text = String::from_utf8(log).unwrap();
        let (kept, rest) = text.split_once("[soloist: ").expect("it is said in the log");
        let (number, rest) = rest.split_once(' ').unwrap();
        assert_eq!(rest, "bytes of output were lost, the disk was full]\nmore\n");
        let length = voice::line(0).len();
        let lines = voice::count(&kept.as_bytes()[..kept.len() - kept.len() % length]).unwrap();
        // A line of our own begins a line, also where the last one was cut.
        let cut = kept.len() as u64 - lines * length as u64;
        assert_eq!(kept.len() as u64 - u64::from(cut > 0) + number.parse::<u64>().unwrap(), all);
        let told = history(&project, "log-free");
        assert_eq!(told[0]["detail"], format!("{number} bytes of output were lost"));
    });
}

#[test]
fn on_a_full_disk_a_service_waits_if_that_is_wanted_and_nothing_is_lost() {
    let test = "on_a_full_disk_a_service_waits_if_that_is_wanted_and_nothing_is_lost";
    in_namespace(test, &["--mount"], SMALL, || {
        let project = on_a_full_disk("{ on-full = \"block\" }", |project| {
            let note = project.service("flood").note;
            let is_told = note.as_ref().is_some_and(|note| note.contains("its output waits"));
            if is_told { Ok(()) } else { Err(format!("{note:?}")) }
        });
        let log = project.log("flood");
        let written = log.strip_suffix(b"more\n").unwrap();
        assert_eq!(
            voice::count(written),
            Ok(ON_FULL_DISK),
            "{}\n{}",
            project.soloist(&["history", "flood"]),
            project.diary()
        );
    });
}
