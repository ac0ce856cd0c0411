//! What is written into the pipes is found in the files, each byte once, whatever happens in between.

use std::fs::{File, read, rename};
use std::io::Write;
use std::os::unix::fs::symlink;

use super::*;
use crate::log_files::{Entry, Index, Part, header, index_of, parts, rotated};

const SIZE: u64 = 256 * 1024;

struct Stage {
    folder: tempfile::TempDir,
    output: Output,
    writer: File,
}

impl Stage {
    fn with(rules: LogRules) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::open(&folder.path().join("api.log"), &rules, false).unwrap();
        let writer = File::from(output.end().unwrap().try_clone_to_owned().unwrap());
        Stage { folder, output, writer }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("api.log")
    }

    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(32 * 1024) {
            self.writer.write_all(piece).unwrap();
            self.output.drain(Instant::now());
        }
    }

    fn parts(&self) -> Vec<Part> {
        parts(&self.log()).unwrap()
    }

    fn contents(&self) -> Vec<Vec<u8>> {
        self.parts().iter().map(|part| read(&part.path).unwrap()).collect()
    }
}

fn small() -> LogRules {
    LogRules { size: SIZE, ..LogRules::default() }
}

fn lines(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|number| format!("{number:0width$}\n", width = 1 + number % 150).into_bytes())
        .collect()
}

#[test]
fn a_log_that_was_called_new_and_is_there_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("api.log");
    std::fs::write(folder.path().join("api.log.4"), "old\n").unwrap();
    std::fs::write(&log, "newer\n").unwrap();
    let mut output = Output::open(&log, &small(), true).unwrap();
    assert_eq!(output.begin(1), Some((5, 6)), "the number after that of the rotated one");
}

#[test]
fn a_full_file_ends_with_a_line_and_no_byte_is_lost_between_files() {
    let mut stage = Stage::with(small());
    let all = lines(20_000);
    stage.write(&all);
    let parts = stage.parts();
    assert_eq!(parts.iter().map(|part| part.seq).collect::<Vec<_>>(), (1..=6).collect::<Vec<_>>());
    let contents = stage.contents();
    assert!(contents.concat() == all, "the files together are what was written");
    for full in &contents[..5] {
        assert!(full.ends_with(b"\n") && full.len() as u64 >= SIZE && (full.len() as u64) < SIZE + 200);
    }
    assert_eq!(stage.output.rotated().collect::<Vec<_>>(), [stage.log()]);
    assert_eq!(stage.output.rotated().count(), 0, "told once");
    for part in parts {
        let index = Index::read(&part.index_path).unwrap();
        assert_eq!((index.seq, index.entries[0].offset), (Some(part.seq), 0));
        assert!(index.entries[0].wall_ms > 1_500_000_000_000);
    }
}

#[test]
fn a_line_without_end_is_cut_where_a_file_is_full() {
    let mut stage = Stage::with(small());
    let all = vec![b'x'; 1_000_000];
    stage.write(&all);
    let lengths: Vec<usize> = stage.contents().iter().map(Vec::len).collect();
    let most = SIZE as usize + 64 * 1024;
    assert_eq!(lengths, [most, most, most, 1_000_000 - 3 * most]);
}

#[test]
fn a_line_that_ends_where_the_file_is_full_is_the_last_one() {
    let mut stage = Stage::with(small());
    let mut all = vec![b'x'; SIZE as usize - 1];
    all.push(b'\n');
    stage.write(&all);
    assert_eq!(stage.parts().len(), 1, "there is nothing yet for the next one");
    stage.write(b"next\n");
    assert_eq!(stage.contents(), [all, b"next\n".to_vec()]);
}

#[test]
fn a_log_of_before_is_appended_to_and_rotated_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("api.log");
    let before = vec![b'x'; 2 * SIZE as usize];
    std::fs::write(&log, &before).unwrap();
    let mut output = Output::open(&log, &small(), false).unwrap();
    assert_eq!(output.begin(0), Some((1, before.len() as u64)));
    let mut writer = File::from(output.end().unwrap().try_clone_to_owned().unwrap());
    writer.write_all(b"the end\nnext\n").unwrap();
    let noted = Index::read(&index_of(&log)).unwrap().entries;
    assert_eq!(noted, [Entry { wall_ms: 0, offset: before.len() as u64 }], "where a run begins");
    assert_eq!(output.begin(5), Some((1, before.len() as u64)));
    assert_eq!(Index::read(&index_of(&log)).unwrap().entries, noted, "nothing was written since");
    output.drain(Instant::now());
    let contents: Vec<Vec<u8>> = parts(&log).unwrap().iter().map(|part| read(&part.path).unwrap()).collect();
    assert_eq!(contents, [[&before[..], b"the end\n"].concat(), b"next\n".to_vec()]);
    assert_eq!(output.begin(0), Some((2, 5)));
}

#[test]
fn a_file_that_is_too_old_is_full() {
    let mut stage = Stage::with(LogRules { max_age_ms: Some(0), ..small() });
    stage.write(b"first\n");
    stage.write(b"second, ");
    stage.write(b"third\n");
    assert_eq!(stage.contents(), [&b"first\n"[..], b"second, third\n", b""]);
}

