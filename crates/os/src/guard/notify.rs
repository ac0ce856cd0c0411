//! The words of a notify message (sd_notify(3)) and what they add up to. Pure: what anybody can send is read here, so
//! nothing in it is believed, too long or able to reach a terminal.

use std::os::fd::OwnedFd;

use super::{Answer, Notice};
use crate::platform::Handle;

/// The longest `STATUS=` that is kept, in bytes.
const STATUS_MAX: usize = 1024;
/// The longest `X_SOLOIST_STATE=` and `X_SOLOIST_PROGRESS=` that is kept, in bytes.
const SHORT_MAX: usize = 64;
/// The most answers to ticks that are kept: whoever answers more, unheard, loses the oldest.
const ANSWERS_MAX: usize = 64;
/// What the answers of one message may take of it (`link::MESSAGE_MAX`), in bytes.
const ANSWERS_SIZE: usize = 4096;
/// The longest extension at one time. Who needs more asks again, as sd_notify(3) has it.
const EXTEND_MAX_USEC: u64 = 24 * 3600 * 1_000_000;

/// One message, as it was received.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// What it says, up to a limit.
    pub bytes: Vec<u8>,
    /// It was longer.
    pub is_cut: bool,
    /// Who sent it, as the kernel tells.
    pub pid: u32,
    /// The same, held, where the kernel tells that.
    pub sender: Option<Handle>,
    /// What came along.
    pub fds: Vec<OwnedFd>,
}

/// One assignment of a message that means something to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// `READY=1`
    Ready,
    /// `RELOADING=1`
    Reloading,
    /// `STOPPING=1`
    Stopping,
    /// `STATUS=`; none clears it.
    Status(Option<String>),
    /// `X_SOLOIST_STATE=`; none clears it.
    State(Option<String>),
    /// `X_SOLOIST_PROGRESS=`; none clears it.
    Progress(Option<String>),
    /// `MAINPID=`
    Main(u32),
    /// `WATCHDOG=1`
    Alive,
    /// `WATCHDOG=trigger`
    Trigger,
    /// `WATCHDOG_USEC=`
    WatchdogUsec(u64),
    /// `EXTEND_TIMEOUT_USEC=`
    ExtendUsec(u64),
    /// `FDSTORE=1`
    Fdstore,
}

/// The words of a message, in their order. Lines without `=`, unknown names and values out of form are left out.
/// `BARRIER=1` needs no word: it is answered by closing what came along, which is done with every message.
pub(super) fn words(message: &[u8]) -> impl Iterator<Item = Word> {
    message.split(|byte| *byte == b'\n').filter_map(word)
}

fn word(line: &[u8]) -> Option<Word> {
    let at = line.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&line[..at], &line[at + 1..]);
    match (name, value) {
        (b"READY", b"1") => Some(Word::Ready),
        (b"RELOADING", b"1") => Some(Word::Reloading),
        (b"STOPPING", b"1") => Some(Word::Stopping),
        (b"WATCHDOG", b"1") => Some(Word::Alive),
        (b"WATCHDOG", b"trigger") => Some(Word::Trigger),
        (b"FDSTORE", b"1") => Some(Word::Fdstore),
        (b"STATUS", _) => Some(Word::Status(shown(value, STATUS_MAX))),
        (b"X_SOLOIST_STATE", _) => Some(Word::State(shown(value, SHORT_MAX))),
        (b"X_SOLOIST_PROGRESS", _) => Some(Word::Progress(shown(value, SHORT_MAX))),
        (b"MAINPID", _) => number(value).filter(|pid| *pid > 0).map(Word::Main),
        (b"WATCHDOG_USEC", _) => number(value).map(Word::WatchdogUsec),
        (b"EXTEND_TIMEOUT_USEC", _) => {
            number(value).map(|usec: u64| Word::ExtendUsec(usec.min(EXTEND_MAX_USEC)))
        }
        _ => None,
    }
}

