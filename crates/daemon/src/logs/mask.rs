//! Secrets in what a service wrote are not shown: passwords, tokens, keys and cookies become `[masked]`, whatever names them
//! stays. In the files all is kept as it was written. A line without one of the words that go before a secret costs one
//! look.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, Input, MatchKind};
use regex_lite::Regex;

use crate::config::Config;

/// What is shown instead.
const MASKED: &str = "[masked]";
/// A private key in PEM (RFC 7468) ends after so many lines, or it never does: one of 16 Kibit has 200.
const KEY_LINES: u32 = 256;
/// A shape is looked for in so many bytes: a line may be long and full of words that lead to one.
const HEAD: usize = 512;
/// What ends a private key.
const KEY_END: &str = "-----END";

/// What of the lines of one log is not shown; fed with all lines in their order.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    own: Arc<[Regex]>,
    is_off: bool,
    /// So many lines of a private key may still come.
    key_lines: u32,
}

impl Mask {
    /// Of well-known secrets, and of what matches the patterns of a declaration. They were checked when it was read.
    pub fn new(own: &[String]) -> Mask {
        Mask { own: own.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect(), ..Mask::default() }
    }

    /// For the log of an instance, if its configuration can be read.
    pub fn of(config: Option<&Config>, instance: &str) -> Mask {
        let Some(config) = config else { return Mask::default() };
        let declared = config.declared.iter().find(|declared| declared.name == instance);
        Mask::new(declared.map_or(&config.log.mask, |declared| &declared.program.log.mask))
    }

    /// Shows all as it is.
    pub fn off() -> Mask {
        Mask { is_off: true, ..Mask::default() }
    }

    /// Lines, with or without their ends. What has no secret stays as it is, to the byte; of a line that has one, what is
    /// not UTF-8 is replaced.
    pub fn lines<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let is_plain = self.own.is_empty() && self.key_lines == 0 && !SECRETS.is_in(bytes);
        if self.is_off || is_plain {
            return Cow::Borrowed(bytes);
        }
        let mut shown = Vec::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
            let text = String::from_utf8_lossy(&line[..end]);
            match self.masked(&text) {
                Some(masked) => shown.extend(masked.bytes()),
                None => shown.extend(&line[..end]),
            }
            shown.extend(&line[end..]);
        }
        Cow::Owned(shown)
    }

    /// The same as text: what is not UTF-8 is replaced.
    pub fn text(&mut self, bytes: impl AsRef<[u8]>) -> String {
        String::from_utf8_lossy(&self.lines(bytes.as_ref())).into_owned()
    }

    /// One line without its end, if something of it is not to be shown.
    fn masked(&mut self, line: &str) -> Option<String> {
        let mut own = Cow::Borrowed(line);
        for pattern in self.own.iter() {
            if let Cow::Owned(masked) = pattern.replace_all(&own, MASKED) {
                own = Cow::Owned(masked);
            }
        }
        let Some(mut shown) = self.known(&own) else {
            return match own {
                Cow::Owned(masked) => Some(masked),
                Cow::Borrowed(_) => None,
            };
        };
        // What is masked may have ended what stands before it: a quote within a password, say. Each look masks more, or is
        // the last one.
        let key_lines = std::mem::take(&mut self.key_lines);
        while let Some(more) = self.known(&shown).filter(|more| *more != shown) {
            shown = more;
        }
        self.key_lines = key_lines;
        Some(shown)
    }

    fn known(&mut self, line: &str) -> Option<String> {
        let mut shown = String::new();
        // All before was looked at, all before `told` is in `shown`.
        let (mut at, mut told) = (0, 0);
        if self.key_lines > 0 {
            at = self.rest_of_key(line, 0);
            shown.push_str(MASKED);
            told = at;
        }
        while let Some((start, rule)) = SECRETS.next(line, at) {
            // Words are ASCII: a character is a byte.
            at = start + 1;
            let is_within_word = line[..start].ends_with(|c: char| c.is_alphanumeric() || "_-".contains(c));
            let rest = &line[start..];
            let head = &rest[..rest.floor_char_boundary(HEAD)];
            let Some(found) = rule.shape.captures(head).filter(|_| !rule.is_alone || !is_within_word) else {
                continue;
            };
            let kept = found.get(1).map_or(0, |kept| kept.end());
            let length = match rule.until {
                Until::Shape => {
                    let end = found.get(0).map_or(kept, |all| all.end());
                    if end < head.len() { end } else { end + token(&rest[end..]) }
                }
                Until::Host => kept + password(&rest[kept..]),
                Until::Value => kept + value(&rest[kept..], found.get(2).map(|quote| quote.as_str()), false),
                Until::Line => kept + value(&rest[kept..], found.get(2).map(|quote| quote.as_str()), true),
                Until::KeyEnd => {
                    self.key_lines = KEY_LINES;
                    self.rest_of_key(rest, kept)
                }
            };
            if length > kept {
                shown.extend([&line[told..start + kept], MASKED]);
                told = start + length;
                at = told;
            }
        }
        (told > 0 || !shown.is_empty()).then(|| shown + &line[told..])
    }

    /// Where in a line a private key ends.
    fn rest_of_key(&mut self, line: &str, from: usize) -> usize {
        match line[from..].find(KEY_END) {
            Some(end) => {
                self.key_lines = 0;
                from + end
            }
            None => {
                self.key_lines -= 1;
                line.len()
            }
        }
    }
}

