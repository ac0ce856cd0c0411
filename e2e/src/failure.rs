//! A failure is told when it happens, in short. The test harness keeps it back until all tests have ended, and shows it
//! at the end of an output that may be cut off by then, or never if a test hangs.

use std::io::Write as _;
use std::sync::Once;

/// So many characters of the beginning and of the end of what a test has to say.
const SHOWN: usize = 3000;

static TOLD: Once = Once::new();

/// From now on every panic of this process is told at once, besides what the harness does with it.
pub fn tell_at_once() {
    TOLD.call_once(|| {
        let kept = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let text = format!("{}: {panic}", thread.name().unwrap_or("a thread without a name"));
            // Not by eprintln!, which the harness catches. A test may fail without anybody to tell it to.
            let _ = writeln!(std::io::stderr().lock(), "{}", short(&text));
            kept(panic);
        }));
    });
}

fn short(text: &str) -> String {
    let length = text.chars().count();
    if length <= 2 * SHOWN {
        return text.to_owned();
    }
    let head: String = text.chars().take(SHOWN).collect();
    let tail: String = text.chars().skip(length - SHOWN).collect();
    format!("{head}\n[{} characters more]\n{tail}", length - 2 * SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        assert_eq!(short("why"), "why");
        let long = format!("begin{}end", "ö".repeat(10_000));
        let short = short(&long);
        assert!(short.starts_with("begin") && short.ends_with("end"), "{short}");
        assert!(short.contains("[4008 characters more]"), "{short}");
    }
}
