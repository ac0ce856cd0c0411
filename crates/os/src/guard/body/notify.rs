//! What a guard hears from its tree (sd_notify(3)) and does about it: it verifies who speaks, adds up what was said,
//! follows the tree when it names another main process, and reports, but not more often than anybody can read.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Body, Stop, Tree};
use crate::guard::notify::{Datagram, Word, answer, cut, plain, words};
use crate::guard::{Notice, Report, RunOrder};
use crate::identity::{Exit, Identity, my_uid};
use crate::own_file;
use crate::platform::notify::Receiver;
use crate::platform::{self, Handle, tree};
use crate::stat::Reaped;

/// So many messages at a time, so that a flood of them starves neither orders nor output.
const MESSAGES_AT_ONCE: usize = 64;
/// What children that have ended left in the queue is surely taken within so many: senders wait when a queue holds
/// `net.unix.max_dgram_qlen`.
const MESSAGES_AT_END: usize = 1024;
/// What comes between two reports is told by the second one.
const REPORT_PAUSE: Duration = Duration::from_millis(50);
/// Ours to give: a WATCHDOG_PID from outside would make a service believe that it is not meant (sd_watchdog_enabled(3)).
const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// What a guard needs to listen to its tree.
#[derive(Default)]
pub(super) struct Ear {
    receiver: Option<Receiver>,
    /// Something was said that is not told yet; it is, then.
    pub(super) due: Option<Instant>,
    told: Option<Instant>,
    /// The main process that the tree has named in place of the one we started.
    named: Option<Named>,
    /// It is not told yet.
    untold_main: Option<u32>,
    remarked: Vec<Odd>,
}

/// A main process that we did not start. It may be no child of ours, so its end is seen by its pidfd.
struct Named {
    pid: u32,
    handle: Handle,
    group: u32,
}

/// What is worth a line in the daemon's log, once a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    Stranger,
    TooLong,
    Stored,
    Main,
    Answer,
    Tick,
}

impl Ear {
    /// What becomes readable when somebody speaks.
    pub(super) fn receiver(&self) -> Option<&Receiver> {
        self.receiver.as_ref()
    }

    /// What becomes readable when a named main process has ended.
    pub(super) fn named(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        self.named.as_ref().map(|named| named.handle.as_fd())
    }
}

impl Body {
    /// Listens from now on, and tells the program where.
    pub(super) fn lend_ear(&mut self, run: &mut RunOrder) -> io::Result<()> {
        let is_foreign = run.limits.user.is_some_and(|user| user != my_uid());
        let before = self.ear.receiver.take();
        let receiver = match before.filter(|ear| ear.address().starts_with('@') == is_foreign) {
            Some(receiver) => receiver,
            None if is_foreign => {
                let random = crate::random_u64();
                Receiver::bind_abstract(&format!("soloist-{}-{random:016x}", self.assignment.instance))?
            }
            None => Receiver::bind(&self.place.notify())?,
        };
        // What was said before this run is nothing of this run.
        _ = (0..MESSAGES_AT_END).take_while(|_| receiver.receive().is_some()).count();
        self.ear = Ear { receiver: Some(receiver), ..Ear::default() };
        self.notice = Notice::default();
        let program = &mut run.program;
        program.env.retain(|(name, _)| !VARIABLES.contains(&name.as_str()));
        let mut tell = |name: &str, value: String| program.env.push((name.to_owned(), value));
        if let Some(receiver) = &self.ear.receiver {
            tell("NOTIFY_SOCKET", receiver.address().to_owned());
        }
        if let Some(usec) = run.watchdog_usec {
            tell("WATCHDOG_USEC", usec.to_string());
        }
        Ok(())
    }

    pub(super) fn close_ear(&mut self) {
        if self.ear.receiver.take().is_some() {
            let _ = std::fs::remove_file(self.place.notify());
        }
    }

    /// Takes some of what was said; all of it, if children that were just reaped may have said it.
    pub(super) fn hear(&mut self, dead: &[Reaped]) {
        let limit = if dead.is_empty() { MESSAGES_AT_ONCE } else { MESSAGES_AT_END };
        for _ in 0..limit {
            // The message ends with its turn, and with it the descriptors that came along: so `BARRIER=1` is answered
            // when all before it was heard.
            let Some(message) = self.ear.receiver.as_ref().and_then(Receiver::receive) else { break };
            self.heed(&message, dead);
        }
        self.tell_if_due();
    }

