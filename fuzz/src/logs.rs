//! A log of several files, as anybody may have left them: read as one text, from its end, by lines and by times.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use soloist_daemon::logs::lines::{Lines, Wish};
use soloist_daemon::logs::mask::Mask;
use soloist_daemon::logs::{Position, Seen, Start, Tail};
use soloist_os::log_files::{Index, compressed, index_of, rotated};

/// One file: how it lies there, its bytes, and its index.
struct Part<'a> {
    seq: u64,
    kind: u8,
    bytes: &'a [u8],
    index: Option<&'a [u8]>,
}

const GZ: u8 = 1;
/// Bytes that only claim to be compressed.
const TORN_GZ: u8 = 2;
const INDEX: u8 = 4;
/// The next file has the last number that there is.
const LAST: u8 = 8;

/// All of it is read back, to the byte; the last lines, and those of a time, are the end and the beginning of all lines;
/// an index tells what a look at each entry tells; and whatever is torn is an error or passed over.
pub fn logs(data: &[u8]) {
    let Some((wish, rest)) = data.split_first_chunk::<6>() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("api.log");
    let (parts, is_torn) = lay(rest, &log);
    for part in &parts {
        part.index.inspect(|bytes| tells(&Index::parse(bytes)));
    }
    let count = usize::from(wish[0] % 16);
    let (since, until) = (u64::from(wish[1]) * 1000, u64::from(wish[2]) * 1000);
    if is_torn || parts.iter().any(|part| part.seq == u64::MAX) {
        for wish in [
            Wish { lines: Some(count), ..Wish::default() },
            Wish { since: Some(since), until: Some(until), ..Wish::default() },
        ] {
            _ = Lines::of(&log, &wish, Mask::off()).map(|lines| lines.take_while(Result::is_ok).count());
        }
        _ = follow(&log, Start::At(place(wish, &parts)));
        return;
    }
    let text: Vec<u8> = parts.iter().flat_map(|part| part.bytes).copied().collect();
    let all: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let told = |wish: Wish| -> Vec<Vec<u8>> {
        let lines = Lines::of(&log, &wish, Mask::off()).expect("a log");
        lines.map(|line| line.expect("a line").bytes).collect()
    };
    assert_eq!(told(Wish { lines: Some(usize::MAX), ..Wish::default() }), all, "all lines");
    let last = told(Wish { lines: Some(count), ..Wish::default() });
    assert_eq!(last, all[all.len() - count.min(all.len())..], "the last {count} lines");
    // A file may end within a line, and its time be asked for.
    let later = told(Wish { since: Some(since), ..Wish::default() }).concat();
    assert!(text.ends_with(&later), "since {since}");
    let earlier = told(Wish { until: Some(until), ..Wish::default() }).concat();
    assert!(text.starts_with(&earlier), "until {until}");
    let begin = Position { seq: parts.first().map_or(1, |part| part.seq), offset: 0 };
    assert_eq!(follow(&log, Start::At(begin)), Some(text), "followed from its beginning");
    _ = follow(&log, Start::At(place(wish, &parts)));
}

/// Lays the files of a log: of each a byte for what it is, two for its length, and its bytes.
fn lay<'a>(mut rest: &'a [u8], log: &Path) -> (Vec<Part<'a>>, bool) {
    let mut take = || {
        let (head, left) = rest.split_first_chunk::<3>()?;
        let length = usize::from(u16::from_le_bytes([head[1], head[2]])).min(left.len());
        let (bytes, left) = left.split_at(length);
        rest = left;
        Some((head[0], bytes))
    };
    let mut parts: Vec<Part> = Vec::new();
    while let Some((kind, bytes)) = take().filter(|_| parts.len() < 5) {
        let index = (kind & INDEX != 0).then(&mut take).flatten().map(|(_, bytes)| bytes);
        let next = parts.last().map_or(1, |part| part.seq + 1);
        let seq = if kind & LAST != 0 { u64::MAX } else { next };
        parts.push(Part { seq, kind, bytes, index });
        if seq == u64::MAX {
            break;
        }
    }
    let mut is_torn = false;
    for (at, part) in parts.iter().enumerate() {
        let is_current = at + 1 == parts.len() && part.seq != u64::MAX;
        let path = if is_current { log.to_owned() } else { rotated(log, part.seq) };
        if part.kind & TORN_GZ != 0 && !is_current {
            is_torn = true;
            fs::write(compressed(&path), part.bytes).expect("a file");
        } else if part.kind & GZ != 0 && !is_current {
            let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
            gz.write_all(part.bytes).expect("room");
            fs::write(compressed(&path), gz.finish().expect("room")).expect("a file");
        } else {
            fs::write(&path, part.bytes).expect("a file");
        }
        // The index of the current file tells its number; as it lies, that is the next one or any.
        if let Some(bytes) = part.index {
            let of_itself = [&soloist_os::log_files::header(part.seq)[..], bytes].concat();
            fs::write(index_of(&path), if is_current { of_itself } else { bytes.to_vec() }).expect("a file");
        }
    }
    (parts, is_torn)
}

/// Offsets never fall in an index that was written by soloist: there a quick look finds what a slow one does.
fn tells(index: &Index) {
    let places = index.entries.iter().flat_map(|entry| [entry.offset, entry.offset.saturating_sub(1)]);
    for at in places.take(16) {
        let found = index.time_at(at);
        if index.entries.is_sorted_by_key(|entry| entry.offset) {
            let slow = index.entries.iter().rev().find(|entry| entry.offset <= at);
            assert_eq!(found, slow.map(|entry| entry.wall_ms));
        }
    }
}

/// A place that a reader may come with: of any file, also one that is there no more, and anywhere in it.
fn place(wish: &[u8; 6], parts: &[Part]) -> Position {
    let seq = match wish[3] {
        255 => u64::MAX,
        other => {
            parts.first().map_or(1, |part| part.seq).saturating_add(u64::from(other % 8)).saturating_sub(1)
        }
    };
    let offset = match wish[4] {
        255 => u64::MAX,
        254 => i64::MAX as u64,
        other => u64::from(other) << (wish[5] % 16),
    };
    Position { seq, offset }
}

/// All that a reader gets who never misses anything; he comes to an end.
fn follow(log: &Path, start: Start) -> Option<Vec<u8>> {
    let mut tail = Tail::from(log, start, Mask::off()).ok()?.patient();
    let (mut text, mut nothing) = (Vec::new(), 0);
    for _ in 0..1000 {
        match tail.look_at_bytes().ok()? {
            Some(Seen::Bytes { bytes, .. }) => text.extend(bytes),
            Some(Seen::Missed { .. } | Seen::Replaced) => {}
            // A line without its end is told at the second look.
            None if nothing > 1 => return Some(text),
            None => nothing += 1,
        }
    }
    panic!("he never comes to an end");
}
