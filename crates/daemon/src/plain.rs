//! A line that a service wrote, as people see it: without the escape sequences and control characters of terminals.

/// What of a line a terminal would leave standing. Escape sequences (ECMA-48) go, control characters but the tab go, and
/// of a line that was written over again and again, as a progress bar is, the last state stays.
pub fn plain(line: &str) -> String {
    let line = line.trim_end_matches(['\n', '\r']);
    let line = line.rsplit('\r').next().unwrap_or(line);
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => skip_sequence(&mut rest),
            '\t' => text.push(c),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        // A control sequence ends with its first byte of 0x40 to 0x7e.
        Some('[') => drop(rest.find(|c| ('\x40'..='\x7e').contains(c))),
        // A control string, such as a window's title or a link, ends with BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = rest.next() {
                if c == '\x07' || c == '\x1b' && rest.next().is_none_or(|c| c == '\\') {
                    return;
                }
            }
        }
        // Any other may have intermediate bytes before its last one.
        Some(' '..='/') => drop(rest.find(|c| !(' '..='/').contains(c))),
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_show_is_left() {
        let table = [
            ("plain\n", "plain"),
            ("\x1b[31;1mred\x1b[0m and \x1b[38:5:1mmore\x1b[m", "red and more"),
            ("\x1b]0;a title\x07text \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "text link"),
            ("\x1b(Bset\x1b=mode\x1bM", "setmode"),
            (" 10 %\r 99 %\r100 %\r\n", "100 %"),
            ("bell\x07, backspace\x08, null\0, \ttab, \u{9b}c1", "bell, backspace, null, \ttab, c1"),
            ("cut off \x1b[31", "cut off "),
            ("cut off \x1b", "cut off "),
            ("grüße \u{1f980}", "grüße \u{1f980}"),
            ("", ""),
        ];
        for (given, shown) in table {
            assert_eq!(plain(given), shown, "{given:?}");
        }
    }
}
