//! What tells that something outside has changed, as readable events: that the wall clock was set (timerfd_create(2)),
//! that entries of a folder were made, written or replaced (inotify(7)). Nothing wakes up while nothing changes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Readable once somebody has set the wall clock, or the machine has slept.
#[derive(Debug)]
pub struct ClockWatch(OwnedFd);

impl ClockWatch {
    /// Watches from now on.
    pub fn new() -> io::Result<ClockWatch> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let watch = ClockWatch(timerfd_create(TimerfdClockId::Realtime, flags)?);
        watch.arm()?;
        Ok(watch)
    }

    /// Takes note of it, and watches on. Only then is the clock to be read: what happens later rings again.
    pub fn quiet(&self) -> io::Result<()> {
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
        self.arm()
    }

    fn arm(&self) -> io::Result<()> {
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let last = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };
        let timer = Itimerspec { it_interval: never, it_value: last };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        match timerfd_settime(&self.0, flags, &timer) {
            // It was set in this very moment; the timer is armed all the same.
            Ok(_) | Err(rustix::io::Errno::CANCELED) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

impl AsRawFd for ClockWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Readable once an entry of one of some folders has changed.
#[derive(Debug)]
pub struct FolderWatch {
    inotify: OwnedFd,
    /// The number of each watch, and the only entry that matters there.
    watches: Vec<(i32, Option<String>)>,
}

impl FolderWatch {
    /// Watches folders from now on, each for all its entries or for one. One that is not there is not watched.
    pub fn new(folders: &[(&Path, Option<&str>)]) -> io::Result<FolderWatch> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let flags = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let mut watches = Vec::new();
        for (folder, entry) in folders {
            match inotify::add_watch(&inotify, *folder, flags) {
                Ok(watch) => watches.push((watch, entry.map(str::to_owned))),
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::ACCESS) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(FolderWatch { inotify, watches })
    }

    /// Takes note of all that has happened, and says whether any of it matters.
    pub fn has_changed(&self) -> bool {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.inotify, &mut space);
        let mut has_changed = false;
        loop {
            match events.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy());
                    // What was lost in an overflow may have mattered (inotify(7)).
                    has_changed |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
                        || self.watches.iter().any(|(watch, only)| {
                            *watch == event.wd() && (only.is_none() || only.as_deref() == name.as_deref())
                        });
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return has_changed,
            }
        }
    }
}

impl AsRawFd for FolderWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    fn is_readable(fd: &OwnedFd) -> bool {
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn a_clock_that_nobody_sets_is_quiet() {
        let watch = ClockWatch::new().unwrap();
        watch.quiet().unwrap();
        assert!(!is_readable(&watch.0));
    }

    #[test]
    fn a_folder_tells_what_matters_and_only_that() {
        let folder = tempfile::tempdir().unwrap();
        let (all, one) = (folder.path().join("all"), folder.path().join("one"));
        std::fs::create_dir(&all).unwrap();
        std::fs::create_dir(&one).unwrap();
        let missing = folder.path().join("missing");
        let watch = FolderWatch::new(&[(&all, None), (&one, Some("localtime")), (&missing, None)]).unwrap();
        assert!(!is_readable(&watch.inotify) && !watch.has_changed());
        std::fs::write(one.join("hosts"), "").unwrap();
        assert!(is_readable(&watch.inotify) && !watch.has_changed());
        // As timedatectl(1) does it: a link is made under another name and moved into place.
        std::os::unix::fs::symlink("/usr/share/zoneinfo/Asia/Kolkata", one.join("new")).unwrap();
        std::fs::rename(one.join("new"), one.join("localtime")).unwrap();
        assert!(watch.has_changed() && !watch.has_changed());
        std::fs::write(all.join("tzdata.zi"), "# version 2026b\n").unwrap();
        assert!(watch.has_changed());
        std::fs::remove_dir_all(&all).unwrap();
        assert!(watch.has_changed() && !watch.has_changed());
    }
}