    fn heed(&mut self, message: &Datagram, dead: &[Reaped]) {
        if !self.is_of_tree(message, dead) {
            return self.remark(Odd::Stranger, || stranger(message.pid));
        }
        if message.is_cut {
            let pid = message.pid;
            let said = || format!("pid {pid} sent a notify that is too long; it is ignored");
            return self.remark(Odd::TooLong, said);
        }
        let before = self.notice.clone();
        for word in words(&message.bytes) {
            match word {
                Word::Main(pid) => self.follow(pid),
                Word::Fdstore => {
                    let said = || "soloist stores no descriptors; what FDSTORE=1 sends is closed".to_owned();
                    self.remark(Odd::Stored, said);
                }
                Word::ExtendUsec(usec) => self.extend_stop(Duration::from_micros(usec)),
                _ => {}
            }
            self.notice.take(word);
        }
        if self.notice != before {
            // That it is ready is what others wait for, and comes once.
            self.soon(self.notice.ready && !before.ready);
        }
        match answer(&message.bytes) {
            Some(Ok(answer)) => self.answered(answer),
            Some(Err(why)) => {
                let pid = message.pid;
                self.remark(Odd::Answer, || format!("pid {pid} answered a tick, but {why}; it is ignored"));
            }
            None => {}
        }
    }

    /// Verified by the kernel, for nobody is believed who says so. A sender that was reaped descends from nobody any
    /// more: it was our own child, or its pidfd still tells its cgroup.
    fn is_of_tree(&self, message: &Datagram, dead: &[Reaped]) -> bool {
        let Datagram { pid, sender, .. } = message;
        if dead.iter().any(|child| child.pid == *pid && !self.strangers.contains(pid)) {
            return true;
        }
        let descends = *pid != 0 && tree::is_descendant(*pid, self.me.pid, &self.strangers);
        if descends && !sender.as_ref().is_some_and(Handle::is_reaped) {
            return true;
        }
        let leaf = self.leaf.as_ref().and_then(|leaf| leaf.id());
        leaf.is_some() && leaf == sender.as_ref().and_then(Handle::cgroup)
    }

    /// More time for a stop under way: as much as is asked for from now on, and never less than it had.
    fn extend_stop(&mut self, span: Duration) {
        if let Some(Stop::Polite { kill_at, .. }) = &mut self.stop {
            *kill_at = (*kill_at).max(Instant::now() + span);
        }
    }

    // ---- what is told

    pub(super) fn soon(&mut self, is_urgent: bool) {
        let now = Instant::now();
        let at = self.ear.told.filter(|_| !is_urgent).map_or(now, |told| told + REPORT_PAUSE);
        self.ear.due = Some(self.ear.due.map_or(at, |due| due.min(at)));
    }

    pub(super) fn tell_if_due(&mut self) {
        if self.ear.due.is_some_and(|at| Instant::now() >= at) {
            self.tell_notice();
        }
    }

    /// Tells what is not told yet. Without a daemon it is kept for the next one, who asks.
    pub(super) fn tell_notice(&mut self) {
        if self.ear.due.take().is_none() {
            return;
        }
        if self.links.is_empty() {
            // A sign of life and a wish for time count from the moment they come. That it gave itself up stays, as answers
            // do.
            let trigger = self.notice.trigger;
            self.notice.forget_the_moment();
            self.notice.trigger = trigger;
            return;
        }
        self.ear.told = Some(Instant::now());
        self.report(&Report::Notified {
            run_id: self.record.run_id.clone(),
            notice: self.notice.to_be_told(),
            main: self.ear.untold_main,
        });
        self.ear.untold_main = None;
        self.notice.forget_the_moment();
    }

    pub(super) fn remark(&mut self, odd: Odd, words: impl FnOnce() -> String) {
        if !self.links.is_empty() && !self.ear.remarked.contains(&odd) {
            self.ear.remarked.push(odd);
            self.report(&Report::Remark { words: format!("{}: {}", self.assignment.instance, words()) });
        }
    }

