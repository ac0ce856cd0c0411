//! Keeps the logs of a project within bounds: rotated files are compressed, one at a time on a thread that lets everybody
//! else go first, and the oldest are removed. The files that are written are never touched.

use std::collections::{BTreeMap, HashSet};
use std::fs::{OpenOptions, remove_file, rename};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use soloist_os::log_files::{Part, compressed, error_log_of, logs_in, parts};
use soloist_os::own_file;

use crate::config::{Config, Logging};
use crate::serve::Log;

/// A flood soon has what it wrote first removed again: nothing is compressed before it is over …
const SETTLED: Duration = Duration::from_secs(1);
/// … or has lasted for so long.
const SETTLED_AT_LAST: Duration = Duration::from_secs(10);
/// Files grow old without anything happening.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// The way to the thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Archive(Sender<Message>);

#[derive(Debug)]
enum Message {
    Rules(Rules),
    Rotated(PathBuf),
}

/// How much is kept of each log.
#[derive(Debug)]
struct Rules {
    of: BTreeMap<PathBuf, Logging>,
    /// Of those of which nothing is declared.
    standard: Logging,
    total: u64,
}

impl Archive {
    /// For the logs in a folder. Nothing is done before the rules are known.
    pub fn start(folder: PathBuf, log: Log) -> Archive {
        let (archive, inbox) = channel();
        let rules = Rules { of: BTreeMap::new(), standard: Logging::default(), total: u64::MAX };
        let mut house = House { folder, rules, log: log.clone(), given_up: HashSet::new() };
        let thread = std::thread::Builder::new().name("log-archive".to_owned());
        if let Err(e) = thread.spawn(move || house.live(&inbox)) {
            log.say(&format!("old logs are neither compressed nor removed: no thread can be made: {e}"));
        }
        Archive(archive)
    }

    /// From now on these rules hold; `log_of` is where an instance writes.
    pub fn obey(&self, config: &Config, log_of: impl Fn(&str) -> PathBuf) {
        let of = config.declared.iter().flat_map(|declared| {
            let (log, rules) = (log_of(&declared.name), &declared.program.log);
            [(error_log_of(&log), rules.clone()), (log, rules.clone())]
        });
        let rules = Rules { of: of.collect(), standard: config.log.clone(), total: config.log_total };
        let _ = self.0.send(Message::Rules(rules));
    }

    /// A log has begun a new file.
    pub fn rotated(&self, log: PathBuf) {
        let _ = self.0.send(Message::Rotated(log));
    }
}

struct House {
    folder: PathBuf,
    rules: Rules,
    log: Log,
    /// Files that could not be compressed or removed: said once, tried again later.
    given_up: HashSet<PathBuf>,
}

impl House {
    fn live(&mut self, inbox: &Receiver<Message>) {
        soloist_os::yield_to_others();
        // Of the first rules on.
        let Ok(mut message) = inbox.recv().map(Some) else { return };
        let mut settled_at_last = Instant::now() + SETTLED_AT_LAST;
        let mut is_settled = true;
        loop {
            if std::mem::take(&mut is_settled) && message.is_some() {
                settled_at_last = Instant::now() + SETTLED_AT_LAST;
            }
            let wait = match message {
                Some(Message::Rules(rules)) => {
                    self.rules = rules;
                    SETTLED
                }
                Some(Message::Rotated(log)) => {
                    let found = parts(&log).unwrap_or_default();
                    self.prune(&log, found);
                    SETTLED.min(settled_at_last.saturating_duration_since(Instant::now()))
                }
                None => {
                    is_settled = true;
                    if self.has_tidied() { Duration::ZERO } else { LOOK_AGAIN }
                }
            };
            message = match inbox.recv_timeout(wait) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
        }
    }

