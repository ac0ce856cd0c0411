//! A moment, as the driver tells it. The core never asks a clock.

use std::ops::Add;
use std::time::Duration;

/// Time since boot, machine sleep included: deadlines are kept through a suspend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Duration);

impl Time {
    /// How long ago an earlier moment was; zero for a later one.
    pub fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, span: Duration) -> Time {
        Time(self.0.saturating_add(span))
    }
}
