//! The look at all processes before many guards start, taken by a child of the zygote: what it needs of memory goes with it.
//! In the zygote it would lie all over the heap, and every guard would keep a copy of those pages.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::platform::sweep;

/// Of each of these claims, in their order, 1 if no process says that it belongs to it; nothing if the zygote has other
/// children than those `known`, for they may be what a killed guard left. To be called by the zygote after the claims were
/// taken: whoever is not seen cannot come any more.
///
/// # Errors
/// If there can be no child.
pub(super) fn look(known: &[u32], claims: impl Iterator<Item = Option<PathBuf>>) -> io::Result<Vec<u8>> {
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC)?;
    let zygote = std::process::id();
    // SAFETY: the zygote is single-threaded: it starts no thread and no runtime, so no lock can be held by a thread
    // that is missing in the child.
    #[allow(unsafe_code)]
    let looker = unsafe { libc::fork() };
    if looker == 0 {
        let known = [known, &[std::process::id()]].concat();
        if sweep::orphans(zygote, &known).is_ok_and(|orphans| orphans.is_empty()) {
            let marked = sweep::marked_claims();
            let is_unmarked = |claim: Option<PathBuf>| claim.is_some_and(|claim| !marked.contains(&claim));
            let said: Vec<u8> = claims.map(|claim| u8::from(is_unmarked(claim))).collect();
            // Below what a pipe holds: it never waits.
            let _ = File::from(tell).write_all(&said);
        }
        // SAFETY: ends this forked process at once; the zygote's destructors and exit handlers are not ours to run.
        #[allow(unsafe_code)]
        unsafe {
            libc::_exit(0);
        }
    }
    drop(tell);
    let looker = Pid::from_raw(looker).filter(|_| looker > 0).ok_or_else(io::Error::last_os_error)?;
    waitpid(Some(looker), WaitOptions::empty())?;
    let mut said = Vec::new();
    File::from(told).read_to_end(&mut said)?;
    Ok(said)
}
