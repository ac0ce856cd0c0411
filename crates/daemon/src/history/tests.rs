//! The history with its writer: what is added is read back, once; no state of the disk keeps anybody waiting.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use soloist_api::history::HistoryQuery;
use soloist_api::status::ExitStatus;
use soloist_os::clock::wall_ms;
use soloist_os::guard::{Past, Usage};
use soloist_os::identity::Exit;
use tokio::sync::broadcast;

use super::learn::Remembered;
use super::store::{KEPT_LAST, Store};
use super::*;
use crate::convert::moment;
use crate::history::read::read;

/// Puts something where the history should be.
type Prepare = fn(&Path);

struct Stage {
    history: History,
    events: broadcast::Receiver<Event>,
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Stage {
    /// A history in a folder, prepared before it is opened.
    fn new(prepare: impl FnOnce(&Path)) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state").join("history.db");
        std::fs::create_dir(folder.path().join("state")).unwrap();
        prepare(&path);
        let history = History::open(&path, Log::open(&folder.path().join("daemon.log")));
        Stage { events: history.subscribe(), history, folder, path }
    }

    async fn read(&self, query: &HistoryQuery) -> Vec<Entry> {
        // On a slow machine it takes longer than anybody is kept.
        for _ in 0..15 {
            if self.history.settle().await {
                break;
            }
        }
        read(&self.path, query).unwrap().entries
    }

    async fn all(&self) -> Vec<Entry> {
        self.read(&HistoryQuery { limit: Some(200_000), ..HistoryQuery::default() }).await
    }

    /// Waits until the history is so.
    async fn wait_until(&self, is_so: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
        let began = Instant::now();
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        loop {
            poll.tick().await;
            let found = self.all().await;
            if is_so(&found) {
                return found;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{} lines\n{}", found.len(), self.diary());
        }
    }

    fn diary(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default()
    }

    /// Files that were moved aside.
    fn aside(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path.parent().unwrap()).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains(".corrupt-")).collect()
    }
}

fn line(service: &str, what: &str, ago_ms: u64) -> Entry {
    blank(moment(wall_ms() - ago_ms).unwrap(), service, what.to_owned())
}

fn whats(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.what.as_str()).collect()
}

#[tokio::test]
async fn what_is_added_is_read_back_whole_and_followed() {
    let mut stage = Stage::new(|_| {});
    let told = Entry {
        run_id: Some("00ff".to_owned()),
        cause: Some("ada".to_owned()),
        exit: Some(ExitStatus { code: None, signal: Some(9) }),
        duration_ms: Some(u64::MAX),
        pid: Some(17),
        peak_kib: Some(4),
        cpu_ms: Some(5),
        log_at: Some(6),
        log_seq: Some(8),
        count: Some(7),
        detail: Some("ä".repeat(TEXT_MAX)),
        ..line("api", "ended", 0)
    };
    stage.history.add(vec![told.clone()]);
    let found = stage.all().await;
    let cut = format!("{}…", "ä".repeat(TEXT_MAX / 2));
    let kept = Entry { id: 1, duration_ms: Some(i64::MAX as u64), detail: Some(cut.clone()), ..told.clone() };
    assert_eq!(found, [kept]);
    let followed = Entry { id: 1, detail: Some(cut), ..told };
    assert_eq!(stage.events.recv().await.unwrap(), Event::History(Box::new(followed)));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&stage.path), mode(&stage.path.with_extension("db-wal"))), (0o600, 0o600));
}

#[tokio::test]
async fn a_query_takes_the_newest_of_what_it_asks_for() {
    let stage = Stage::new(|_| {});
    let services = ["api", "scraper@antica", "api", "scraper@bona", "api", "scrap", "scrap~2"];
    stage.history.add((0..7).map(|n| line(services[n], &n.to_string(), 60_000 - n as u64)).collect());
    // Learned late, happened early.
    stage.history.add(vec![line("api", "first", 90_000)]);
    assert_eq!(whats(&stage.all().await), ["first", "0", "1", "2", "3", "4", "5", "6"]);
    let of = |service: &str| HistoryQuery { service: Some(service.to_owned()), ..HistoryQuery::default() };
    assert_eq!(whats(&stage.read(&of("scraper")).await), ["1", "3"]);
    assert_eq!(whats(&stage.read(&of("scraper@bona")).await), ["3"]);
    assert_eq!(whats(&stage.read(&of("scrap")).await), ["5", "6"]);
    assert_eq!(whats(&stage.read(&of("%")).await), Vec::<&str>::new());
    let limited = HistoryQuery { limit: Some(2), ..of("api") };
    assert_eq!(whats(&stage.read(&limited).await), ["2", "4"]);
    let since = HistoryQuery { since: moment(wall_ms() - 75_000), limit: Some(1_000), ..of("api") };
    assert_eq!(whats(&stage.read(&since).await), ["0", "2", "4"]);
    let after = HistoryQuery { after: Some(5), ..HistoryQuery::default() };
    assert_eq!(whats(&stage.read(&after).await), ["first", "5", "6"]);
}

