//! Waiting for conditions, never for time.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks at a condition until it holds, and gives what it gave; after the limit it panics with what was waited for
/// and what was seen last (the condition's `Err`).
#[track_caller]
pub fn wait_until<T, E: std::fmt::Display>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T, E>,
) -> T {
    let began = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(seen) if began.elapsed() >= limit => {
                panic!("waited {limit:?} until {what}; last seen: {seen}")
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
