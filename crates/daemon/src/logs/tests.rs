//! Following a file as services and people treat it: written in pieces, replaced, cut, flooded.

use std::fs::OpenOptions;
use std::io::Write;

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
        Tail::from(&self.path, start).unwrap()
    }
}

fn lines(lines: &[&str], at: u64, open: bool) -> LogEvent {
    LogEvent::Lines { lines: lines.iter().map(|line| (*line).to_owned()).collect(), at, open }
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
            Some(LogEvent::Lines { lines, at, open: true }) => {
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

    // Moved away: the old one is told to its end, then the new one from its beginning.
    std::fs::rename(&stage.path, stage.path.with_extension("log.1")).unwrap();
    assert_eq!(tail.look().unwrap(), Some(lines(&["three"], 8, false)));
    assert_eq!(tail.look().unwrap(), None, "there is no new one yet");
    stage.add("a longer line of the new file\n");
    let anew = [Some(LogEvent::Rotated), Some(lines(&["a longer line of the new file"], 0, false)), None];
    assert_eq!([tail.look().unwrap(), tail.look().unwrap(), tail.look().unwrap()], anew);
    let mut again = stage.follow(id);
    assert_eq!([again.look().unwrap(), again.look().unwrap(), again.look().unwrap()], anew);

    // Cut in place.
    OpenOptions::new().write(true).open(&stage.path).unwrap().set_len(0).unwrap();
    assert_eq!([tail.look().unwrap(), tail.look().unwrap()], [Some(LogEvent::Rotated), None]);
    for id in ["", "x", "1-", "1-z", "-1", "18446744073709551616"] {
        assert_eq!(Start::parse(id), None, "{id}");
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
    let Some(LogEvent::Resync { missed_bytes, at }) = tail.look().unwrap() else { panic!("not told") };
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
