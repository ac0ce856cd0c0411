//! Ids: every question carries one and every answer names it, so that a late answer cannot touch a new question.

use std::fmt;

/// One life of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl RunId {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<RunId> {
        // A sign and capitals would be read as well: then one id had several texts.
        u64::from_str_radix(text, 16).ok().map(RunId).filter(|id| id.to_string() == text)
    }
}

/// One question to the world: may I have the claim; who is on my ports; is my tree ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// One holding of a claim, named by the driver when it grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimId(pub u64);

/// One turn of a worker that lives on: the line it is given names it, and its answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TickId(pub u64);

impl fmt::Display for TickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl TickId {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<TickId> {
        RunId::parse(text).map(|RunId(id)| TickId(id))
    }
}

/// The fingerprint of what a run was started from: two declarations with the same print start the same program in the
/// same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Print(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_reads_back() {
        let id = RunId(0x00ab_cdef_0123_4567);
        assert_eq!(RunId::parse(&id.to_string()), Some(id));
        for text in ["xyz", "+0abcdef01234567", "00ABCDEF01234567", "ab"] {
            assert_eq!(RunId::parse(text), None, "{text}");
        }
    }
}
