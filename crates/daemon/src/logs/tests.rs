//! Following a file as services and people treat it: written in pieces, replaced, cut, flooded.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use soloist_os::log_files::{Entry, compressed, header, index_of, rotated};

use super::content::PIECE;
use super::*;

struct Stage {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.log");
        Stage { _folder: folder, path }
    }

    fn add(&self, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    fn follow(&self, start: Start) -> Tail {
        Tail::from(&self.path, start, Mask::default()).unwrap()
    }
}

fn lines(lines: &[&str], at: u64, open: bool) -> LogEvent {
    lines_of(1, lines, at, open)
}

fn lines_of(seq: u64, lines: &[&str], at: u64, open: bool) -> LogEvent {
    LogEvent::Lines { lines: lines.iter().map(|line| (*line).to_owned()).collect(), at, seq, open }
}

#[test]
fn lines_are_told_whole_and_an_unfinished_one_when_no_more_comes() {
    let stage = Stage::new();
    let mut tail = stage.follow(Start::Lines(10));
    assert_eq!(tail.look().unwrap(), None, "nothing was written yet");
    stage.add(b"one\r\n\ntwo \xc3");
    assert_eq!(tail.look().unwrap(), Some(lines(&["one", ""], 0, false)));
    assert_eq!(tail.look().unwrap(), None, "its rest may be on its way");
    stage.add(b"\xa4, not \xff\nname: ");
    assert_eq!(tail.look().unwrap(), Some(lines(&["two \u{e4}, not \u{fffd}"], 6, false)));
    assert_eq!((tail.look().unwrap(), tail.is_mid_line()), (None, true));
    assert_eq!(tail.look().unwrap(), Some(lines(&["name: "], 20, true)));
    assert_eq!((tail.look().unwrap(), tail.is_mid_line()), (None, false));
    stage.add("Ada\n");
    assert_eq!(tail.look().unwrap(), Some(lines(&["Ada"], 26, false)));
}

