//! What a run may use, as whom it runs, and what runs beside it: a real guard, real processes.

mod alone;
mod asides;
mod guarded;
mod parted;
mod ticks;

use guarded::Guarded;
use soloist_os::guard::{Limits, Order, Report};
use soloist_os::identity::Exit;

#[test]
fn the_zygote_of_the_tests() {
    guarded::be_zygote();
}

fn is_root() -> bool {
    soloist_os::identity::my_uid() == 0
}

fn rlimit(name: &str, soft: u64, hard: u64) -> Limits {
    Limits { rlimits: vec![(name.into(), soft, hard)], ..Limits::default() }
}

#[test]
fn descriptors_niceness_and_umask_are_what_was_asked_for() {
    let mut guarded = Guarded::new();
    guarded.spawn("ulimit -n; ulimit -Hn; ulimit -c; nice; umask", |run| {
        run.limits = rlimit("nofile", 64, 128);
        run.limits.rlimits.push(("core".into(), 0, u64::MAX));
        run.limits.nice = Some(7);
        run.limits.umask = Some(0o027);
    });
    assert!(!guarded.emptied());
    assert_eq!(guarded.log(), "64\n128\n0\n7\n0027\n");
}

#[test]
fn a_limit_that_is_unknown_or_refused_is_named_and_nothing_starts() {
    let refusal = |limits: Limits| {
        let mut guarded = Guarded::new();
        guarded.spawn("echo ran", |run| run.limits = limits);
        let said = guarded.refusal();
        assert_eq!(guarded.log(), "", "nothing ran");
        said
    };
    let said = refusal(rlimit("nofle", 1, 1));
    assert!(said.contains("there is no limit `nofle`"), "{said}");
    let said = refusal(rlimit("nofile", 64, 32));
    assert!(
        said.contains("nofile to 64 (at most 32)") && said.contains("above its own upper limit"),
        "{said}"
    );
    // More than fs.nr_open is refused to root too; the second limit is the one that is named.
    let mut limits = rlimit("core", 0, 0);
    limits.rlimits.push(("nofile".into(), 1, u64::MAX - 1));
    let said = refusal(limits);
    assert!(said.contains("cannot set the limit nofile to 1"), "{said}");
    let said = refusal(Limits { nice: Some(-21), ..Limits::default() });
    assert!(said.contains("-21"), "{said}");
}

#[test]
fn it_runs_as_the_user_and_the_groups_that_were_asked_for() {
    let mut guarded = Guarded::new();
    guarded.spawn("id -u; id -g; id -G; echo anew >/dev/stdout", |run| {
        run.program.dir = "/".into();
        run.limits.user = Some(12345);
        run.limits.group = Some(65533);
        run.limits.groups = vec![65531, 65532];
    });
    if !is_root() {
        let said = guarded.refusal();
        return assert!(said.contains("only root may"), "{said}");
    }
    guarded.emptied();
    assert_eq!(guarded.log(), "12345\n65533\n65533 65531 65532\nanew\n");
    use std::os::unix::fs::MetadataExt;
    let log = std::fs::metadata(guarded.folder().join("log")).unwrap();
    assert_eq!(log.uid(), 0, "the log stays the guard's");
}

#[test]
fn a_command_that_is_not_there_is_not_found_though_a_folder_of_path_is_closed() {
    let mut guarded = Guarded::new();
    let closed = guarded.folder().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    guarded.spawn("", |run| {
        run.program.argv = vec!["no-such-program".into()];
        run.program.env = vec![("PATH".into(), format!("{}:/usr/bin", closed.display()))];
        // Root may look everywhere.
        run.limits.user = is_root().then_some(12345);
        run.program.dir = "/".into();
    });
    assert_eq!(guarded.refusal(), "command not found: no-such-program");
}

#[test]
fn who_cannot_enter_the_folder_is_named() {
    let mut guarded = Guarded::new();
    let alone = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(guarded.folder(), alone).unwrap();
    guarded.spawn("echo ran", |run| run.limits.user = Some(12345));
    let said = guarded.refusal();
    if !is_root() {
        return assert!(said.contains("only root may"), "{said}");
    }
    assert!(said.contains("cannot enter the folder") && said.contains("as user 12345"), "{said}");
}

/// Holds 60 MB until it is ended.
const HUNGRY: &str = "(head -c 60000000 /dev/zero; sleep 300) | tail";

#[test]
fn too_much_memory_is_told_once_and_how_much() {
    let mut guarded = Guarded::running(HUNGRY, |run| run.limits.memory_max = Some(30 << 20));
    let told = guarded.wait("it is told", |report| match report {
        Report::OverMemory { run_id, kib, max_kib } => Some((run_id.clone(), *kib, *max_kib)),
        _ => None,
    });
    assert_eq!((told.0.as_str(), told.2), ("r1", 30 << 10));
    assert!(told.1 >= 30 << 10, "{told:?}");
    // For two more looks.
    guarded.exec(1, "sleep 2.3", 10_000);
    guarded.ended(1).unwrap_or_default();
    let count = guarded.seen().iter().filter(|report| matches!(report, Report::OverMemory { .. })).count();
    assert_eq!(count, 1);
}

#[test]
fn memory_that_workers_share_is_counted_once() {
    // 20 MB, and six workers that were forked with it: 140 MB of resident sets.
    let script = "x=$(head -c 20000000 /dev/zero | tr '\\0' x)
        for i in 1 2 3 4 5 6; do (echo $i >>workers; sleep 300; :) & done; wait";
    let mut guarded = Guarded::running(script, |run| run.limits.memory_max = Some(90 << 20));
    guarded.lines("workers", 6);
    guarded.exec(1, "sleep 2.3", 10_000);
    guarded.ended(1).unwrap();
    assert!(!guarded.seen().iter().any(|report| matches!(report, Report::OverMemory { .. })));
}

#[test]
fn a_cpu_limit_is_kept_or_it_is_said_that_it_is_not() {
    let mut guarded = Guarded::running("sleep 300", |run| run.limits.cpu_max = Some(0.5));
    let record = guarded.read("claims/x.json");
    let leaf =
        record.split("\"cgroup\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    match std::fs::read_to_string(format!("{leaf}/cpu.max")) {
        Ok(kept) => assert_eq!(kept.trim(), "50000 100000"),
        Err(_) => {
            let said = guarded.remarks();
            assert!(said.len() == 1 && said[0].contains("no cpu controller"), "{said:?}");
        }
    }
    guarded.order(&Order::Kill);
    guarded.emptied();
}

#[test]
fn a_signal_reaches_the_main_process_and_not_its_workers() {
    let script = "trap 'echo hup; exit 7' HUP; sleep 300 & echo $! >worker; wait";
    let mut guarded = Guarded::running(script, |_| {});
    let worker = guarded.lines("worker", 1).remove(0);
    guarded.order(&Order::Signal { signal: 1 });
    let (exit, left) = guarded.wait("the main process ends", |report| match report {
        Report::MainExited { exit, left, .. } => Some((*exit, *left)),
        _ => None,
    });
    assert_eq!((exit, left), (Exit::Code(7), 1));
    assert!(guarded::is_alive(&worker), "it would have ended of SIGHUP");
    assert_eq!(guarded.log(), "hup\n");
}
