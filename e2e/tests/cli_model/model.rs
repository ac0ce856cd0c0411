//! The reference model: what a person may expect of a project's services after each command, told without any knowledge of
//! how soloist does it. `base` serves a port, `web` needs it, `once` is never restarted, `scan` is a job with a schedule,
//! and `solo` is declared nowhere: it only runs by `soloist run`, as `once` may.

/// The services, by their positions.
pub const NAMES: [&str; 5] = ["base", "web", "once", "scan", "solo"];
/// See [`NAMES`].
pub const BASE: usize = 0;
/// See [`NAMES`].
pub const WEB: usize = 1;
/// See [`NAMES`].
pub const ONCE: usize = 2;
/// See [`NAMES`].
pub const SCAN: usize = 3;
/// See [`NAMES`].
pub const SOLO: usize = 4;

/// One command, or one misfortune.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Up,
    Down,
    Start(usize),
    Stop(usize),
    Restart(usize),
    Ensure(usize),
    Reload(usize),
    /// Its declaration is another one from now on.
    Edit(usize),
    KillMain(usize),
    KillDaemon,
    Pause,
    Resume,
    RunNow,
    /// `soloist run NAME` in a terminal.
    Run(usize),
    WaitReady(usize),
    WaitStopped(usize),
    Port,
    Who,
    Status(usize),
}

/// How a service stands, as far as its daemon is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    #[default]
    Stopped,
    Ready,
    Failed,
    Scheduled,
    Completed,
    Standby,
}

/// What is known of one service.
#[derive(Clone, Copy, Debug, Default)]
pub struct One {
    pub is_wanted: bool,
    pub at: At,
    /// Grows with every new main process.
    pub life: u32,
    /// A `soloist run` has it.
    pub is_run: bool,
    /// Its last start was refused.
    is_refused: bool,
    /// A `run` has had its record: another daemon will not know that it had failed.
    is_forgotten: bool,
    /// The declaration as it is written, as the daemon has read it, and as its run was started from.
    pub written: u32,
    read: u32,
    pub ran: u32,
}

impl One {
    /// What its status says: the state, and whether it is wanted.
    pub fn shown(&self) -> (&'static str, bool) {
        match self.at {
            At::Standby => ("standby", true),
            _ if self.is_run => ("ready", true),
            At::Stopped => ("stopped", self.is_wanted),
            At::Ready => ("ready", self.is_wanted),
            At::Failed => ("failed", self.is_wanted),
            At::Scheduled => ("scheduled", self.is_wanted),
            At::Completed => ("completed", self.is_wanted),
        }
    }

    fn begin(&mut self) {
        (self.at, self.is_wanted) = (At::Ready, true);
        (self.is_refused, self.is_forgotten) = (false, false);
        (self.life, self.ran) = (self.life + 1, self.read);
    }

    fn end(&mut self) {
        (self.at, self.is_wanted, self.is_refused) = (At::Stopped, false, false);
    }

    /// The `run` that had it is over.
    fn run_ends(&mut self) {
        self.is_run = false;
        if self.at == At::Standby {
            self.begin();
        }
    }

    /// Something of it lives.
    pub fn is_up(&self) -> bool {
        self.is_run || self.at == At::Ready
    }
}

/// The project.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub ones: [One; 5],
    pub has_daemon: bool,
    /// Whether the runs of `scan` are suspended.
    pub is_paused: bool,
    /// How often `scan` ran.
    pub turns: usize,
}

impl Model {
    /// Whether the deed can be done at all.
    pub fn can(&self, deed: Deed) -> bool {
        match deed {
            Deed::KillMain(who) => self.ones[who].is_up(),
            Deed::KillDaemon => self.has_daemon,
            _ => true,
        }
    }

