//! Waiting for conditions, never for time.

use std::time::{Duration, Instant};

/// What has not come after this does not come: far more than a machine needs that is busy with all the other tests.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks at a condition until it holds, and gives what it gave; after the limit it panics with what was waited for
/// and what was seen last (the condition's `Err`).
#[track_caller]
pub fn wait_until<T, E: std::fmt::Display>(
    what: &str,
    limit: Duration,
    condition: impl FnMut() -> Result<T, E>,
) -> T {
    within(limit, condition).unwrap_or_else(|seen| panic!("waited {limit:?} until {what}; last seen: {seen}"))
}

/// The same, for who tells it otherwise: after the limit it gives what was seen last. It looks at least once.
pub fn within<T, E>(limit: Duration, mut condition: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let began = Instant::now();
    loop {
        match condition() {
            Err(_) if began.elapsed() < limit => std::thread::sleep(PAUSE),
            found => return found,
        }
    }
}
