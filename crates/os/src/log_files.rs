//! The files of a log: the current one, `NAME.log`, those that were rotated away, `NAME.log.SEQ` or compressed
//! `NAME.log.SEQ.gz`, and beside each its index of time, `….idx`. Their names and the format of the index are here and
//! nowhere else; the guard writes them, whoever shows or keeps logs finds them by this file.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::own_file;

/// What an index begins with; the number of its log follows (little endian, as all of it).
const MAGIC: [u8; 8] = *b"soloidx1";
/// The number of the first file.
pub(crate) const FIRST: u64 = 1;
/// The length of the header and of each entry after it.
const RECORD: usize = 16;

/// So many files at most are looked for by their names: a torn index may tell any number.
const MISSED: u64 = 10_000;

/// One file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, which only grows.
    pub seq: u64,
    /// The file.
    pub path: PathBuf,
    /// Whether it is compressed (RFC 1952).
    pub is_gz: bool,
    /// Where its index lies, if it has one.
    pub index_path: PathBuf,
}

/// All files of the log whose current file is `log`, oldest first; the current one, if it exists, is the last. Of a file
/// that is there plain and compressed, the plain one counts. A file may be gone or compressed when it is opened later:
/// its number then tells where it went.
///
/// # Errors
/// If the folder cannot be read; one that does not exist holds no files.
pub fn parts(log: &Path) -> io::Result<Vec<Part>> {
    let before = current_seq(log);
    let mut found = rotated_parts(log, before)?;
    let (is_there, after) = (log.try_exists()?, current_seq(log));
    // While we read the folder, current files may become rotated ones, which are not found then; in the midst of that, the
    // index is nowhere. Their names are known. To look until nothing changes would be to look forever, where much is
    // written.
    let end = after.max(found.last().map(|last| last.seq)).unwrap_or(0);
    let begin =
        before.or(found.first().map(|first| first.seq)).unwrap_or(FIRST).max(end.saturating_sub(MISSED));
    let is_known = |seq: &u64| found.binary_search_by_key(seq, |part| part.seq).is_ok();
    let between = (begin..end).filter(|seq| !is_known(seq)).filter_map(|seq| rotated_part(log, seq));
    let mut missed: Vec<Part> = between.collect();
    if !is_there || after.is_none() {
        missed.extend(
            (end..u64::MAX).map_while(|seq| rotated_part(log, seq)).skip_while(|part| is_known(&part.seq)),
        );
    }
    found.extend(missed);
    let mut found = in_order(found);
    if is_there {
        let seq = seq_after(&found, after);
        found.push(Part { seq, path: log.to_owned(), is_gz: false, index_path: index_of(log) });
    }
    Ok(found)
}

/// The number that the current file of a log has, or will have once it is made.
///
/// # Errors
/// If the folder cannot be read.
pub fn next_seq(log: &Path) -> io::Result<u64> {
    let current = current_seq(log);
    Ok(seq_after(&rotated_parts(log, current)?, current))
}

/// What the index of the current file says, unless a rotation was broken off and it is the index of a rotated one.
fn seq_after(rotated: &[Part], current: Option<u64>) -> u64 {
    let least = rotated.last().map_or(FIRST, |part| part.seq.saturating_add(1));
    current.map_or(least, |seq| seq.max(least))
}

fn current_seq(log: &Path) -> Option<u64> {
    let mut header = [0; RECORD];
    own_file::open(&index_of(log)).ok()?.read_exact(&mut header).ok()?;
    seq_of(&header)
}

/// The rotated files of a log, oldest first. The folder has those of all logs: a log whose current file is its first one
/// is not looked for there, for it has none, unless its rotation was broken off.
fn rotated_parts(log: &Path, current: Option<u64>) -> io::Result<Vec<Part>> {
    let first = rotated(log, FIRST);
    if current == Some(FIRST) && !first.try_exists()? && !compressed(&first).try_exists()? {
        return Ok(Vec::new());
    }
    let entries = match log.parent().map(std::fs::read_dir) {
        Some(Ok(entries)) => entries,
        Some(Err(e)) if e.kind() != ErrorKind::NotFound => return Err(e),
        Some(Err(_)) | None => return Ok(Vec::new()),
    };
    let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found: Vec<Part> = Vec::new();
    for entry in entries {
        let file = entry?.file_name();
        let Some((of, seq, is_gz)) = file.to_str().and_then(rotated_name) else { continue };
        if of != name {
            continue;
        }
        found.push(part(log, seq, is_gz));
    }
    Ok(in_order(found))
}

/// The rotated file of this number, if there is one.
fn rotated_part(log: &Path, seq: u64) -> Option<Part> {
    [false, true].map(|is_gz| part(log, seq, is_gz)).into_iter().find(|part| part.path.exists())
}

fn part(log: &Path, seq: u64, is_gz: bool) -> Part {
    let plain = rotated(log, seq);
    let index_path = index_of(&plain);
    Part { seq, path: if is_gz { compressed(&plain) } else { plain }, is_gz, index_path }
}

