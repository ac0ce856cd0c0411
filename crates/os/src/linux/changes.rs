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

use crate::machine::network_name;
use crate::watched::Entry;

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

/// What counts: an entry was made, written and closed, moved in or out, removed. Not what is only opened, nor each write.
const FLAGS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// FUSE and VirtualBox's shared folders (linux/magic.h).
const OF_OTHERS: [u64; 2] = [0x6573_5546, 0x786f_4256];

/// Whether changes in a folder are not told by inotify(7), because others than this machine's kernel may make them: network
/// file systems, FUSE, folders of a virtual machine's host.
pub fn is_remote(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|found| {
        let magic = found.f_type as u64;
        network_name(magic).is_some() || OF_OTHERS.contains(&(magic & 0xffff_ffff))
    })
}

impl FolderWatch {
    /// Watches folders from now on, each for all its entries or for one. One that is not there is not watched.
    pub fn new(folders: &[(&Path, Option<&str>)]) -> io::Result<FolderWatch> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut watches = Vec::new();
        for (folder, entry) in folders {
            match inotify::add_watch(&inotify, *folder, FLAGS) {
                Ok(watch) => watches.push((watch, entry.map(str::to_owned))),
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::ACCESS) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(FolderWatch { inotify, watches })
    }

    /// Watches a further folder, and says by which number its entries are told; one that is watched already has the same.
    /// `StorageFull`: more may not be watched (inotify_add_watch(2)).
    pub fn add(&self, folder: &Path) -> io::Result<i32> {
        Ok(inotify::add_watch(&self.inotify, folder, FLAGS)?)
    }

    /// Takes note of all that has happened, and says whether any of it matters.
    pub fn has_changed(&self) -> bool {
        let mut has_changed = false;
        self.take(|entry| {
            // What was lost in an overflow may have mattered.
            has_changed |= entry.is_none_or(|Entry { watch, name, .. }| {
                let mut of = self.watches.iter().filter(|(number, _)| *number == watch);
                of.any(|(_, only)| only.is_none() || only.as_deref().map(str::as_bytes) == name)
            });
        });
        has_changed
    }

    /// Takes note of all that has happened; none is told where more happened than could be kept (inotify(7)).
    pub fn take(&self, mut tell: impl FnMut(Option<Entry<'_>>)) {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.inotify, &mut space);
        loop {
            match events.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => tell(None),
                // A watch that has ended, by its folder's end, tells nothing new.
                Ok(event) if event.events().contains(ReadFlags::IGNORED) => {}
                Ok(event) => tell(Some(Entry {
                    watch: event.wd(),
                    name: event.file_name().map(std::ffi::CStr::to_bytes),
                    is_folder: event.events().contains(ReadFlags::ISDIR),
                })),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
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
        // A further folder tells its entries by its number, also those that leave it.
        let sub = all.join("sub");
        std::fs::create_dir(&sub).unwrap();
        let number = watch.add(&sub).unwrap();
        assert_eq!(watch.add(&sub).unwrap(), number);
        assert!(watch.has_changed());
        std::fs::write(sub.join("a.py"), "").unwrap();
        std::fs::create_dir(sub.join("deep")).unwrap();
        std::fs::rename(sub.join("a.py"), all.join("b.py")).unwrap();
        let mut told = Vec::new();
        watch.take(|entry| {
            let Some(Entry { watch, name: Some(name), is_folder }) = entry else { return };
            told.extend((watch == number).then(|| (String::from_utf8_lossy(name).into_owned(), is_folder)));
        });
        told.dedup();
        assert_eq!(told, [("a.py".into(), false), ("deep".into(), true), ("a.py".into(), false)]);
        assert!(!is_remote(&all) && !is_remote(&missing));
        std::fs::remove_dir_all(&all).unwrap();
        assert!(watch.has_changed() && !watch.has_changed());
    }
}
