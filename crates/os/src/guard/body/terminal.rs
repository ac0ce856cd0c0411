//! The terminal of a run in the foreground: the program is its foreground group, and Ctrl+Z stops us with it.

use std::os::fd::OwnedFd;

use rustix::process::{Pid, Signal};

use super::{Body, Tree};
use crate::platform::tree;

/// Our terminal, if we are its foreground: the program shall be it then, so that Ctrl+C and Ctrl+Z reach it.
pub(super) fn ours() -> Option<OwnedFd> {
    let input = rustix::stdio::stdin();
    let is_foreground = rustix::termios::isatty(input)
        && rustix::termios::tcgetpgrp(input).is_ok_and(|group| group == rustix::process::getpgrp());
    is_foreground.then(|| input.try_clone_to_owned().ok()).flatten()
}

impl Body {
    /// Ctrl+Z stops the program; the shell waits for us, so we stop with it and go on with it.
    pub(super) fn follow_job_control(&self) {
        let (Some(terminal), Tree::Led { main }) = (&self.terminal, self.tree) else { return };
        // While we stop the tree, standing still is a step to its end and no wish of the person at the terminal.
        if self.stop.is_some() || !tree::is_stopped(main) {
            return;
        }
        self.give_back_terminal();
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        // Here we were continued. In the foreground again? Then the program is it.
        if rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
            && let Some(group) = i32::try_from(main).ok().and_then(Pid::from_raw)
        {
            let _ = rustix::termios::tcsetpgrp(terminal, group);
        }
        self.signal_main(libc::SIGCONT);
    }

    pub(super) fn give_back_terminal(&self) {
        if let Some(terminal) = &self.terminal {
            let _ = rustix::termios::tcsetpgrp(terminal, rustix::process::getpgrp());
        }
    }
}