/// Each number once.
fn in_order(mut found: Vec<Part>) -> Vec<Part> {
    found.sort_by_key(|part| (part.seq, part.is_gz));
    found.dedup_by_key(|part| part.seq);
    found
}

/// The current files of all logs in a folder, also of those that have rotated files only; sorted.
///
/// # Errors
/// If the folder cannot be read.
pub fn logs_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.file_name();
        let Some(file) = file.to_str() else { continue };
        let log = rotated_name(file).map_or(file, |(log, ..)| log);
        if log.ends_with(".log") {
            found.push(folder.join(log));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// `api.log.7` and `api.log.7.gz`: the log, the number, whether it is compressed.
fn rotated_name(file: &str) -> Option<(&str, u64, bool)> {
    let plain = file.strip_suffix(".gz");
    let (log, seq) = plain.unwrap_or(file).rsplit_once('.')?;
    // Only as we write it: no sign, no leading zero.
    let number: u64 = seq.parse().ok().filter(|number: &u64| number.to_string() == seq)?;
    log.ends_with(".log").then_some((log, number, plain.is_some()))
}

/// The log of standard error beside that of standard output, if it is kept apart. No lane of a job has this name: those
/// are numbered.
pub fn error_log_of(log: &Path) -> PathBuf {
    let mut name = log.file_stem().unwrap_or_default().to_owned();
    name.push("~err.log");
    log.with_file_name(name)
}

/// Where the current file goes when it is rotated away.
pub fn rotated(log: &Path, seq: u64) -> PathBuf {
    with(log, &format!(".{seq}"))
}

/// Where a rotated file goes when it is compressed.
pub fn compressed(rotated: &Path) -> PathBuf {
    with(rotated, ".gz")
}

/// Where the index of a file lies; of a compressed one it is that of the plain one.
pub fn index_of(file: &Path) -> PathBuf {
    with(file, ".idx")
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

/// When the bytes of one file were written, by the second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The number of its file; none: the index was lost or is no index.
    pub seq: Option<u64>,
    /// In the order in which they were written. Offsets never fall; times do when the clock is set back.
    pub entries: Vec<Entry>,
}

/// From this place on, what was written came at this time or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Milliseconds since 1970 UTC.
    pub wall_ms: u64,
    /// In bytes from the beginning of the file, as it is when it is not compressed.
    pub offset: u64,
}

impl Index {
    /// Reads an index. One that is missing, or no index at all, is empty: the log is shown without times then.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path) -> io::Result<Index> {
        match own_file::read(path) {
            Ok(bytes) => Ok(Index::parse(&bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Index::default()),
            Err(e) => Err(e),
        }
    }

    /// From its bytes. What is torn at the end is ignored.
    pub fn parse(bytes: &[u8]) -> Index {
        let (records, _) = bytes.as_chunks::<RECORD>();
        let Some((seq, entries)) =
            records.split_first().and_then(|(first, rest)| Some((seq_of(first)?, rest)))
        else {
            return Index::default();
        };
        let entry = |record: &[u8; RECORD]| {
            let (wall_ms, offset) = halves(record);
            Entry { wall_ms, offset }
        };
        Index { seq: Some(seq), entries: entries.iter().map(entry).collect() }
    }

    /// When the byte at this place was written, at the earliest; none if that is not known.
    pub fn time_at(&self, offset: u64) -> Option<u64> {
        let after = self.entries.partition_point(|entry| entry.offset <= offset);
        self.entries[..after].last().map(|entry| entry.wall_ms)
    }
}

/// The beginning of an index.
pub fn header(seq: u64) -> [u8; RECORD] {
    record(u64::from_le_bytes(MAGIC), seq)
}

impl Entry {
    /// As it lies in the index.
    pub fn bytes(self) -> [u8; RECORD] {
        record(self.wall_ms, self.offset)
    }
}

fn seq_of(header: &[u8; RECORD]) -> Option<u64> {
    let (magic, seq) = halves(header);
    (magic == u64::from_le_bytes(MAGIC)).then_some(seq)
}

fn record(first: u64, second: u64) -> [u8; RECORD] {
    (u128::from(second) << 64 | u128::from(first)).to_le_bytes()
}