#[test]
fn a_line_without_end_comes_in_parts_of_whole_characters() {
    let stage = Stage::new();
    let text = format!("x{}", "\u{e4}".repeat(PIECE));
    stage.add(&text);
    let mut tail = stage.follow(Start::Lines(1));
    let mut found = String::new();
    while found.len() < text.len() {
        match tail.look().unwrap() {
            Some(LogEvent::Lines { lines, at, open: true, .. }) => {
                assert_eq!((lines.len(), at), (1, found.len() as u64));
                found.push_str(&lines[0]);
            }
            None if tail.is_mid_line() => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(found, text);
}

#[test]
fn a_follower_that_comes_again_goes_on_and_learns_of_another_file() {
    let stage = Stage::new();
    stage.add("one\ntwo\n");
    let mut tail = stage.follow(Start::Lines(1));
    assert_eq!(tail.look().unwrap(), Some(lines(&["two"], 4, false)));
    let id = Start::parse(&tail.id()).unwrap();
    stage.add("three\n");
    assert_eq!(stage.follow(id).look().unwrap(), Some(lines(&["three"], 8, false)));

    // Moved away by somebody: the old one is told to its end, then the new one from its beginning.
    std::fs::rename(&stage.path, stage.path.with_extension("old")).unwrap();
    assert_eq!(tail.look().unwrap(), Some(lines(&["three"], 8, false)));
    assert_eq!(tail.look().unwrap(), None, "there is no new one yet");
    stage.add("new\n");
    let anew = [Some(LogEvent::Rotated), Some(lines(&["new"], 0, false)), None];
    assert_eq!([tail.look().unwrap(), tail.look().unwrap(), tail.look().unwrap()], anew);
    let mut again = stage.follow(id);
    assert_eq!([again.look().unwrap(), again.look().unwrap(), again.look().unwrap()], anew);

    // Cut in place.
    OpenOptions::new().write(true).open(&stage.path).unwrap().set_len(0).unwrap();
    assert_eq!([tail.look().unwrap(), tail.look().unwrap()], [Some(LogEvent::Rotated), None]);
    for id in ["", "x", "1", "1-", "1-z", "-1", "18446744073709551616-1"] {
        assert_eq!(Start::parse(id), None, "{id}");
    }
}

impl Stage {
    fn rotate(&self, seq: u64) {
        std::fs::rename(&self.path, rotated(&self.path, seq)).unwrap();
    }

    fn compress(&self, seq: u64) {
        let plain = rotated(&self.path, seq);
        let mut gz = GzEncoder::new(std::fs::File::create(compressed(&plain)).unwrap(), Compression::fast());
        gz.write_all(&std::fs::read(&plain).unwrap()).unwrap();
        gz.finish().unwrap();
        std::fs::remove_file(plain).unwrap();
    }
}

#[test]
fn a_rotated_log_is_followed_as_if_it_were_one() {
    let stage = Stage::new();
    stage.add("one\n");
    let mut tail = stage.follow(Start::Lines(1));
    assert_eq!(tail.look().unwrap(), Some(lines(&["one"], 0, false)));
    let id = Start::parse(&tail.id()).unwrap();
    stage.add("two\nthr");
    stage.rotate(1);
    assert_eq!(tail.look().unwrap(), Some(lines(&["two"], 4, false)));
    assert_eq!((tail.look().unwrap(), tail.is_mid_line()), (None, true));
    stage.add("ee\nfour\n");
    let rest = [Some(lines(&["thr"], 8, true)), Some(lines_of(2, &["ee", "four"], 0, false)), None];
    assert_eq!(
        [tail.look().unwrap(), tail.look().unwrap(), tail.look().unwrap()],
        rest,
        "no byte twice or never"
    );

    // Who comes again finds its place also when the file was compressed, and others came after it.
    stage.compress(1);
    stage.rotate(2);
    stage.add("five\n");
    let told = |mut tail: Tail| std::iter::from_fn(move || tail.look().unwrap()).collect::<Vec<_>>();
    let all = [
        lines(&["two"], 4, false),
        lines(&["thr"], 8, true),
        lines_of(2, &["ee", "four"], 0, false),
        lines_of(3, &["five"], 0, false),
    ];
    assert_eq!(told(stage.follow(id)), all);
    assert_eq!(told(stage.follow(Start::Lines(3)))[..], all[1..]);
    assert_eq!(tail.look().unwrap(), Some(all[3].clone()));

    // What came next was deleted.
    std::fs::remove_file(compressed(&rotated(&stage.path, 1))).unwrap();
    assert_eq!(told(stage.follow(id)), [LogEvent::Rotated, all[2].clone(), all[3].clone()]);
    // All was deleted, and numbers begin anew.
    std::fs::remove_file(rotated(&stage.path, 2)).unwrap();
    std::fs::remove_file(&stage.path).unwrap();
    assert_eq!(tail.look().unwrap(), None);
    stage.add("six\n");
    assert_eq!(told(tail), [LogEvent::Rotated, lines(&["six"], 0, false)]);
}

#[test]
fn a_log_that_rotates_while_it_is_followed_is_told_once_and_wholly() {
    const LINES: usize = 40_000;
    let stage = Stage::new();
    let (path, mut tail) = (stage.path.clone(), stage.follow(Start::Lines(0)).patient());
    let writer = std::thread::spawn(move || {
        let open = |path: &Path| OpenOptions::new().append(true).create(true).open(path).unwrap();
        let (mut file, mut seq) = (open(&path), 1);
        for n in 0..LINES {
            if n % 1_000 == 999 {
                // Within a line, as a rotation may be.
                file.write_all(b"li").unwrap();
                std::fs::rename(&path, rotated(&path, seq)).unwrap();
                (file, seq) = (open(&path), seq + 1);
                writeln!(file, "ne {n}").unwrap();
            } else {
                writeln!(file, "line {n}").unwrap();
            }
        }
    });
    let (mut told, mut last) = (String::new(), false);
    loop {
        match tail.look().unwrap() {
            Some(LogEvent::Lines { lines, open, .. }) => {
                told.push_str(&lines.join("\n"));
                told.push_str(if open { "" } else { "\n" });
            }
            None if tail.is_mid_line() => {}
            None if last => break,
            None => last = writer.is_finished(),
            other => panic!("{other:?}"),
        }
    }
    writer.join().unwrap();
    assert!(told.lines().map(str::to_owned).eq((0..LINES).map(|n| format!("line {n}"))), "{}", told.len());
}

#[test]
fn secrets_are_not_told() {
    let stage = Stage::new();
    stage.add("token=abc\nup\n");
    assert_eq!(
        stage.follow(Start::Lines(2)).look().unwrap(),
        Some(lines(&["token=[masked]", "up"], 0, false))
    );
    let mut raw = Tail::from(&stage.path, Start::Lines(2), Mask::off()).unwrap();
    assert_eq!(raw.look().unwrap(), Some(lines(&["token=abc", "up"], 0, false)));
}

#[test]
fn the_end_of_a_log_holds_nothing_of_an_earlier_run() {
    let stage = Stage::new();
    let end = |from: Option<(u64, u64)>| {
        let from = from.map(|(seq, offset)| Position { seq, offset });
        end_of(&stage.path, from, 8192, &mut Mask::default())
    };
    assert_eq!(end(None), "");
    stage.add("earlier\nthis\n");
    assert_eq!(end(Some((1, 8))), "this\n");
    assert_eq!(end(Some((1, 13))), "");
    assert_eq!(end(Some((1, 1000))), "earlier\nthis\n", "begun anew");
    stage.rotate(1);
    stage.add("that, token=x\n");
    assert_eq!(end(Some((1, 8))), "this\nthat, token=[masked]\n", "over two files");
    stage.add(format!("{}\nlast\n", "x".repeat(9000)));
    assert_eq!(end(Some((1, 8))), "last\n", "no half line");
    stage.add("x".repeat(9000));
    assert_eq!(end(None).len(), 8192, "half a line is better than none");
}

#[test]
fn standard_error_that_is_kept_apart_comes_last_and_from_the_same_run() {
    let stage = Stage::new();
    stage.add("earlier\nout");
    let error = error_log_of(&stage.path);
    std::fs::write(&error, "error of before\nerror of this\n").unwrap();
    let entries = [(1_000, 0), (3_000, 16), (9_000, 30)];
    let entries = entries.map(|(wall_ms, offset)| Entry { wall_ms, offset }.bytes());
    std::fs::write(index_of(&error), [&[header(1)], &entries[..]].concat().concat()).unwrap();
    let from = Some(Position { seq: 1, offset: 8 });
    let end = |apart| end_of_run(&stage.path, from, apart, 8192, &mut Mask::default());
    assert_eq!(end(None), "out");
    assert_eq!(end(Some(3_000)), "out\nerror of this\n");
    assert_eq!(end(Some(3_900)), "out\nerror of this\n", "told a little later");
    assert_eq!(end(Some(2_999)), "out\nerror of before\nerror of this\n");
}

#[test]
fn names_of_logs_lead_to_their_instances() {
    for (log, instance) in [
        ("api", "api"),
        ("api~err", "api"),
        ("scan~2", "scan"),
        ("scan~2~err", "scan"),
        ("feed@a~b~3", "feed@a~b"),
        ("a~", "a~"),
        ("a~x", "a~x"),
    ] {
        assert_eq!(instance_of(log), instance, "{log}");
    }
}

#[test]
fn a_follower_far_behind_is_told_what_it_missed_to_the_byte() {
    let stage = Stage::new();
    stage.add("first\n");
    let mut tail = stage.follow(Start::Lines(1));
    assert_eq!(tail.look().unwrap(), Some(lines(&["first"], 0, false)));
    let flood: String = (0..BEHIND_MAX / 8 + 1).map(|n| format!("{n:07}\n")).collect();
    stage.add(&flood);
    let Some(LogEvent::Resync { missed_bytes, at, seq: 1 }) = tail.look().unwrap() else {
        panic!("not told")
    };
    assert_eq!(missed_bytes, at - 6);
    let mut told = String::new();
    while let Some(LogEvent::Lines { lines, .. }) = tail.look().unwrap() {
        lines.iter().for_each(|line| told.extend([line, "\n"]));
    }
    assert_eq!(told, flood[missed_bytes as usize..]);
}

#[test]
fn the_last_lines_are_found_from_the_end() {
    let stage = Stage::new();
    stage.add("");
    assert_eq!(stage.follow(Start::Lines(5)).look().unwrap(), None);
    stage.add((0..50_000).map(|n| format!("{n}\n")).collect::<String>());
    assert_eq!(
        stage.follow(Start::Lines(2)).look().unwrap(),
        Some(lines(&["49998", "49999"], 288_878, false))
    );
    assert_eq!(stage.follow(Start::Lines(0)).look().unwrap(), None);
    let Some(LogEvent::Lines { at, .. }) = stage.follow(Start::Lines(60_000)).look().unwrap() else {
        panic!()
    };
    assert_eq!(at, 0);
}

#[test]
fn what_is_compressed_is_read_at_any_place_however_large_it_is() {
    let stage = Stage::new();
    // Of digits that hardly can be compressed: more than what is read of a file at once, packed and unpacked.
    let mut digits = 1_u64;
    let old: Vec<String> = (0..20_000)
        .map(|n| {
            digits = digits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{n:05} {digits:016x}")
        })
        .collect();
    stage.add(old.join("\n") + "\n");
    stage.rotate(1);
    stage.compress(1);
    stage.add("last\n");
    let packed = std::fs::metadata(compressed(&rotated(&stage.path, 1))).unwrap().len();
    assert!(packed > 2 * PIECE as u64, "{packed}");
    let told = |start: Start| {
        let mut tail = stage.follow(start).patient();
        let mut told = Vec::new();
        while let Some(LogEvent::Lines { lines, .. }) = tail.look().unwrap() {
            told.extend(lines);
        }
        assert_eq!(told.pop().as_deref(), Some("last"));
        told
    };
    for lines in [1, 2, 4_000, 19_999, 20_000, 20_001, 20_002, usize::MAX] {
        let first = old.len().saturating_sub(lines - 1);
        assert!(told(Start::Lines(lines)) == old[first..], "{lines} lines");
    }
    assert!(told(Start::Beginning) == old);
    let end = end_of(&stage.path, None, 100_000, &mut Mask::default());
    assert!(end.len() > 99_900 && (old.join("\n") + "\nlast\n").ends_with(&end), "{} bytes", end.len());

    // Forward it is unpacked once, however many pieces it is read in: what was read already is not needed any more.
    let mut tail = stage.follow(Start::Beginning).patient();
    let mut lines = 0;
    while let Some(LogEvent::Lines { lines: more, .. }) = tail.look().unwrap() {
        if lines == 0 {
            let packed = OpenOptions::new().write(true).open(compressed(&rotated(&stage.path, 1))).unwrap();
            packed.write_all_at(&[0; 1_000], 0).unwrap();
        }
        lines += more.len();
    }
    assert_eq!(lines, old.len() + 1);
}
