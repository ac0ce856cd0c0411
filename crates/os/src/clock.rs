//! The clocks: one that counts machine sleep for deadlines, the wall clock for people. No time zones here.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Time since boot, sleep included (CLOCK_BOOTTIME): `Instant` stops in suspend, a lease does not.
pub fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Milliseconds since 1970 UTC; 0 on a clock set before.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
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
