//! Why an input was not taken: what, where, why, and what now, in one sentence.
//! A refusal never changes the stored rows; it only becomes a line of the log and of the history.

use std::fmt;

/// An input that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    place: String,
    why: String,
    remedy: String,
}

impl Refusal {
    /// `place` is the file (and sheet, row, column), `why` the cause, `remedy` what a person can do.
    pub fn new(place: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.into(), why: why.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {}: {}; {}", self.place, self.why, self.remedy)
    }
}

impl std::error::Error for Refusal {}
