//! The turns of a worker that lives on: lines that it reads from its standard input, and answers over its notify
//! socket. The guard holds the writing end, so a worker outlives its daemon and ends with its guard. An answer is kept
//! until a daemon says that it has heard it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::Body;
use super::notify::Odd;
use crate::guard::Answer;

/// Of more ticks that are out at once the oldest are forgotten.
const OUT_MAX: usize = 1024;

/// What a run that is ticked has of it.
#[derive(Default)]
pub(super) struct Ticks {
    /// Where its lines go. The pipe itself keeps what is not read yet: 64 KiB (pipe(7)).
    inlet: Option<OwnedFd>,
    /// What it was given, in this order, and of which no daemon has heard the answer yet.
    out: Vec<String>,
}

impl Ticks {
    /// For a run that is about to start; with what becomes its standard input, if it is to be ticked.
    pub(super) fn of(is_ticked: bool) -> io::Result<(Ticks, Option<OwnedFd>)> {
        if !is_ticked {
            return Ok((Ticks::default(), None));
        }
        let (input, inlet) = pipe_with(PipeFlags::CLOEXEC)?;
        // Only our end: a worker that finds its standard input non-blocking would take a pause for the end.
        rustix::io::ioctl_fionbio(&inlet, true)?;
        Ok((Ticks { inlet: Some(inlet), out: Vec::new() }, Some(input)))
    }

    /// Its standard input ends here: a worker that reads line by line comes to its own end.
    pub(super) fn close(&mut self) {
        self.inlet = None;
    }

    /// The last one that is out.
    pub(super) fn last_out(&self) -> Option<String> {
        self.out.last().cloned()
    }

    /// Never waits. What is no longer than `PIPE_BUF` goes whole or not at all (pipe(7)).
    fn write(&self, line: &str) -> Result<(), &'static str> {
        let inlet = self.inlet.as_ref().ok_or("its standard input takes no ticks")?;
        let line = format!("{line}\n");
        if line.len() > libc::PIPE_BUF {
            return Err("the tick is longer than a pipe takes at once");
        }
        match rustix::io::retry_on_intr(|| rustix::io::write(inlet, line.as_bytes())) {
            Ok(_) => Ok(()),
            Err(Errno::AGAIN) => Err("it does not read its standard input"),
            Err(Errno::PIPE) => Err("it has closed its standard input"),
            Err(_) => Err("its standard input cannot be written to"),
        }
    }
}

impl Body {
    /// Gives it a tick. One that cannot be given is answered at once, with the reason.
    pub(super) fn tick(&mut self, tick: String, line: &str) {
        let out = &mut self.ticks.out;
        out.push(tick.clone());
        out.drain(..out.len().saturating_sub(OUT_MAX));
        if let Err(why) = self.ticks.write(line) {
            self.remark(Odd::Tick, || format!("a tick cannot be given to it: {why}"));
            self.answered(Answer { tick, ok: false, summary: Some(why.to_owned()) });
        }
    }

    /// A tick is answered: at once, for the next one may wait for that.
    pub(super) fn answered(&mut self, answer: Answer) {
        if !self.ticks.out.contains(&answer.tick) {
            let said = || format!("X_SOLOIST_RUN={} is no tick that waits for an answer", answer.tick);
            return self.remark(Odd::Answer, said);
        }
        if self.notice.add_answer(answer) {
            self.soon(true);
        }
    }

    /// A daemon has heard these answers: they are not told again.
    pub(super) fn forget_answers(&mut self, ticks: &[String]) {
        self.notice.answers.retain(|answer| !ticks.contains(&answer.tick));
        self.ticks.out.retain(|tick| !ticks.contains(tick));
        self.tell_answers();
    }

    /// Has what no daemon has heard told once more.
    pub(super) fn tell_answers(&mut self) {
        if !self.notice.answers.is_empty() {
            self.soon(false);
        }
    }
}