/// How far a token goes on that is longer than what was looked at.
fn token(rest: &str) -> usize {
    rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-._~+/=".contains(c)).unwrap_or(rest.len())
}

/// How long a password is that stands before a host: up to the last `@` of the authority; without one there is none.
fn password(rest: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?' | '#');
    rest[..rest.find(ends).unwrap_or(rest.len())].rfind('@').unwrap_or(0)
}

/// How long a value is: up to the quote that opened before it, or to what cannot be within it. A value without quotes
/// may be a whole header.
fn value(rest: &str, quote: Option<&str>, is_header: bool) -> usize {
    let Some(quote) = quote else {
        let ends = |c: char| !is_header && (c.is_whitespace() || matches!(c, '"' | '\'' | '&'));
        return rest.find(ends).unwrap_or(rest.len());
    };
    if quote.len() > 1 {
        // Within quotes that are written within quotes.
        return rest.find(quote).unwrap_or(rest.len());
    }
    let mut is_escaped = false;
    let end = rest.find(|c: char| {
        let is_end = !is_escaped && quote.starts_with(c);
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(rest.len())
}

/// How far what is masked goes.
#[derive(Clone, Copy)]
enum Until {
    /// To the end of the shape.
    Shape,
    /// To the host of a URL.
    Host,
    /// To the end of the value; the second group is the quote before it.
    Value,
    /// To the end of the line or of the quoted text.
    Line,
    /// To the end of the key, which has more lines.
    KeyEnd,
}

/// A shape that a secret has, from its first word on. Its first group stays.
struct Rule {
    shape: Regex,
    until: Until,
    /// It counts at the beginning of a word only.
    is_alone: bool,
}

#[derive(Default)]
struct Secrets {
    /// None only if they could not be built, which a test excludes.
    words: Option<AhoCorasick>,
    /// Of each word.
    rules: Vec<Arc<Rule>>,
}

impl Secrets {
    fn is_in(&self, bytes: &[u8]) -> bool {
        self.words.as_ref().is_some_and(|words| words.is_match(bytes))
    }

    /// Where the next word stands, and the shape it leads to.
    fn next(&self, line: &str, from: usize) -> Option<(usize, &Rule)> {
        let hit = self.words.as_ref()?.find(Input::new(line).range(from..))?;
        Some((hit.start(), self.rules.get(hit.pattern().as_usize())?))
    }
}

/// Between a name and its value: quotes, colours and a sign; the quote that opens the value is a group.
const SIGN: &str =
    r#"(?:\x1b\[[0-9;]*m)*\\?["']?(?:\x1b\[[0-9;]*m)*\s*(?:=>|:=|[=:])\s*(?:\x1b\[[0-9;]*m)*(\\?["'])?"#;

/// Words that go before a secret, and the shape that it then has; one that ends with `=` is a name, for its value to follow.
/// `true`: at the beginning of a word only.
const RULES: [(&[&str], &str, Until, bool); 13] = [
    (
        &["password", "passwd", "passphrase", "secret"],
        r"(?:password|passwd|passphrase|secret)[\w-]{0,32}=",
        Until::Value,
        false,
    ),
    (
        &["token", "api_key", "api-key", "apikey", "access_key", "accesskey", "private_key"],
        r"(?:token|api[_-]?key|access_?key(?:_?id)?|private_key)=",
        Until::Value,
        false,
    ),
    (
        &["--password", "--passwd", "--token", "--secret", "--api-key"],
        r#"^(?i)(--[\w-]{1,10}(?:=|\s+)(["'])?)"#,
        Until::Value,
        true,
    ),
    (&["authorization", "cookie"], "(?:authorization|cookie)=", Until::Line, false),
    (&["bearer"], r"^(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{16,}", Until::Shape, true),
    // RFC 3986, 3.2.1: what stands between the user's name and the host.
    (&["://"], r#"^(://[^\s/:@"'?#]*:)"#, Until::Host, false),
    (&["akia", "asia"], "^(?:AKIA|ASIA)[A-Z0-9]{16}", Until::Shape, true),
    (
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "npm_", "hf_"],
        r"^(?:[a-z]{2,5}|github_pat)[_-][\w-]{20,}",
        Until::Shape,
        true,
    ),
    (&["xox"], "^xox[abeoprs]-[A-Za-z0-9-]{10,}", Until::Shape, true),
    (
        &["sk-", "sk_live_", "rk_live_", "sk_test_"],
        r"^(?:sk-|[rs]k_(?:live|test)_)[\w-]{20,}",
        Until::Shape,
        true,
    ),
    (&["aiza"], r"^AIza[\w-]{35}", Until::Shape, true),
    // RFC 7515, 7.1
    (&["eyj"], r"^eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", Until::Shape, true),
    (&["-----begin "], "^(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)", Until::KeyEnd, false),
];

static SECRETS: LazyLock<Secrets> = LazyLock::new(|| {
    let mut words = AhoCorasick::builder();
    words.ascii_case_insensitive(true).match_kind(MatchKind::LeftmostLongest);
    let mut secrets =
        Secrets { words: words.build(RULES.iter().flat_map(|rule| rule.0)).ok(), rules: Vec::new() };
    for (words, shape, until, is_alone) in RULES {
        let named = shape.strip_suffix('=').map(|name| format!("^(?i)({name}{SIGN})"));
        let Ok(shape) = Regex::new(named.as_deref().unwrap_or(shape)) else { return Secrets::default() };
        let rule = Arc::new(Rule { shape, until, is_alone });
        secrets.rules.extend(words.iter().map(|_| Arc::clone(&rule)));
    }
    secrets
});

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn shown(line: &str) -> String {
        Mask::default().text(line)
    }

    #[test]
    fn secrets_are_masked_and_what_names_them_stays() {
        let table = [
            ("password=hunter2 user=ada", "password=[masked] user=ada"),
            ("DB_PASSWORD: hunter2", "DB_PASSWORD: [masked]"),
            (r#"{"password": "hun\"ter2", "user": "ada"}"#, r#"{"password": "[masked]", "user": "ada"}"#),
            (
                r#"said {\"client_secret\":\"hunter2\"} twice"#,
                r#"said {\"client_secret\":\"[masked]\"} twice"#,
            ),
            ("{'api_key': 'hunter2'}", "{'api_key': '[masked]'}"),
            ("X-Auth-Token: hunter2", "X-Auth-Token: [masked]"),
            ("GET /x?apikey=hunter2&page=2 200", "GET /x?apikey=[masked]&page=2 200"),
            ("aws_secret_access_key = hunter2", "aws_secret_access_key = [masked]"),
            ("\x1b[36mtoken\x1b[0m=\x1b[35mhunter2\x1b[0m up", "\x1b[36mtoken\x1b[0m=\x1b[35m[masked] up"),
            ("psql --password hunter2 -h db", "psql --password [masked] -h db"),
            ("> Authorization: Digest a=\"1\", b=\"2\"", "> Authorization: [masked]"),
            (
                "{'Proxy-Authorization': 'Basic aHVudGVyMg==', 'x': 1}",
                "{'Proxy-Authorization': '[masked]', 'x': 1}",
            ),
            ("Set-Cookie: session=hunter2; Path=/", "Set-Cookie: [masked]"),
            ("sent bearer abcdef.0123456789-xyz now", "sent bearer [masked] now"),
            ("postgres://ada:hun@ter2@db:5432/x", "postgres://ada:[masked]@db:5432/x"),
            ("redis://:hunter2@cache", "redis://:[masked]@cache"),
            (&format!("redis://:a@{}@cache", "b".repeat(600)), "redis://:[masked]@cache"),
            ("at http://localhost:8000 by ada@home", "at http://localhost:8000 by ada@home"),
            ("id AKIAIOSFODNN7EXAMPLE.", "id [masked]."),
            ("ghp_0123456789abcdefghijABCDEFGHIJ012345 sk-proj-0123456789abcdefghij", "[masked] [masked]"),
            ("xoxb-123456789012-abcdef", "[masked]"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln ok", "jwt [masked] ok"),
            (&format!("jwt eyJhbGciOiJIUzI1NiJ9.{}.c2ln ok", "eyJz".repeat(500)), "jwt [masked] ok"),
            ("ä password=ö ü", "ä password=[masked] ü"),
        ];
        for (given, expected) in table {
            assert_eq!(shown(given), expected, "{given}");
        }
        let words: usize = RULES.iter().map(|rule| rule.0.len()).sum();
        assert_eq!(SECRETS.words.as_ref().map(AhoCorasick::patterns_len), Some(words));
    }

    #[test]
    fn what_only_looks_like_a_secret_is_shown_to_the_byte() {
        let lines = [
            "password authentication failed for user ada",
            "prompt_tokens=512, max_tokens: 20",
            "GET http://localhost:5173/@vite/client 200",
            "listening on http://127.0.0.1:8000",
            "Asia/Kolkata task-0123456789abcdefghij eyJ.x",
            "-----BEGIN CERTIFICATE-----",
            "bearer authentication is on",
            "password=",
        ];
        for line in lines {
            assert_eq!(shown(line), line);
        }
        let bytes = b"token \xff\r\nname: \xfe";
        assert_eq!(Mask::default().lines(bytes), &bytes[..]);
        assert_eq!(Mask::off().text("password=hunter2"), "password=hunter2");
    }

    #[test]
    fn a_private_key_is_masked_over_its_lines() {
        let key = "x -----BEGIN RSA PRIVATE KEY-----\nMIIB\nabc=\n-----END RSA PRIVATE KEY-----\nup\n";
        let masked = "x -----BEGIN RSA PRIVATE KEY-----\n[masked]\n[masked]\n[masked]-----END RSA PRIVATE KEY-----\nup\n";
        assert_eq!(shown(key), masked);
        let mut mask = Mask::default();
        let by_line: String = key.split_inclusive('\n').map(|line| mask.text(line)).collect();
        assert_eq!(by_line, masked);
        assert_eq!(
            shown("-----BEGIN PRIVATE KEY-----MIIB-----END PRIVATE KEY----- up"),
            "-----BEGIN PRIVATE KEY-----[masked]-----END PRIVATE KEY----- up"
        );
        let endless = format!("-----BEGIN PRIVATE KEY-----\n{}", "up\n".repeat(300));
        assert_eq!(shown(&endless).matches("up\n").count(), 300 + 1 - KEY_LINES as usize, "it never ends");
    }

    #[test]
    fn patterns_of_a_declaration_are_masked_too() {
        let mut mask = Mask::new(&[r"\bcard \d+".to_owned(), "(".to_owned()]);
        assert_eq!(mask.text("a card 4711, token=x\r\nb\n"), "a [masked], token=[masked]\r\nb\n");
    }

    #[test]
    fn no_line_takes_long() {
        let began = Instant::now();
        for word in [
            "secret",
            "eyJ",
            "eyJ-",
            "token ",
            "password\\\"",
            "://:",
            "sk-",
            "bearer ",
            "token:",
            "password=\"",
        ] {
            let line = word.repeat((16 << 10) / word.len());
            shown(&line);
            assert!(began.elapsed() < Duration::from_secs(20), "{word}");
        }
    }
}