/// Each step of a rotation, as it was when the guard was killed behind it.
#[test]
fn a_rotation_that_was_broken_off_is_made_good() {
    for steps in 1..=3 {
        let mut stage = Stage::with(small());
        stage.write(b"first\n");
        let (log, old) = (stage.log(), rotated(&stage.log(), 1));
        rename(&log, &old).unwrap();
        if steps > 1 {
            rename(index_of(&log), index_of(&old)).unwrap();
        }
        if steps > 2 {
            std::fs::write(index_of(&log), header(2)).unwrap();
        }
        stage.output = Output::open(&log, &small(), false).unwrap();
        stage.writer = File::from(stage.output.end().unwrap().try_clone_to_owned().unwrap());
        stage.write(b"second\n");
        assert_eq!(stage.contents(), [b"first\n".to_vec(), b"second\n".to_vec()]);
        let seqs: Vec<_> = stage.parts().iter().map(|p| Index::read(&p.index_path).unwrap().seq).collect();
        assert_eq!(seqs, [Some(1), Some(2)], "after {steps} steps");
    }
}

#[test]
fn a_torn_index_is_cut_and_one_that_knows_too_much_too() {
    let mut stage = Stage::with(small());
    stage.write(b"first\n");
    let (log, index) = (stage.log(), index_of(&stage.log()));
    let entry = Index::read(&index).unwrap().entries[0];
    let more = Entry { offset: 7, ..entry };
    let torn = [&header(1)[..], &entry.bytes(), &more.bytes(), b"torn"].concat();
    std::fs::write(&index, torn).unwrap();
    stage.output = Output::open(&log, &small(), false).unwrap();
    assert_eq!(read(&index).unwrap(), [header(1), entry.bytes()].concat());
    std::fs::write(&index, b"no index").unwrap();
    stage.output = Output::open(&log, &small(), false).unwrap();
    assert_eq!(read(&index).unwrap(), header(1));
}

#[test]
fn a_log_that_was_taken_away_is_begun_anew_and_not_followed_through_a_link() {
    let mut stage = Stage::with(small());
    stage.write(b"first\n");
    std::fs::remove_file(stage.log()).unwrap();
    stage.output = Output::open(&stage.log(), &small(), false).unwrap();
    assert_eq!(stage.output.begin(0), Some((2, 0)), "places in the first one are not mistaken for its own");
    let linked = stage.folder.path().join("linked.log");
    symlink(stage.log(), &linked).unwrap();
    assert!(Output::open(&linked, &small(), false).is_err());
}

#[test]
fn errors_go_to_a_log_of_their_own_if_that_is_asked_for() {
    let mut stage = Stage::with(LogRules { is_split: true, ..small() });
    let mut errors = File::from(stage.output.error_end().unwrap().try_clone_to_owned().unwrap());
    errors.write_all(b"trouble\n").unwrap();
    stage.write(b"fine\n");
    assert_eq!(read(stage.folder.path().join("api~err.log")).unwrap(), b"trouble\n");
    assert_eq!(stage.contents(), [b"fine\n"]);
    let together = Stage::with(small());
    let same = |end: Option<BorrowedFd<'_>>| rustix::fs::fstat(end.unwrap()).unwrap().st_ino;
    assert_eq!(same(together.output.end()), same(together.output.error_end()));
}

#[test]
fn a_flood_gets_a_large_pipe_and_gives_it_back() {
    // Who waits for a full disk knows what of its buffer is not written: nothing, of a buffer that is gone.
    let mut stage = Stage::with(LogRules { on_full: OnFull::Block, ..LogRules::default() });
    let size = |stage: &Stage| rustix::pipe::fcntl_getpipe_size(&stage.writer).unwrap();
    assert_eq!(size(&stage), LITTLE.pipe);
    stage.write(&vec![b'x'; 2 << 20]);
    assert_eq!(size(&stage), MUCH.pipe);
    assert!(stage.output.deadline().is_some(), "it is left alone for a moment");
    stage.output.streams[0].log.mark(clock::wall_ms() + 5_000);
    stage.output.streams[0].log.mark(clock::wall_ms() + 5_000);
    stage.write(b"a word\n");
    assert_eq!(size(&stage), LITTLE.pipe);
    assert_eq!(stage.output.deadline(), None);
}

#[test]
fn what_a_disk_that_stays_full_did_not_take_last_is_told_at_the_end() {
    let mut stage = Stage::with(small());
    let now = Instant::now();
    assert_eq!(stage.output.last_trouble(), None);
    (stage.output.streams[0].lost, stage.output.streams[0].full_until) = (64, Some(now));
    assert_eq!(stage.output.trouble(now), Some(Trouble { lost: 64, is_full: true }));
    stage.output.streams[0].lost = 2048;
    assert_eq!(stage.output.trouble(now), None, "that is told once a second");
    assert_eq!(stage.output.last_trouble(), Some(Trouble { lost: 2048, is_full: false }));
}