    /// Removes all that is too much, and compresses one file. False: nothing is left to compress.
    fn has_tidied(&mut self) -> bool {
        let logs = logs_in(&self.folder).unwrap_or_default();
        let found = |log: &PathBuf| parts(log).unwrap_or_default();
        let all: Vec<(PathBuf, Vec<Part>)> = logs.iter().map(|log| (log.clone(), found(log))).collect();
        let kept: Vec<(PathBuf, Vec<Part>)> =
            all.into_iter().map(|(log, parts)| (log.clone(), self.prune(&log, parts))).collect();
        self.prune_all(&kept);
        let plain = kept.iter().filter(|(log, _)| self.of(log).compress).flat_map(|(log, parts)| {
            parts.iter().filter(move |part| !part.is_gz && part.path != *log).map(|part| &part.path)
        });
        let Some(path) = plain.into_iter().find(|path| !self.given_up.contains(*path) && path.exists())
        else {
            self.given_up.clear();
            return false;
        };
        if let Err(e) = compress(path) {
            self.log.say(&format!("{} is not compressed: {e}", path.display()));
            self.given_up.insert(path.clone());
        }
        true
    }

    fn of(&self, log: &Path) -> &Logging {
        self.rules.of.get(log).unwrap_or(&self.rules.standard)
    }

    /// Removes of one log what is too many and what is too old; what is left.
    fn prune(&self, log: &Path, mut parts: Vec<Part>) -> Vec<Part> {
        let rules = self.of(log);
        let rotated = parts.iter().filter(|part| part.path != log).count();
        let too_many = rotated.saturating_sub(rules.keep);
        let oldest =
            rules.rules.max_age_ms.and_then(|ms| SystemTime::now().checked_sub(Duration::from_millis(ms)));
        let mut place = 0;
        parts.retain(|part| {
            place += 1;
            let is_old = || oldest.is_some_and(|oldest| modified(part).is_some_and(|at| at < oldest));
            let goes = part.path != log && (place <= too_many || is_old());
            if goes {
                self.remove(part);
            }
            !goes
        });
        parts
    }

    /// Removes the oldest files of whichever log, as long as all take too much.
    fn prune_all(&self, logs: &[(PathBuf, Vec<Part>)]) {
        let size = |part: &Part| std::fs::metadata(&part.path).map_or(0, |found| found.len());
        let mut total: u64 = logs.iter().flat_map(|(_, parts)| parts).map(size).sum();
        let mut rotated: Vec<(Option<SystemTime>, &Part)> = logs
            .iter()
            .flat_map(|(log, parts)| parts.iter().filter(move |part| part.path != *log))
            .map(|part| (modified(part), part))
            .collect();
        rotated.sort_by_key(|(at, part)| (*at, part.seq));
        for (_, part) in rotated {
            if total <= self.rules.total {
                return;
            }
            total -= size(part).min(total);
            self.remove(part);
        }
    }

    /// The file last: as long as it is there, what belongs to it is found again.
    fn remove(&self, part: &Part) {
        let plain = part.index_path.with_extension("");
        for path in [&part.index_path, &unfinished(&plain), &compressed(&plain), &plain] {
            if let Err(e) = remove_file(path)
                && e.kind() != io::ErrorKind::NotFound
            {
                self.log.say(&format!("{} is not removed: {e}", path.display()));
            }
        }
    }
}

fn modified(part: &Part) -> Option<SystemTime> {
    std::fs::metadata(&part.path).and_then(|found| found.modified()).ok()
}

