//! How long something took, on a machine that does other things as well: the time in which somebody waited for a
//! processor is told apart, for what waits then says nothing about soloist.

use std::time::{Duration, Instant};

/// Runs from its start on.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    began: Instant,
    waited: Duration,
}

impl Pace {
    /// Begins now.
    pub fn start() -> Pace {
        Pace { began: Instant::now(), waited: waited() }
    }

    /// All that has passed since.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What of it passed while somebody on the machine was ready to run and had no processor.
    pub fn waited(&self) -> Duration {
        waited().saturating_sub(self.waited)
    }

    /// What of it passed while whoever wanted a processor had one.
    pub fn own(&self) -> Duration {
        let waited = self.waited();
        self.elapsed().saturating_sub(waited)
    }
}

/// Since boot: the line `some` of /proc/pressure/cpu (Documentation/accounting/psi.rst); nothing where there is none.
fn waited() -> Duration {
    let text = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let some = text.lines().find(|line| line.starts_with("some"));
    let total = some.and_then(|line| line.rsplit_once("total=")?.1.parse().ok());
    Duration::from_micros(total.unwrap_or(0))
}
