//! A link, an alarm or a watch over something outside, watched by the daemon's event loop. Only here because telling the loop of a descriptor is unsafe:
//! the descriptor must stay what it is as long as it is watched. Guards never use it.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use crate::clock::Alarm;
use crate::link::Link;
use crate::{ClockWatch, FolderWatch};

/// What happened in a watched folder.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The number of the folder.
    pub watch: i32,
    /// Which entry; none: the folder itself.
    pub name: Option<&'a [u8]>,
    /// The entry is a folder.
    pub is_folder: bool,
}

/// What may be watched: it owns one descriptor and never exchanges it.
pub trait Fixed: AsRawFd + sealed::Sealed {}
impl Fixed for Link {}
impl Fixed for Alarm {}
impl Fixed for ClockWatch {}
impl Fixed for FolderWatch {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::link::Link {}
    impl Sealed for crate::clock::Alarm {}
    impl Sealed for crate::ClockWatch {}
    impl Sealed for crate::FolderWatch {}
}

/// A descriptor the loop wakes up for when it is readable.
#[derive(Debug)]
pub struct Watched<T: Fixed>(AsyncFd<T>);

impl<T: Fixed> Watched<T> {
    /// Watches it from now on. To be called on a runtime.
    #[allow(unsafe_code)]
    pub fn new(what: T) -> io::Result<Watched<T>> {
        // SAFETY: `Fixed` is sealed; its types own one open descriptor from creation to drop, hand out that same
        // number always, and are moved into the watch here, so it stays open and the same until the watch ends.
        let watch = unsafe { AsyncFd::register_with_interest(what, Interest::READABLE) };
        watch.map(Watched).map_err(io::Error::from)
    }

    /// Waits until it is readable.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.0.readable().await
    }

    /// What is watched.
    pub fn get(&self) -> &T {
        self.0.get_ref()
    }
}