/// What is being compressed.
fn unfinished(plain: &Path) -> PathBuf {
    let mut name = compressed(plain).into_os_string();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Puts a compressed file in the place of a plain one. Whatever happens in between, one of them is whole.
fn compress(path: &Path) -> io::Result<()> {
    let beside = unfinished(path);
    let _ = remove_file(&beside);
    let done = compress_into(path, &beside);
    if done.is_err() {
        let _ = remove_file(&beside);
    }
    done
}

fn compress_into(path: &Path, beside: &Path) -> io::Result<()> {
    let mut plain = own_file::open(path)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    let mut encoder = GzEncoder::new(file, Compression::default());
    soloist_os::fail_point!("daemon.log-compressing");
    let length = io::copy(&mut plain, &mut encoder)?;
    let file = encoder.finish()?;
    let found = plain.metadata()?;
    file.set_modified(found.modified()?)?;
    file.sync_all()?;
    // A guard that cannot begin a new file takes its old one back, and goes on with it.
    let now = std::fs::symlink_metadata(path)?;
    if (now.ino(), now.len()) != (found.ino(), length) {
        return Err(io::Error::other("it is being written"));
    }
    soloist_os::fail_point!("daemon.log-compressed");
    rename(beside, compressed(path))?;
    soloist_os::fail_point!("daemon.log-doubled");
    remove_file(path)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use soloist_os::log_files::{index_of, rotated};

    use super::*;

    fn house(folder: &Path, keep: usize, total: u64) -> House {
        let standard = Logging { keep, ..Logging::default() };
        House {
            folder: folder.to_owned(),
            rules: Rules { of: BTreeMap::new(), standard, total },
            log: Log::open(&folder.join("daemon.txt")),
            given_up: HashSet::new(),
        }
    }

    /// Files 1 to `count` of a log, of a kilobyte each, the older the older, and the current one.
    fn log(folder: &Path, name: &str, count: u64) -> PathBuf {
        let log = folder.join(name);
        for seq in 1..=count {
            let old = rotated(&log, seq);
            std::fs::write(&old, format!("{seq}{}", "x".repeat(999))).unwrap();
            std::fs::write(index_of(&old), "index").unwrap();
            let age = Duration::from_secs(3600 * (count - seq));
            File::options().write(true).open(&old).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
        std::fs::write(&log, "current").unwrap();
        log
    }

    fn seqs(log: &Path) -> Vec<(u64, bool)> {
        parts(log).unwrap().iter().map(|part| (part.seq, part.is_gz)).collect()
    }

    #[test]
    fn the_newest_are_kept_and_compressed_without_loss() {
        let folder = tempfile::tempdir().unwrap();
        let api = log(folder.path(), "api.log", 5);
        let mut house = house(folder.path(), 2, u64::MAX);
        // Of an earlier life: half a file, and one that was not removed any more.
        std::fs::write(unfinished(&rotated(&api, 5)), "half").unwrap();
        std::fs::write(compressed(&rotated(&api, 4)), "half").unwrap();
        let before = std::fs::metadata(rotated(&api, 4)).unwrap().modified().unwrap();
        assert!(house.has_tidied() && house.has_tidied() && !house.has_tidied());
        assert_eq!(seqs(&api), [(4, true), (5, true), (6, false)]);
        assert_eq!(std::fs::read(&api).unwrap(), b"current");
        let four = File::open(compressed(&rotated(&api, 4))).unwrap();
        assert_eq!(four.metadata().unwrap().modified().unwrap(), before, "its age is that of its bytes");
        let mut text = String::new();
        flate2::read::GzDecoder::new(four).read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("4{}", "x".repeat(999)));
        let names = |end: &str| {
            let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            entries.filter(|name| name.to_str().unwrap().ends_with(end)).count()
        };
        assert_eq!((names(".idx"), names(".tmp"), names(".gz")), (2, 0, 2));
    }

    #[test]
    fn what_is_too_old_goes_and_what_is_too_much_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let (api, web) = (log(folder.path(), "api.log", 4), log(folder.path(), "web.log", 2));
        let mut house = house(folder.path(), 10, u64::MAX);
        let age = Some(2 * 3600 * 1000 + 1800 * 1000);
        let mut rules = Logging { compress: false, ..Logging::default() };
        rules.rules.max_age_ms = age;
        house.rules.of = [&api, &web].map(|log| (log.clone(), rules.clone())).into();
        assert!(!house.has_tidied());
        assert_eq!(seqs(&api), [(2, false), (3, false), (4, false), (5, false)]);
        assert_eq!(seqs(&web).len(), 3);
        house.rules.total = 3 * 1000 + 14;
        assert!(!house.has_tidied());
        assert_eq!(seqs(&api), [(4, false), (5, false)], "the oldest of all were these");
        assert_eq!(seqs(&web).len(), 3);
        house.rules.total = 0;
        house.has_tidied();
        assert_eq!((seqs(&api).len(), seqs(&web).len()), (1, 1), "what is written stays");
    }

    #[test]
    fn a_rotation_is_followed_by_compression_on_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let api = log(folder.path(), "api.log", 3);
        let archive = Archive::start(folder.path().to_owned(), Log::open(&folder.path().join("daemon.txt")));
        archive.obey(&Config::empty(folder.path()), |name| folder.path().join(name));
        archive.rotated(api.clone());
        let wanted = [(1, true), (2, true), (3, true), (4, false)];
        e2e::wait_until("all are compressed but the current one", Duration::from_secs(60), || {
            let seen = seqs(&api);
            if seen == wanted { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    }
}