#[tokio::test]
async fn a_history_of_an_older_soloist_is_read_and_gets_its_new_column() {
    let older = |path: &Path| {
        let mut store = Store::open(path, wall_ms()).unwrap();
        store.write(&mut [line("api", "ready", 10)]).unwrap();
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch("ALTER TABLE entries DROP COLUMN count").unwrap();
        drop(store);
        assert_eq!(whats(&read(path, &HistoryQuery::default()).unwrap().entries), ["ready"]);
    };
    let stage = Stage::new(older);
    stage.history.add(vec![Entry { count: Some(12), ..line("api", "skipped", 0) }]);
    let counts: Vec<Option<u64>> = stage.all().await.iter().map(|entry| entry.count).collect();
    assert_eq!(counts, [None, Some(12)]);
    assert_eq!(stage.aside(), Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_is_told_twice_is_there_once_with_all_that_is_known() {
    let mut stage = Stage::new(|_| {});
    let run = Some("00aa".to_owned());
    stage.history.add(vec![
        Entry { run_id: run.clone(), pid: Some(3), ..line("api", "started", 500) },
        Entry { run_id: run.clone(), ..line("api", "unhealthy", 400) },
        Entry { run_id: run.clone(), ..line("api", "unhealthy", 300) },
    ]);
    let past = Past {
        pid: None,
        run_id: "00aa".to_owned(),
        cause: "ada".to_owned(),
        since_ms: wall_ms() - 450,
        exit: Some(Exit::Code(1)),
        exit_ms: Some(wall_ms() - 50),
        was_stopped: false,
        usage: Usage { peak_kib: Some(7), cpu_ms: None },
        log_at: Some(88),
        log_seq: Some(2),
    };
    stage.history.learn("api", [Remembered::from(&past)]);
    stage.history.learn("api", [Remembered::from(&past)]);
    // Another service may not take its place.
    stage.history.learn("other", [Remembered::from(&past)]);
    let found = stage.all().await;
    let of_api: Vec<Entry> = found.iter().filter(|e| e.service == "api").cloned().collect();
    assert_eq!(whats(&of_api), ["started", "unhealthy", "unhealthy", "exited", "ended"]);
    assert_eq!((of_api[0].pid, of_api[0].log_at, of_api[0].log_seq), (Some(3), Some(88), Some(2)));
    assert_eq!(of_api[0].cause.as_deref(), Some("ada"));
    assert_eq!(of_api[3].exit, Some(ExitStatus { code: Some(1), signal: None }));
    assert_eq!((of_api[4].peak_kib, of_api[4].duration_ms), (Some(7), Some(400)));
    assert_eq!(found.len(), 8);
    let mut followed = Vec::new();
    while let Ok(Event::History(entry)) = stage.events.try_recv() {
        followed.push(entry.id);
    }
    assert_eq!(followed.len(), 8, "what was known is no news: {followed:?}");
    assert!(followed.is_sorted() && followed[0] > 0, "{followed:?}");
}

#[tokio::test]
async fn of_a_run_that_lives_only_its_start_is_learned_and_of_one_that_never_began_nothing() {
    let stage = Stage::new(|_| {});
    let living = Remembered {
        run_id: "00aa",
        cause: None,
        since_ms: wall_ms(),
        pid: Some(4),
        exit: None,
        exit_ms: None,
        is_over: false,
        was_stopped: false,
        usage: Usage::default(),
        log_at: None,
        log_seq: None,
    };
    let never = Remembered { run_id: "00bb", pid: None, is_over: true, ..living.clone() };
    let long_ago = Remembered { run_id: "00cc", since_ms: 1, ..living.clone() };
    stage.history.learn("api", [never, living, long_ago]);
    let found = stage.all().await;
    assert_eq!(whats(&found), ["started"]);
    assert_eq!(found[0].run_id.as_deref(), Some("00aa"));
}

#[tokio::test]
async fn a_file_that_is_no_history_is_moved_aside_and_a_new_one_begins() {
    let other = |path: &Path| {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch("CREATE TABLE entries (id INTEGER, name TEXT)").unwrap();
    };
    let torn = |path: &Path| {
        drop(Store::open(path, wall_ms()).unwrap());
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2 + 100]).unwrap();
    };
    let garbage = |path: &Path| std::fs::write(path, "no database at all".repeat(1_000)).unwrap();
    let folder = |path: &Path| std::fs::create_dir(path).unwrap();
    let link = |path: &Path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
    let in_its_place: [(&str, Prepare); 5] = [
        ("garbage", garbage),
        ("a torn file", torn),
        ("somebody else's database", other),
        ("a folder", folder),
        ("a link", link),
    ];
    for (what, prepare) in in_its_place {
        let stage = Stage::new(prepare);
        stage.history.add(vec![line("api", "ready", 0)]);
        assert_eq!(whats(&stage.all().await), ["ready"], "{what}\n{}", stage.diary());
        assert_eq!(stage.aside().len(), 1, "{what}: {:?}", stage.aside());
        let said = stage.diary();
        assert_eq!(said.matches("is corrupt").count(), 1, "{what}: {said}");
        assert!(said.contains(&stage.aside()[0]), "{what}: {said}");
    }
}