fn halves(record: &[u8; RECORD]) -> (u64, u64) {
    let both = u128::from_le_bytes(*record);
    (both as u64, (both >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "x").unwrap();
        }
        folder
    }

    fn told(folder: &tempfile::TempDir, log: &str) -> Vec<(u64, String, bool)> {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let parts = parts(&folder.path().join(log)).unwrap();
        parts.into_iter().map(|part| (part.seq, name(&part.path), part.is_gz)).collect()
    }

    #[test]
    fn the_parts_of_a_log_are_its_own_and_in_their_order() {
        let folder = folder(&[
            "api.log",
            "api.log.idx",
            "api.log.9",
            "api.log.9.idx",
            "api.log.10",
            "api.log.8.gz",
            "api.log.8.idx",
            "api.log.9.gz",
            "api.log.9.gz.tmp",
            "api.log.07",
            "api.log.+7",
            "api.log.x",
            "api~err.log",
            "api~2.log.3",
            "api.log.log.4",
            "web.log",
        ]);
        let part = |seq: u64, path: &str, is_gz: bool| (seq, path.to_owned(), is_gz);
        assert_eq!(
            told(&folder, "api.log"),
            [
                part(8, "api.log.8.gz", true),
                part(9, "api.log.9", false),
                part(10, "api.log.10", false),
                part(11, "api.log", false)
            ]
        );
        let index = parts(&folder.path().join("api.log")).unwrap()[0].index_path.clone();
        assert_eq!(index, folder.path().join("api.log.8.idx"));
        assert_eq!(told(&folder, "api~2.log"), [part(3, "api~2.log.3", false)], "it has no current file");
        assert_eq!(told(&folder, "none.log"), []);
        assert_eq!(parts(&folder.path().join("none/at/all.log")).unwrap(), []);
        let logs: Vec<_> = ["api.log", "api.log.log", "api~2.log", "api~err.log", "web.log"]
            .map(|log| folder.path().join(log))
            .into();
        assert_eq!(logs_in(folder.path()).unwrap(), logs);
    }

    #[test]
    fn the_current_file_has_the_number_of_its_index_or_the_next_one() {
        let folder = folder(&["api.log"]);
        let log = folder.path().join("api.log");
        assert_eq!(told(&folder, "api.log")[0].0, 1);
        std::fs::write(index_of(&log), header(7)).unwrap();
        assert_eq!(told(&folder, "api.log")[0].0, 7);
        // A rotation was broken off: the log has got its new name, its index not yet.
        std::fs::write(rotated(&log, 7), "x").unwrap();
        assert_eq!(told(&folder, "api.log")[1].0, 8);
        assert_eq!(next_seq(&log).unwrap(), 8);
    }

    #[test]
    fn a_log_that_is_rotated_all_the_time_is_seen_with_all_its_parts() {
        const MANY: u64 = 1_000;
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("api.log");
        (1..=MANY).for_each(|seq| std::fs::write(rotated(&log, seq), "x").unwrap());
        std::fs::write(index_of(&log), header(MANY + 1)).unwrap();
        std::fs::write(&log, "x").unwrap();
        let seen = std::thread::scope(|scope| {
            let rotates = scope.spawn(|| {
                for seq in MANY + 1..=3 * MANY {
                    // In the order of the guard.
                    std::fs::rename(&log, rotated(&log, seq)).unwrap();
                    std::fs::rename(index_of(&log), index_of(&rotated(&log, seq))).unwrap();
                    std::fs::write(index_of(&log), header(seq + 1)).unwrap();
                    std::fs::write(&log, "x").unwrap();
                }
            });
            let mut seen: Vec<Vec<u64>> = Vec::new();
            while !rotates.is_finished() {
                seen.push(parts(&log).unwrap().iter().map(|part| part.seq).collect());
            }
            seen
        });
        let mut newest = 0;
        for seqs in &seen {
            let last = *seqs.last().unwrap();
            // The newest one may be told before it is made.
            let whole = seqs.iter().copied().eq(1..=last) && last + 1 >= newest;
            let missing = || (1..=last).filter(|seq| !seqs.contains(seq)).collect::<Vec<_>>();
            assert!(whole, "after {newest}, of {last} are missing {:?}", missing());
            newest = last.max(newest);
        }
        let meanwhile = seen.iter().filter(|seqs| seqs.len() as u64 <= 3 * MANY).count();
        assert!(meanwhile > 3, "it was seen {meanwhile} times before all was over");
    }

    #[test]
    fn an_index_is_read_up_to_where_it_is_torn() {
        let entry = |wall_ms: u64, offset: u64| Entry { wall_ms, offset };
        let entries = [entry(1_000, 0), entry(2_500, 40), entry(2_400, 90)];
        let mut bytes = header(3).to_vec();
        entries.iter().for_each(|entry| bytes.extend(entry.bytes()));
        assert_eq!(&bytes[..16], b"soloidx1\x03\0\0\0\0\0\0\0");
        bytes.extend([1; 15]);
        let index = Index::parse(&bytes);
        assert_eq!(index, Index { seq: Some(3), entries: entries.to_vec() });
        for broken in [&b""[..], b"soloidx1", &[0; 64], b"soloidx2\x03\0\0\0\0\0\0\0"] {
            assert_eq!(Index::parse(broken), Index::default());
        }
        let none = Index::read(Path::new("/nowhere/at/all.idx")).unwrap();
        assert_eq!(none.time_at(5), None);
        assert_eq!(
            (index.time_at(39), index.time_at(40), index.time_at(5_000)),
            (Some(1_000), Some(2_500), Some(2_400))
        );
    }
}
