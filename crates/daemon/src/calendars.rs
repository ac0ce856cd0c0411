//! Exchange calendars: the ones that come with soloist, and files of the user's own. What they mean is said by
//! `soloist_core::schedule::calendar`.

use std::sync::Arc;

use soloist_core::schedule::calendar::Calendar;

/// A calendar that comes with soloist, by one of its names: `NSE`, `XBOM` or `BSE`, `XNYS` or `NYSE`.
pub fn built_in(_name: &str) -> Option<Arc<Calendar>> {
    None
}

/// The first names of those that come with soloist.
pub fn names() -> Vec<&'static str> {
    Vec::new()
}

/// Reads a calendar file.
///
/// # Errors
/// What is wrong, and where, in words; one line a problem.
pub fn parse(_name: &str, _text: &str) -> Result<Calendar, Vec<String>> {
    Err(vec!["calendar files cannot be read yet".to_owned()])
}