/// The answer to a tick that a message holds, if it does: `X_SOLOIST_RUN=` and `X_SOLOIST_RESULT=`, perhaps with
/// `X_SOLOIST_SUMMARY=`, in any order; of two words the later counts. An error says how it is out of form.
pub(super) fn answer(message: &[u8]) -> Option<Result<Answer, &'static str>> {
    let value = |name: &[u8]| {
        let mut lines = message.split(|byte| *byte == b'\n');
        lines.rfind(|line| line.starts_with(name)).map(|line| &line[name.len()..])
    };
    let summary = value(b"X_SOLOIST_SUMMARY=").and_then(|text| shown(text, STATUS_MAX));
    Some(match (value(b"X_SOLOIST_RUN="), value(b"X_SOLOIST_RESULT=")) {
        (None, None) => return None,
        (None, Some(_)) => Err("does not say which: X_SOLOIST_RUN= is missing"),
        (Some(_), None) => Err("does not say how it went: X_SOLOIST_RESULT= is missing"),
        (Some(run), Some(result)) => match (shown(run, SHORT_MAX), result) {
            (None, _) => Err("X_SOLOIST_RUN= is empty"),
            (Some(tick), b"ok" | b"error") => Ok(Answer { tick, ok: result == b"ok", summary }),
            (Some(_), _) => Err("X_SOLOIST_RESULT= is neither ok nor error"),
        },
    })
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    // `parse` would take a sign too.
    let is_plain = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_plain)?.parse().ok()
}

/// A text as it may be shown: no control characters, no escape sequences, nothing that turns the direction of writing,
/// and at most so many bytes.
fn shown(value: &[u8], limit: usize) -> Option<String> {
    let text = plain(&String::from_utf8_lossy(value));
    let text = cut(text.trim(), limit);
    (!text.is_empty()).then(|| text.to_owned())
}

/// At most so many bytes of a text, and whole characters only.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].trim_end()
}

/// Without control characters and terminal sequences (ECMA-48): `ESC [` up to its final byte, the strings `ESC ]`, `P`,
/// `X`, `^`, `_` up to their end, else `ESC` and one more.
pub(super) fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut left = text.chars();
    while let Some(c) = left.next() {
        let opened = match c {
            '\u{1b}' => left.next(),
            '\u{90}' => Some('P'),
            '\u{98}' => Some('X'),
            '\u{9b}' => Some('['),
            '\u{9d}' => Some(']'),
            '\u{9e}' => Some('^'),
            '\u{9f}' => Some('_'),
            _ => {
                if !c.is_control() && !turns_direction(c) {
                    kept.push(c);
                }
                continue;
            }
        };
        match opened {
            Some('[') => _ = left.find(|c| ('\u{40}'..='\u{7e}').contains(c)),
            Some(']' | 'P' | 'X' | '^' | '_') => {
                let mut before = ' ';
                let is_end = |c: &char| {
                    let is_end = matches!(*c, '\u{7}' | '\u{9c}') || (before == '\u{1b}' && *c == '\\');
                    before = *c;
                    is_end
                };
                _ = left.find(is_end);
            }
            _ => {}
        }
    }
    kept
}

/// Such a character lets a line be read as another one than it is (Unicode UAX #9).
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// What a message adds up to, as it is told: for the fuzz targets alone.
pub fn notice_of(message: &[u8]) -> Notice {
    let mut notice = Notice::default();
    words(message).for_each(|word| notice.take(word));
    if let Some(Ok(answer)) = answer(message) {
        notice.add_answer(answer);
    }
    notice.to_be_told()
}

impl Notice {
    /// A word more. `MAINPID=` and `FDSTORE=1` are no part of a notice: they are acted on, not told.
    pub(super) fn take(&mut self, word: Word) {
        match word {
            Word::Ready => (self.ready, self.reloading) = (true, false),
            Word::Reloading => self.reloading = true,
            Word::Stopping => self.stopping = true,
            Word::Status(text) => self.status = text,
            Word::State(text) => self.state = text,
            Word::Progress(text) => self.progress = text,
            Word::Alive => self.alive = true,
            Word::Trigger => self.trigger = true,
            Word::WatchdogUsec(usec) => self.watchdog_usec = Some(usec),
            Word::ExtendUsec(usec) => self.extend_usec = Some(usec),
            Word::Main(_) | Word::Fdstore => {}
        }
    }

    /// An answer more; says whether it is news. The first answer to a tick counts.
    pub(super) fn add_answer(&mut self, answer: Answer) -> bool {
        let is_news = self.answers.iter().all(|before| before.tick != answer.tick);
        if is_news {
            self.answers.push(answer);
            self.answers.drain(..self.answers.len().saturating_sub(ANSWERS_MAX));
        }
        is_news
    }

    /// Itself, with as many answers as a message holds: the oldest.
    pub(super) fn to_be_told(&self) -> Notice {
        let mut size = 0;
        let fits = self.answers.iter().take_while(|answer| {
            // In JSON: the names around it, and at most an escape for each byte.
            size += 64 + 2 * (answer.tick.len() + answer.summary.as_ref().map_or(0, String::len));
            size <= ANSWERS_SIZE
        });
        Notice { answers: fits.cloned().collect(), ..self.clone() }
    }

