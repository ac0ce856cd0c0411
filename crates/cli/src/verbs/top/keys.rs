//! What a key means: it depends on whether one chooses, types a filter, is asked, or reads the help.

use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Action, Mode};

/// All keys, for the help.
pub const KEYS: [(&str, &str); 13] = [
    ("↑ ↓ k j", "choose a service"),
    ("Home End g G", "the first, the last"),
    ("Enter", "its log below; again: close it"),
    ("s", "start it"),
    ("x", "stop it, after y"),
    ("r", "restart it"),
    ("n", "run it now, whatever its schedule says"),
    ("p", "pause its schedule, or resume it"),
    ("/", "only those with this in their name or state"),
    ("Esc", "close the log, then drop the filter"),
    ("Ctrl+L", "draw everything anew"),
    ("?", "this help"),
    ("q Ctrl+C", "quit; what runs, runs on"),
];

/// What a key asks for; none for a key without a meaning here.
pub fn action(mode: &Mode, key: KeyEvent) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Action::Quit),
            KeyCode::Char('l') => Some(Action::Redraw),
            _ => None,
        };
    }
    match mode {
        Mode::List => chosen(key.code),
        Mode::Filter => typed(key.code),
        Mode::Asked(_) => Some(if key.code == KeyCode::Char('y') { Action::Accept } else { Action::Cancel }),
        Mode::Help => Some(if key.code == KeyCode::Char('q') { Action::Quit } else { Action::Cancel }),
    }
}

fn chosen(code: KeyCode) -> Option<Action> {
    Some(match code {
        KeyCode::Up | KeyCode::Char('k') => Action::Move(-1),
        KeyCode::Down | KeyCode::Char('j') => Action::Move(1),
        KeyCode::PageUp => Action::Move(-10),
        KeyCode::PageDown => Action::Move(10),
        KeyCode::Home | KeyCode::Char('g') => Action::Move(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => Action::Move(isize::MAX),
        KeyCode::Enter => Action::Log,
        KeyCode::Char('s') => Action::Order("start"),
        KeyCode::Char('x') => Action::AskToStop,
        KeyCode::Char('r') => Action::Order("restart"),
        KeyCode::Char('n') => Action::Order("run"),
        KeyCode::Char('p') => Action::Pause,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Char('?') => Action::Help,
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Esc => Action::Cancel,
        _ => return None,
    })
}

fn typed(code: KeyCode) -> Option<Action> {
    match code {
        KeyCode::Char(c) => Some(Action::Type(c)),
        KeyCode::Backspace => Some(Action::Erase),
        KeyCode::Enter => Some(Action::Accept),
        KeyCode::Esc => Some(Action::Cancel),
        KeyCode::Up => Some(Action::Move(-1)),
        KeyCode::Down => Some(Action::Move(1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_an_order_in_the_list_and_a_letter_in_the_filter() {
        let key = |c: char| KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
        assert_eq!(action(&Mode::List, key('s')), Some(Action::Order("start")));
        assert_eq!(action(&Mode::Filter, key('s')), Some(Action::Type('s')));
        assert_eq!(action(&Mode::Filter, key('q')), Some(Action::Type('q')));
        assert_eq!(action(&Mode::List, key('z')), None);
    }

    #[test]
    fn only_y_means_yes() {
        let asked = Mode::Asked("api".to_owned());
        let press = |code| action(&asked, KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(press(KeyCode::Char('y')), Some(Action::Accept));
        for other in [KeyCode::Char('n'), KeyCode::Char('x'), KeyCode::Enter, KeyCode::Esc] {
            assert_eq!(press(other), Some(Action::Cancel), "{other:?}");
        }
    }

    #[test]
    fn ctrl_c_quits_everywhere() {
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for mode in [Mode::List, Mode::Filter, Mode::Asked("api".to_owned()), Mode::Help] {
            assert_eq!(action(&mode, key), Some(Action::Quit), "{mode:?}");
        }
    }
}
