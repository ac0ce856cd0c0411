//! Cron expressions: read, and asked for their next moment in a zone.

use std::ops::Range;

use super::civil::Moment;
use super::zone::Zone;

/// A cron expression of five fields (minute, hour, day of month, month, day of week), or of six with seconds first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// Where, in bytes of the expression.
    pub at: Range<usize>,
    /// What, in words.
    pub why: String,
    /// What to write instead, in words.
    pub help: String,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// What no cron takes, and what never fires.
    pub fn parse(text: &str) -> Result<Cron, CronError> {
        Ok(Cron { text: text.to_owned() })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its first moment after this one.
    pub fn next(&self, _after: Moment, _zone: &Zone) -> Option<Moment> {
        None
    }
}