#[tokio::test]
async fn a_file_that_is_removed_under_way_is_made_anew() {
    let stage = Stage::new(|_| {});
    stage.history.add(vec![line("api", "ready", 0)]);
    stage.all().await;
    for ending in ["db", "db-wal", "db-shm"] {
        std::fs::remove_file(stage.path.with_extension(ending)).unwrap();
    }
    stage.history.add(vec![line("api", "ended", 0)]);
    assert_eq!(whats(&stage.all().await), ["ended"], "{}", stage.diary());
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_told_and_written_when_it_can() {
    let mut stage = Stage::new(|path| std::fs::remove_dir(path.parent().unwrap()).unwrap());
    stage.history.add(vec![line("api", "ready", 1)]);
    stage.history.settle().await;
    stage.history.add(vec![line("api", "ended", 0)]);
    let began = Instant::now();
    stage.history.settle().await;
    assert!(began.elapsed() < SETTLE_LIMIT, "nobody waits for a disk");
    let mut followed = Vec::new();
    while let Ok(Event::History(entry)) = stage.events.try_recv() {
        followed.push((entry.what, entry.id));
    }
    assert_eq!(followed, [("ready".to_owned(), 0), ("ended".to_owned(), 0)]);
    assert!(read(&stage.path, &HistoryQuery::default()).unwrap().entries.is_empty());
    std::fs::create_dir(stage.path.parent().unwrap()).unwrap();
    assert_eq!(whats(&stage.wait_until(|found| found.len() == 2).await), ["ready", "ended"]);
    let said = stage.diary();
    assert_eq!((said.matches("cannot be written").count(), said.matches("is written again").count()), (1, 1));
    assert!(stage.events.try_recv().is_err(), "they were told before");
}

#[tokio::test]
async fn whoever_tells_something_does_not_wait_for_a_file_that_is_held() {
    let stage = Stage::new(|_| {});
    stage.history.settle().await;
    let other = rusqlite::Connection::open(&stage.path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let count = UNDER_WAY + 1_000;
    (0..count).for_each(|n| stage.history.add(vec![line("api", &n.to_string(), 0)]));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    // All are there, or counted.
    let lost = |found: &[Entry]| -> usize {
        let told = found.iter().filter(|e| e.what == "lost").filter_map(|e| e.detail.as_ref());
        told.map(|detail| detail.split(' ').next().unwrap().parse::<usize>().unwrap()).sum()
    };
    let told = |found: &[Entry]| found.iter().filter(|e| e.what != "lost").count();
    let found = stage.wait_until(|found| told(found) + lost(found) == count).await;
    assert!(told(&found) > 0);
}

#[tokio::test]
async fn lines_beyond_what_is_kept_are_told_as_one() {
    let stage = Stage::new(|path| std::fs::remove_dir(path.parent().unwrap()).unwrap());
    stage.history.add((0..10_050).map(|n| line("api", &n.to_string(), 20_000 - n)).collect());
    stage.history.settle().await;
    std::fs::create_dir(stage.path.parent().unwrap()).unwrap();
    let found = stage.wait_until(|found| found.len() == 10_001).await;
    assert_eq!((found[0].what.as_str(), found[10_000].what.as_str()), ("50", "lost"));
    assert!(found[10_000].detail.as_ref().unwrap().starts_with("50 lines"), "{:?}", found[10_000]);
}

#[tokio::test]
async fn old_lines_are_deleted_when_it_is_opened_and_when_it_grows() {
    let day = 24 * 3600 * 1000;
    let stage = Stage::new(|path| {
        let mut store = Store::open(path, wall_ms()).unwrap();
        store.write(&mut [line("api", "old", 31 * day), line("api", "young", 29 * day)]).unwrap();
        let last = (0..KEPT_LAST - 1).map(|n| line("api", &n.to_string(), day));
        store.write(&mut last.collect::<Vec<_>>()).unwrap();
    });
    let kept = stage.all().await;
    assert_eq!((kept.len() as i64, kept[0].what.as_str()), (KEPT_LAST, "young"));
    stage.history.add(vec![line("api", "old", 31 * day)]);
    assert_eq!(stage.all().await.len() as i64, KEPT_LAST + 1, "a single line is no occasion");
    stage.history.add((0..1_000).map(|n| line("api", &n.to_string(), 0)).collect());
    stage.wait_until(|found| found.len() as i64 == KEPT_LAST + 1_000 && found[0].what == "young").await;
}

#[test]
fn the_oldest_of_too_many_lines_are_deleted_but_the_last_of_each_service() {
    const ROWS: i64 = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut store = Store::open(&path, wall_ms()).unwrap();
    let many = |service: &str, lines: i64| -> Vec<Entry> {
        (0..lines).map(|n| line(service, &n.to_string(), 0)).collect()
    };
    let day = 24 * 3600 * 1000;
    store.write(&mut [line("old", "stopping", 400 * day), line("old", "ended", 399 * day)]).unwrap();
    store.write(&mut many("quiet", KEPT_LAST + 3)).unwrap();
    let mut busy = many("busy", ROWS + 7);
    store.write(&mut busy).unwrap();
    store.prune_to(wall_ms(), ROWS).unwrap();
    let found = |service: &str| {
        let service = Some(service.to_owned());
        let all = HistoryQuery { service, limit: Some(u32::MAX), ..HistoryQuery::default() };
        read(&path, &all).unwrap().entries
    };
    assert_eq!(whats(&found("old")), ["stopping", "ended"]);
    let quiet = found("quiet");
    assert_eq!((quiet.len() as i64, quiet[0].what.as_str()), (KEPT_LAST, "3"));
    let kept = found("busy");
    assert_eq!((kept.len() as i64, kept[0].id), (ROWS, busy[7].id));
    // Names that are never used again are not kept for ever.
    let mut names: Vec<Entry> = (0..ROWS).map(|n| line(&format!("run-{n}"), "ended", 0)).collect();
    store.write(&mut names).unwrap();
    store.prune_to(wall_ms(), ROWS).unwrap();
    assert_eq!((found("old").len(), found("quiet").len(), found("run-7").len()), (2, KEPT_LAST as usize, 1));
    store.write(&mut many("busy", ROWS)).unwrap();
    store.prune_to(wall_ms(), ROWS).unwrap();
    assert_eq!((found("old").len(), found("quiet").len(), found("run-7").len()), (0, 0, 1));
    assert_eq!(found("busy").len() as i64, ROWS);
}

#[tokio::test]
async fn the_end_writes_all_and_leaves_one_file() {
    let stage = Stage::new(|_| {});
    stage.history.add((0..5_000).map(|n| line("api", &n.to_string(), 0)).collect());
    assert!(stage.history.end().await);
    let names = std::fs::read_dir(stage.path.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "SQLite's companions are gone");
    let all = HistoryQuery { limit: Some(10_000), ..HistoryQuery::default() };
    assert_eq!(read(&stage.path, &all).unwrap().entries.len(), 5_000);
    // Whoever comes late is not kept.
    stage.history.add(vec![line("api", "late", 0)]);
    assert!(!stage.history.settle().await);
}

#[test]
fn reading_says_what_is_wrong_and_a_missing_history_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    assert_eq!(read(&path, &HistoryQuery::default()).unwrap().entries, []);
    std::fs::write(&path, "").unwrap();
    assert_eq!(read(&path, &HistoryQuery::default()).unwrap().entries, [], "made, and not filled yet");
    std::fs::write(&path, "no database at all".repeat(1_000)).unwrap();
    let problem = read(&path, &HistoryQuery::default()).unwrap_err();
    assert!(problem.detail.contains("history.db cannot be read"), "{problem}");
}
