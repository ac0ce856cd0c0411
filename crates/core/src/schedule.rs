//! Schedules: when a run is due, and in which hours something runs at all. Pure arithmetic on given moments: zones and
//! calendars come in as data, and nothing here asks a clock. How an instance follows its schedule is `instance/agenda.rs`.

pub mod calendar;
pub mod civil;
pub mod cron;
pub mod due;
pub mod times;
pub mod window;
pub mod zone;

use std::sync::Arc;
use std::time::Duration;

use self::civil::TimeOfDay;
use self::cron::Cron;
use self::window::Window;
use self::zone::Zone;

/// When something runs by itself: what triggers a run, in which hours, and what happens to runs that cannot begin at
/// their moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// What triggers a run; none for a service that only keeps hours.
    pub triggers: Vec<Trigger>,
    /// The hours it keeps; outside them nothing is due and a service is down.
    pub window: Option<Arc<Window>>,
    /// Each run begins up to so much later than it is due, drawn anew each time.
    pub jitter: Duration,
    /// One run as soon as it is wanted (and its window open), whatever the triggers say.
    pub run_on_start: bool,
    /// What happens when a run is due while one is at work.
    pub overlap: Overlap,
    /// What happens to runs that were missed: the machine slept, no daemon was there, the clock was set.
    pub misfire: Misfire,
    /// A run that begins so late is not missed yet.
    pub misfire_grace: Duration,
    /// What the end of the window does to what is at work.
    pub on_close: OnClose,
    /// With `OnClose::Drain`, how long a service may take to end after its polite signal.
    pub drain_timeout: Duration,
    /// One more run when the window has closed.
    pub has_final_run: bool,
    /// Nothing is due by itself, and the window neither starts nor stops anything.
    pub is_paused: bool,
    /// A run is a line on the standard input of a worker that lives on, not a process of its own.
    pub is_ticked: bool,
    /// With `Overlap::Allow`: the instances that take the runs that are due while this one is busy, in order.
    pub lanes: Vec<String>,
}

/// What triggers a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// So often, from start to start, on the clock that counts machine sleep. In a window counted from its opening.
    Every(Duration),
    /// At the moments of a cron expression.
    Cron {
        /// The expression.
        cron: Cron,
        /// In whose local time.
        zone: Arc<Zone>,
    },
    /// Every day at these times.
    At {
        /// In order.
        times: Vec<TimeOfDay>,
        /// In whose local time.
        zone: Arc<Zone>,
    },
}

/// What happens when a run is due while one is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It begins when the one at work has ended.
    Queue,
    /// The one at work is ended for it.
    Replace,
    /// Both run, up to as many as there are lanes and one.
    Allow,
}

/// What happens to runs that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Misfire {
    /// They are left out.
    #[default]
    Skip,
    /// One run stands for all of them.
    RunOnce,
    /// Each is made up for, one after the other.
    RunAll,
}

/// What the end of a window does to what is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnClose {
    /// It is stopped; what is queued is left out.
    #[default]
    Stop,
    /// What is at work and what is queued is finished. A service gets its polite signal and `drain_timeout`.
    Drain,
    /// What is at work is finished, what is queued is left out. A service runs until it ends by itself.
    Finish,
}

impl Default for Schedule {
    /// Nothing triggers it, at all hours. Ten seconds late is not missed.
    fn default() -> Self {
        Schedule {
            triggers: Vec::new(),
            window: None,
            jitter: Duration::ZERO,
            run_on_start: false,
            overlap: Overlap::default(),
            misfire: Misfire::default(),
            misfire_grace: Duration::from_secs(10),
            on_close: OnClose::default(),
            drain_timeout: Duration::from_secs(300),
            has_final_run: false,
            is_paused: false,
            is_ticked: false,
            lanes: Vec::new(),
        }
    }
}

impl Schedule {
    /// A run every so often, the first as soon as it is wanted.
    pub fn every(span: Duration) -> Schedule {
        Schedule { triggers: vec![Trigger::Every(span)], run_on_start: true, ..Schedule::default() }
    }

    /// The interval of its `Trigger::Every`, if it has one.
    pub fn interval(&self) -> Option<Duration> {
        self.triggers.iter().find_map(|trigger| match trigger {
            Trigger::Every(span) => Some(*span),
            Trigger::Cron { .. } | Trigger::At { .. } => None,
        })
    }
}
