//! The clocks: one that counts machine sleep for deadlines, the wall clock for people and schedules, and how one stands
//! to the other. No time zones here.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// Names a file with a signed number of milliseconds, by which the wall clock of soloist goes ahead of the machine's: for
/// tests, which may not set that one.
pub const TEST_CLOCK: &str = "SOLOIST_TEST_CLOCK";

/// Readings of the two clocks that lie further apart say nothing about each other: somebody was in between.
const APART_NS: i128 = 1_000_000;
/// So often they are tried to be read together.
const READINGS: u32 = 20;

/// Time since boot, sleep included (CLOCK_BOOTTIME): `Instant` stops in suspend, a lease does not.
pub fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// How long the machine has slept since it booted.
pub fn slept() -> Duration {
    let awake = clock_gettime(ClockId::Monotonic);
    // Read second, so that it is never the lesser of the two.
    Duration::from_nanos(u64::try_from(ns(clock_gettime(ClockId::Boottime)) - ns(awake)).unwrap_or_default())
}

/// Milliseconds since 1970 UTC; 0 on a clock set before.
pub fn wall_ms() -> u64 {
    u64::try_from((ns(clock_gettime(ClockId::Realtime)) + ahead_ns()) / 1_000_000).unwrap_or_default()
}

/// What the wall clock said when `since_boot` began to count, in nanoseconds since 1970. It stays the same, but for some
/// microseconds, until somebody sets the wall clock.
pub fn wall_at_boot() -> i128 {
    let mut best: Option<(i128, i128)> = None;
    for _ in 0..READINGS {
        let before = ns(clock_gettime(ClockId::Realtime));
        let boot = ns(clock_gettime(ClockId::Boottime));
        let after = ns(clock_gettime(ClockId::Realtime));
        let apart = (after - before).abs();
        if best.is_none_or(|(least, _)| apart < least) {
            best = Some((apart, before + (after - before) / 2 - boot));
        }
        if apart <= APART_NS {
            break;
        }
    }
    best.map_or(0, |(_, at_boot)| at_boot) + ahead_ns()
}

fn ns(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

/// The file of the test clock, if there is one.
pub fn test_clock() -> Option<&'static Path> {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    FILE.get_or_init(|| std::env::var_os(TEST_CLOCK).map(PathBuf::from)).as_deref()
}

/// By how much the wall clock goes ahead of the machine's.
fn ahead_ns() -> i128 {
    let text = test_clock().and_then(|file| std::fs::read_to_string(file).ok());
    text.and_then(|text| text.trim().parse::<i64>().ok()).map_or(0, |ms| i128::from(ms) * 1_000_000)
}

/// An alarm on the clock that counts machine sleep (timerfd_create(2)): readable once its time has come.
#[derive(Debug)]
pub struct Alarm(OwnedFd);

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Alarm> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Alarm(timerfd_create(TimerfdClockId::Boottime, flags)?))
    }

    /// Sets it to a moment since boot; a past one rings at once. `None` stops it.
    pub fn set(&self, at: Option<Duration>) -> io::Result<()> {
        // Zero would stop the timer; the first nanosecond after boot is as past as any.
        let at = at.map_or(Duration::ZERO, |at| at.max(Duration::from_nanos(1)));
        let value = Timespec { tv_sec: at.as_secs() as i64, tv_nsec: at.subsec_nanos().into() };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timer = Itimerspec { it_interval: never, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &timer)?;
        Ok(())
    }

    /// Takes note that it rang.
    pub fn quiet(&self) {
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    #[test]
    fn the_two_clocks_tell_the_same_moment() {
        let wall = |at_boot: i128| (at_boot + since_boot().as_nanos() as i128) / 1_000_000;
        let (before, said, after) = (wall_ms(), wall(wall_at_boot()), wall_ms());
        let (before, after) = (i128::from(before) - 5, i128::from(after) + 5);
        assert!((before..=after).contains(&said), "{before} {said} {after}");
        assert!((wall_at_boot() - wall_at_boot()).abs() < 5_000_000);
        assert!(slept() <= since_boot());
    }

    #[test]
    fn an_alarm_in_the_past_rings_and_a_stopped_one_does_not() {
        let alarm = Alarm::new().unwrap();
        let rings = |limit: i64| {
            let mut fds = [PollFd::new(&alarm.0, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: limit, tv_nsec: 0 })).unwrap() == 1
        };
        alarm.set(Some(Duration::ZERO)).unwrap();
        assert!(rings(10));
        alarm.quiet();
        alarm.set(Some(since_boot() + Duration::from_secs(3600))).unwrap();
        assert!(!rings(0));
        alarm.set(None).unwrap();
        assert!(!rings(0));
    }
}