    /// The deed is done: says which exit code its command has.
    pub fn take(&mut self, deed: Deed) -> i32 {
        match deed {
            Deed::Up => self.up(),
            Deed::Down => {
                self.has_daemon = false;
                self.ones.iter_mut().filter(|one| one.at != At::Stopped || one.is_wanted).for_each(One::end);
                0
            }
            Deed::Start(who) => self.start(who, 75),
            Deed::Ensure(who) => self.start(who, 0),
            Deed::Stop(who) => self.stop(who),
            Deed::Restart(who) if self.ones[who].at == At::Ready => {
                self.serve();
                self.ones[who].begin();
                0
            }
            Deed::Restart(who) if self.ones[who].at == At::Standby => {
                self.serve();
                75
            }
            Deed::Restart(who) => self.start(who, 75),
            Deed::Reload(SOLO) => {
                if self.ones[SOLO].is_run {
                    0
                } else {
                    4
                }
            }
            Deed::Reload(who) => {
                self.has_daemon = true;
                if self.ones[who].at == At::Ready { 0 } else { 3 }
            }
            Deed::Edit(who) => {
                self.ones[who].written += 1;
                0
            }
            Deed::KillMain(who) => {
                let one = &mut self.ones[who];
                match who {
                    _ if one.is_run => one.run_ends(),
                    ONCE => one.at = At::Failed,
                    _ => one.begin(),
                }
                0
            }
            Deed::KillDaemon => {
                // Somebody brings it back if there is anything to do for it.
                self.has_daemon = self.ones.iter().any(|one| one.is_wanted);
                for one in &mut self.ones {
                    (one.is_refused, one.read) = (false, one.written);
                    // Of what is over and not wanted another daemon only knows how it ended.
                    match one.at {
                        At::Completed => one.at = At::Stopped,
                        At::Failed if one.is_forgotten && one.is_run => one.at = At::Standby,
                        At::Failed if one.is_forgotten => one.begin(),
                        _ => {}
                    }
                }
                0
            }
            Deed::Pause | Deed::Resume => {
                self.serve();
                self.is_paused = deed == Deed::Pause;
                0
            }
            Deed::RunNow => {
                self.serve();
                self.turns += 1;
                if self.ones[SCAN].at != At::Scheduled {
                    (self.ones[SCAN].at, self.ones[SCAN].is_wanted) = (At::Completed, false);
                }
                0
            }
            Deed::Run(who) if self.ones[who].is_up() => 75,
            Deed::Run(who) => {
                (self.ones[who].is_run, self.ones[who].is_forgotten) = (true, true);
                self.ones[who].life += 1;
                0
            }
            Deed::WaitReady(SOLO) | Deed::WaitStopped(SOLO) if !self.ones[SOLO].is_run => 4,
            Deed::WaitReady(SCAN) => 5,
            Deed::WaitReady(who) => match self.ones[who] {
                one if one.shown().0 == "ready" => 0,
                one if one.at == At::Failed || one.is_refused => 5,
                _ => 7,
            },
            Deed::WaitStopped(who) => match self.ones[who].shown().0 {
                "stopped" | "failed" | "completed" => 0,
                _ => 7,
            },
            Deed::Port | Deed::Who => {
                if self.ones[BASE].is_up() {
                    0
                } else {
                    3
                }
            }
            Deed::Status(SOLO) if !self.ones[SOLO].is_run => 4,
            Deed::Status(who) => match self.ones[who].shown().0 {
                "ready" | "scheduled" | "completed" => 0,
                "stopped" if !self.ones[who].is_refused => 3,
                "failed" => 5,
                _ => 75,
            },
        }
    }

    /// A daemon has read what is written.
    fn serve(&mut self) {
        self.has_daemon = true;
        self.ones.iter_mut().for_each(|one| one.read = one.written);
    }

    fn up(&mut self) -> i32 {
        self.serve();
        for who in [BASE, WEB, ONCE, SCAN] {
            let one = &mut self.ones[who];
            match one.at {
                At::Ready if one.ran == one.read => {}
                _ if who == SCAN => (one.at, one.is_wanted) = (At::Scheduled, true),
                _ if one.is_run => (one.at, one.is_wanted, one.is_refused) = (At::Standby, true, false),
                _ => one.begin(),
            }
        }
        if self.ones[ONCE].at == At::Standby { 75 } else { 0 }
    }

    /// `start` and `ensure`, which end otherwise where a `run` has it.
    fn start(&mut self, who: usize, held: i32) -> i32 {
        if who == SOLO && self.ones[SOLO].life == 0 {
            return 4;
        }
        self.serve();
        match who {
            SOLO => return if self.ones[SOLO].is_run { 0 } else { 4 },
            SCAN => {
                (self.ones[SCAN].at, self.ones[SCAN].is_wanted) = (At::Scheduled, true);
                return 0;
            }
            WEB if self.ones[BASE].at != At::Ready => self.ones[BASE].begin(),
            _ => {}
        }
        let one = &mut self.ones[who];
        match one.at {
            At::Ready => 0,
            _ if one.is_run && held == 0 => 0,
            _ if one.is_run => {
                one.end();
                one.is_refused = true;
                held
            }
            _ => {
                one.begin();
                0
            }
        }
    }

    fn stop(&mut self, who: usize) -> i32 {
        if who == BASE {
            self.ones[WEB].end();
        }
        let was_run = self.ones[who].is_run;
        self.ones[who].is_run = false;
        self.ones[who].end();
        if who == SOLO && !was_run && self.ones[SOLO].life == 0 { 4 } else { 0 }
    }
}