    // ---- another main process

    /// `MAINPID=`: from now on it is the main process; the one before is only one more of the tree.
    fn follow(&mut self, pid: u32) {
        let Tree::Led { main } = self.tree else { return };
        if pid == main {
            return;
        }
        let Some((identity, named)) = self.verified(pid) else {
            let said = || format!("MAINPID={pid} names no living process of its tree and is ignored");
            return self.remark(Odd::Main, said);
        };
        let old_group = self.ear.named.as_ref().map_or(main, |old| old.group);
        let has_missed_stop = self.stop.is_some() && named.group != old_group;
        self.ear.named = Some(named);
        self.ear.untold_main = Some(pid);
        self.tree = Tree::Led { main: pid };
        let old = self.record.main.replace(identity);
        self.rewrite_pid_file(old, pid);
        let _ = self.write_record();
        if has_missed_stop {
            self.signal_main(self.stop_signal);
        }
        self.soon(false);
    }

    fn verified(&self, pid: u32) -> Option<(Identity, Named)> {
        let handle = Handle::open(pid).ok()?;
        // Looked at once it is held: what is read now is of no other.
        let stat = platform::stat(pid).ok().filter(|stat| !stat.is_dead())?;
        let is_ours = tree::is_descendant(pid, self.me.pid, &self.strangers) && !handle.is_reaped();
        let identity = Identity::of(pid).ok().filter(|_| is_ours)?;
        Some((identity, Named { pid, handle, group: stat.group }))
    }

    /// A PID file that still names the main process before names the new one.
    fn rewrite_pid_file(&self, old: Option<Identity>, pid: u32) {
        if let (Some(path), Some(old)) = (&self.record.pid_file, old)
            && names(path, old.pid)
        {
            let _ = own_file::replace(path, format!("{pid}\n").as_bytes(), 0o644);
        }
    }

    /// To the group of a named main process, member by member: we are not its parent, so the number of its group
    /// is not held for us. Says whether there is one.
    pub(super) fn signal_named(&self, signal: i32) -> bool {
        let Some(named) = &self.ear.named else { return false };
        let group = platform::stat(named.pid).map_or(named.group, |stat| stat.group);
        tree::signal_group(self.me.pid, &self.strangers, signal, group);
        true
    }

    /// The same, to nobody but the main process that was named.
    pub(super) fn signal_named_alone(&self, signal: i32) -> bool {
        let named = self.ear.named.as_ref();
        named.is_some_and(|named| {
            let _ = named.handle.signal(signal);
            true
        })
    }

    /// How a named main process ended, if it has and was not ours to reap: a zombie tells, and so does the pidfd of one
    /// that was reaped (Linux 6.15). An older kernel does not; then it counts as a clean end, as systemd has it.
    pub(super) fn named_exit(&self) -> Option<Exit> {
        let named = self.ear.named.as_ref()?;
        if !named.handle.wait(Duration::ZERO).unwrap_or(false) {
            return None;
        }
        let zombie = (!named.handle.is_reaped()).then(|| platform::zombie_exit(named.pid)).flatten();
        Some(zombie.or_else(|| named.handle.exit()).unwrap_or(Exit::Code(0)))
    }

    /// The group of the main process that has ended, which is the one no more.
    pub(super) fn part_with(&mut self, main: u32) -> u32 {
        self.ear.named.take().map_or(main, |named| named.group)
    }
}

/// Who it is whose words are ignored, and why; its command line is its own to write.
fn stranger(pid: u32) -> String {
    if !platform::stat(pid).is_ok_and(|stat| !stat.is_dead()) {
        return format!(
            "pid {pid} has ended and cannot be known as one of its tree any more; what it notified is ignored \
             (who waits for BARRIER=1 to be answered, as systemd-notify does, is always known)"
        );
    }
    let command = plain(&platform::command(pid).join(" "));
    format!("pid {pid} ({}) is not of its tree; what it notifies is ignored", cut(&command, 200))
}

/// Whether a PID file names this process.
pub(super) fn names(pid_file: &Path, pid: u32) -> bool {
    own_file::read(pid_file).is_ok_and(|text| text.trim_ascii() == pid.to_string().as_bytes())
}
