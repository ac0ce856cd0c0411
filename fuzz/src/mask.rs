//! Secrets in what a service wrote.

use soloist_daemon::logs::mask::Mask;

const MASKED: &str = "[masked]";

/// What is shown has no secret that a second look would find, its lines are those that were written, it is longer only by
/// the words in place of secrets, and it is the same line by line.
pub fn mask(data: &[u8]) {
    let shown = Mask::default().lines(data).into_owned();
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines(&shown), lines(data));
    let mut by_line = Mask::default();
    let singly: Vec<u8> = data
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(|line| by_line.lines(line).into_owned())
        .collect();
    assert_eq!(singly, shown, "line by line");
    let words = |text: &str| text.matches(MASKED).count();
    let (written, shown) = (String::from_utf8_lossy(data), String::from_utf8_lossy(&shown));
    assert!(shown.len() <= written.len() + MASKED.len() * words(&shown));
    assert_eq!(Mask::default().text(shown.as_bytes()), shown, "a second look");
    assert_eq!(Mask::off().lines(data), data);
}