    /// Forgets what was said for one moment only, once it is told.
    pub(super) fn forget_the_moment(&mut self) {
        (self.alive, self.trigger, self.extend_usec) = (false, false, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(message: &[u8]) -> Vec<Word> {
        words(message).collect()
    }

    fn status(value: &[u8]) -> Option<String> {
        match read(&[b"STATUS=", value].concat()).as_slice() {
            [Word::Status(text)] => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_word_of_the_protocol_is_read() {
        let message = b"READY=1\nRELOADING=1\nSTOPPING=1\nSTATUS=a = b\nMAINPID=42\nWATCHDOG=1\nWATCHDOG=trigger\n\
            WATCHDOG_USEC=0\nEXTEND_TIMEOUT_USEC=5\nFDSTORE=1\nX_SOLOIST_STATE=scraping\nX_SOLOIST_PROGRESS=12/50";
        let text = |text: &str| Some(text.to_owned());
        let expected = [
            Word::Ready,
            Word::Reloading,
            Word::Stopping,
            Word::Status(text("a = b")),
            Word::Main(42),
            Word::Alive,
            Word::Trigger,
            Word::WatchdogUsec(0),
            Word::ExtendUsec(5),
            Word::Fdstore,
            Word::State(text("scraping")),
            Word::Progress(text("12/50")),
        ];
        assert_eq!(read(message), expected);
    }

    #[test]
    fn what_is_unknown_or_out_of_form_is_left_out_and_the_rest_counts() {
        let message =
            b"READY\nREADY=2\n=1\n\nX_SOLOIST_OTHER=1\nERRNO=2\nMAINPID=0\nMAINPID=-1\nMAINPID=4294967296\n\
            WATCHDOG_USEC=+1\nWATCHDOG_USEC=\nEXTEND_TIMEOUT_USEC=1e9\n\xff\xfe=\xff\nWATCHDOG=2\nSTOPPING=1";
        assert_eq!(read(message), [Word::Stopping]);
    }

    #[test]
    fn an_empty_text_clears_and_a_huge_number_is_bounded() {
        assert_eq!(status(b""), None);
        assert_eq!(status(b" \t "), None);
        let huge = format!("EXTEND_TIMEOUT_USEC={}", u64::MAX);
        assert_eq!(read(huge.as_bytes()), [Word::ExtendUsec(EXTEND_MAX_USEC)]);
    }

    #[test]
    fn a_status_is_cut_at_a_character() {
        let long = status("ä".repeat(3000).as_bytes()).unwrap();
        assert_eq!((long.len(), long.chars().all(|c| c == 'ä')), (1024, true));
        let odd = status(format!("a{}", "ä".repeat(3000)).as_bytes()).unwrap();
        assert_eq!(odd.len(), 1023);
        let state = read(format!("X_SOLOIST_STATE={}", "x".repeat(500)).as_bytes());
        assert_eq!(state, [Word::State(Some("x".repeat(64)))]);
    }

    #[test]
    fn a_status_reaches_no_terminal() {
        let seen = |text: &str| status(text.as_bytes()).unwrap_or_default();
        assert_eq!(seen("\u{1b}[31mred\u{1b}[0m \u{1b}[2Jgone"), "red gone");
        assert_eq!(seen("\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\b\u{1b}Pq#0\u{1b}\\c"), "abc");
        assert_eq!(seen("a\u{9b}31mb\u{9d}0;t\u{9c}c\u{1b}cd\r\u{8}e\u{0}f"), "abcdef");
        assert_eq!(seen("a\u{202e}b"), "ab");
        assert_eq!(seen("a\u{1b}]swallowed"), "a");
        assert_eq!(status(b"a\xffb").unwrap(), "a\u{fffd}b");
    }

    #[test]
    fn a_later_word_replaces_an_earlier_one() {
        let mut notice = Notice::default();
        words(b"READY=1\nRELOADING=1\nSTATUS=one\nSTATUS=two\nWATCHDOG=trigger\nEXTEND_TIMEOUT_USEC=7")
            .for_each(|word| notice.take(word));
        assert!(notice.ready && notice.reloading && notice.trigger);
        assert_eq!((notice.status.as_deref(), notice.extend_usec), (Some("two"), Some(7)));
        notice.forget_the_moment();
        words(b"READY=1\nSTATUS=").for_each(|word| notice.take(word));
        assert_eq!(notice, Notice { ready: true, ..Notice::default() });
    }

    #[test]
    fn an_answer_to_a_tick_is_read_in_any_order() {
        let read = |text: &str| answer(text.as_bytes()).and_then(Result::ok);
        let expected = |ok: bool, summary: Option<&str>| {
            Some(Answer { tick: "00ab".into(), ok, summary: summary.map(str::to_owned) })
        };
        assert_eq!(read("X_SOLOIST_RUN=00ab\nX_SOLOIST_RESULT=ok"), expected(true, None));
        let text = "X_SOLOIST_SUMMARY=\u{1b}[31m3 rows\u{1b}[0m\nREADY=1\nX_SOLOIST_RESULT=error\nX_SOLOIST_RUN=00ab\n";
        assert_eq!(read(text), expected(false, Some("3 rows")));
        let twice = "X_SOLOIST_RUN=1\nX_SOLOIST_RESULT=ok\nX_SOLOIST_RUN=00ab\nX_SOLOIST_RESULT=error";
        assert_eq!(read(twice), expected(false, None), "the later counts");
        let long = format!("X_SOLOIST_RUN=00ab\nX_SOLOIST_RESULT=ok\nX_SOLOIST_SUMMARY={}", "x".repeat(2000));
        assert_eq!(read(&long), expected(true, Some("x".repeat(1024).as_str())));
    }

    #[test]
    fn an_answer_out_of_form_says_how() {
        assert_eq!(answer(b"READY=1\nX_SOLOIST_SUMMARY=x\nX_SOLOIST_RUN\n"), None);
        for (text, word) in [
            ("X_SOLOIST_RUN=1", "X_SOLOIST_RESULT= is missing"),
            ("X_SOLOIST_RESULT=ok", "X_SOLOIST_RUN= is missing"),
            ("X_SOLOIST_RUN=\nX_SOLOIST_RESULT=ok", "X_SOLOIST_RUN= is empty"),
            ("X_SOLOIST_RUN=1\nX_SOLOIST_RESULT=OK", "neither ok nor error"),
            ("X_SOLOIST_RUN=1\nX_SOLOIST_RESULT=", "neither ok nor error"),
        ] {
            let why = answer(text.as_bytes()).unwrap().unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }

    #[test]
    fn the_last_answers_are_kept_each_once_and_a_message_holds_the_oldest_of_them() {
        let made = |number: usize, summary: &str| Answer {
            tick: number.to_string(),
            ok: true,
            summary: Some(summary.to_owned()),
        };
        let mut notice = Notice { status: Some("\"".repeat(STATUS_MAX)), ..Notice::default() };
        assert!((0..100).all(|number| notice.add_answer(made(number, "kept"))));
        assert!(!notice.add_answer(made(99, "late")));
        let ticks: Vec<usize> = notice.answers.iter().filter_map(|answer| answer.tick.parse().ok()).collect();
        assert_eq!(ticks, (36..100).collect::<Vec<_>>());
        let told = notice.to_be_told();
        assert!(told.answers.len() > 40 && notice.answers.starts_with(&told.answers));
        notice.answers.clear();
        (0..9).for_each(|number| _ = notice.add_answer(made(number, &"\"".repeat(STATUS_MAX))));
        let told = serde_json::to_vec(&notice.to_be_told()).unwrap();
        assert!(told.len() < crate::link::MESSAGE_MAX - 1024, "{}", told.len());
        assert_eq!(notice.to_be_told().answers.len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_and_shown_within_bounds(
            message in prop::collection::vec(any::<u8>(), 0..4096),
        ) {
            let mut notice = Notice::default();
            words(&message).for_each(|word| notice.take(word));
            _ = answer(&[b"X_SOLOIST_RUN=", message.as_slice()].concat());
            words(&[b"STATUS=", message.as_slice()].concat()).for_each(|word| notice.take(word));
            let status = notice.status.unwrap_or_default();
            prop_assert!(status.len() <= STATUS_MAX);
            prop_assert!(!status.chars().any(|c| c.is_control() || turns_direction(c)));
        }

        #[test]
        fn words_survive_noise_between_them(noise in prop::collection::vec("[^\n]{0,40}", 0..20)) {
            let mut lines = noise.clone();
            lines.insert(noise.len() / 2, "READY=1".to_owned());
            let found: Vec<Word> = words(lines.join("\n").as_bytes()).collect();
            prop_assert!(found.contains(&Word::Ready));
        }

        #[test]
        fn plain_text_comes_through_whole(text in "[a-zA-Z0-9äß€=/:.%]{1,200}") {
            prop_assert_eq!(status(text.as_bytes()), Some(text));
        }
    }
}
