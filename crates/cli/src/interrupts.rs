//! The signals by which a terminal, a person or a machine asks a command to end.

use soloist_api::error::Problem;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from its making on; until then such a signal ends the process at once.
pub struct Interrupts {
    int: Signal,
    term: Signal,
    hup: Signal,
}

impl Interrupts {
    /// Within a runtime.
    pub fn new() -> Result<Interrupts, Problem> {
        Ok(Interrupts {
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when one has come.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
            _ = self.hup.recv() => {}
        }
    }
}
