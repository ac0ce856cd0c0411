//! Windows: the hours in which something runs.

use soloist_core::schedule::window::{Rule, Window};

use crate::calendars;

/// Whether a name means this window: it is its own, or one of its calendar's.
pub(super) fn is_meant(window: &Window, name: &str) -> bool {
    window.name == name
        || match &window.rule {
            Rule::Calendar { calendar, .. } => {
                calendar.name == name || calendars::built_in(name).is_some_and(|other| other.name == calendar.name)
            }
            Rule::Weekly(_) => false,
        }
}
