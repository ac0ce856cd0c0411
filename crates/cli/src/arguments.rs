//! The command line as clap reads it. A wrong one ends with exit code 2 and what was expected.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use soloist_daemon::config::duration;

/// Runs exactly one of each backend server and background worker.
#[derive(Debug, Parser)]
#[command(name = "soloist", version, propagate_version = true, arg_required_else_help = true)]
pub struct Arguments {
    /// The project folder [default: the nearest parent with a soloist.toml, else the current folder]
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start the project's services and scheduled jobs; Ctrl+C stops them again
    Up {
        /// In the background: return when everything is ready
        #[arg(short, long)]
        detach: bool,
        /// What waits for its time runs once now, also outside its window: jobs to their end, services until it closes
        /// next or they are stopped
        #[arg(long)]
        now: bool,
        /// The ports
        #[command(flatten)]
        force: Force,
        /// Only these (and what they need)
        names: Vec<String>,
    },
    /// Stop everything of this project, verified, and its daemon
    Down,
    /// Start services, or run jobs now; return when they are ready
    Start {
        /// Which
        #[arg(required = true)]
        names: Vec<String>,
        /// Their ports
        #[command(flatten)]
        force: Force,
    },
    /// Start services whatever is on their ports: `start --force`
    Takeover {
        /// Which
        #[arg(required = true)]
        names: Vec<String>,
        /// Do not ask; needed where there is no terminal
        #[arg(short, long)]
        yes: bool,
    },
    /// Stop services, verified: process tree empty, port free, claim free
    Stop {
        /// Which
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Stop and start services
    Restart {
        /// Which
        #[arg(required = true)]
        names: Vec<String>,
        /// Their ports
        #[command(flatten)]
        force: Force,
    },
    /// Have services read their own configuration again, by their reload-signal; they run on
    Reload {
        /// Which
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Make sure that services run, whoever started them
    Ensure {
        /// Which
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show the instances of a keyed service, add some and take some away
    Instances {
        /// Which service
        service: String,
        /// A key to have an instance, which is started
        #[arg(long, value_name = "KEY")]
        add: Vec<String>,
        /// A key whose instance is stopped, and started no more
        #[arg(long, value_name = "KEY")]
        remove: Vec<String>,
    },
    /// Say what is true of every service, or of one
    Status {
        /// Only this one; the exit code then tells its state
        name: Option<String>,
        /// Go on as it changes, until Ctrl+C
        #[arg(short, long)]
        watch: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Watch and steer the services on the whole terminal
    #[cfg(feature = "tui")]
    Top,
    /// Show what services wrote, their secrets masked
    Logs(Logs),
    /// Show what happened to a service, or to all: starts, ends, restarts, conflicts, with causes
    History {
        /// Only this one, or all instances of this keyed one
        name: Option<String>,
        /// Only from then on: `2h`, `30m`, `2026-03-04`, `2026-03-04T14:00:00Z`
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Timestamp>,
        /// At most so many lines, the newest
        #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
        lines: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Say in a paragraph why a service is as it is: what happened, why, and what happens next
    Why {
        /// Which
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what happened last; with -f also what happens from now on
    Events {
        /// Go on as it happens
        #[arg(short, long)]
        follow: bool,
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Wait until services are as they should be; 7 if that takes too long, 5 if it cannot become so
    Wait {
        /// Which
        #[arg(required = true)]
        names: Vec<String>,
        /// How they should be
        #[arg(long = "for", value_name = "STATE", value_enum, default_value_t = Goal::Ready)]
        goal: Goal,
        /// How long to wait
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
        timeout: Duration,
    },
    /// Show schedules and change them at run time; what is changed stays so until it is reset
    Schedule(Schedule),
    /// Run any command as a singleton: no configuration, no daemon; signals and exit code are passed on
    Run(Run),
    /// Print the port of a service that is ready
    Port {
        /// Which
        name: String,
        /// Its address: http://127.0.0.1:PORT
        #[arg(long)]
        url: bool,
        /// As JSON, with its run and its process
        #[arg(long, conflicts_with = "url")]
        json: bool,
        /// Wait until it is ready [default: 30s]
        #[arg(
            long,
            value_name = "TIME",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "30s",
            value_parser = duration
        )]
        wait: Option<Duration>,
    },
    /// Name every process that listens on a port
    Who {
        /// The port
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Free a port: end this project's services and leftovers on it; with --force also strangers of this user
    Free {
        /// The port
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// Also end processes that soloist did not start, with what would start them again; on a terminal it asks
        #[arg(short, long)]
        force: bool,
    },
    /// Open the page of this project in a browser, by a link that works once
    Open {
        /// Only print the link
        #[arg(long)]
        print: bool,
    },
    /// Replace the running daemon by a new binary; no service notices
    Upgrade {
        /// The new binary [default: what lies now where the daemon's own binary lay]
        #[arg(long, value_name = "PATH")]
        binary: Option<PathBuf>,
    },
    /// Look for what would bite, each with its remedy: ports, commands, disk, clock, rights; 1 if there is anything
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a first soloist.toml from what lies in the folder: servers, workers, Procfile, package.json, Compose file
    Init {
        /// Only show it
        #[arg(long)]
        stdout: bool,
    },
    /// Find and end leftovers of this project, remove stale records
    Cleanup {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What may be done to whoever is on the ports of what is started.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Force {
    /// First take over its ports: another soloist is asked, this user's own processes are ended with what would start
    /// them again. They are shown, and it asks before it does
    #[arg(short, long)]
    pub force: bool,
    /// With --force: do not ask; needed where there is no terminal
    #[arg(short, long, requires = "force")]
    pub yes: bool,
}

/// `soloist schedule`
#[derive(Debug, clap::Args)]
pub struct Schedule {
    /// As JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub act: ScheduleAct,
}

/// What can be done about schedules.
#[derive(Debug, Subcommand)]
pub enum ScheduleAct {
    /// Show what runs when, in which hours, and what was changed
    Ls,
    /// Show the next runs, as soloist.toml tells them; no daemon is needed
    Next {
        /// Only of this one
        name: Option<String>,
        /// So many of each
        #[arg(short = 'n', long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
    },
    /// Have it run every so often, from now on
    Set {
        /// Which
        name: String,
        /// How often: `10s`, `5m`
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        every: String,
    },
    /// Go by soloist.toml again: drop what was set, and a pause
    Reset {
        /// Which
        name: String,
    },
    /// Nothing of it is due, and its window neither starts nor stops it, until it is resumed
    Pause {
        /// Which
        name: String,
    },
    /// End a pause
    Resume {
        /// Which
        name: String,
    },
    /// One run now, also when it is paused or outside its window
    Run {
        /// Which
        name: String,
    },
    /// Open or close a window for a time, whatever its rule says
    Override(Hours),
}

/// `soloist schedule override`
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("how").required(true).args(["open", "closed", "clear"]))]
pub struct Hours {
    /// A window, or a calendar and so all windows that go by it
    pub of: String,
    /// It is open
    #[arg(long)]
    pub open: bool,
    /// It is closed
    #[arg(long)]
    pub closed: bool,
    /// It goes by its rule again
    #[arg(long, conflicts_with_all = ["from", "until"])]
    pub clear: bool,
    /// From then on, in the window's local time: `14:00`, `2026-03-04`, `2026-03-04T14:00`, in `2h` [default: now]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Up to, not including, then
    #[arg(long, value_name = "TIME", required_unless_present = "clear")]
    pub until: Option<String>,
}

/// `soloist logs`
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// Which; of several, lines are put in the order of their times, by the second [default: all]
    pub names: Vec<String>,
    /// Go on as they are written
    #[arg(short, long, conflicts_with = "until")]
    pub follow: bool,
    /// The last so many lines of each [default: 100; all with --since, --until or --grep]
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<usize>,
    /// Only what was written from then on: `10m`, `2026-03-04`, `2026-03-04T14:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,
    /// Only what was written up to then
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub until: Option<Timestamp>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "PATTERN")]
    pub grep: Option<String>,
    /// One JSON object a line: time (by the second), service, stream, line, seq, offset
    #[arg(long)]
    pub json: bool,
    /// With passwords, tokens and keys, as it was written
    #[arg(long)]
    pub raw: bool,
    /// Without colours of ours
    #[arg(long)]
    pub no_color: bool,
}

/// `soloist run`
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The name under which it runs at most once
    pub name: String,
    /// Its port: must be free, and is told to it as $PORT
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// At most once in this project folder, or on this machine
    #[arg(long, value_enum, default_value_t = Scope::Project)]
    pub scope: Scope,
    /// Write its process id here while it runs
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Wait until nobody else runs it
    #[arg(short, long, conflicts_with = "force")]
    pub wait: bool,
    /// Take over: end whoever runs it, and this user's processes on its port with what would start them again. Those
    /// are shown, and it asks before it does
    #[arg(short, long)]
    pub force: bool,
    /// With --force: do not ask; needed where there is no terminal
    #[arg(short, long, requires = "force")]
    pub yes: bool,
    /// The time between the polite signal and the kill
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub stop_grace: Duration,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// Where a name may run only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// In the project folder
    Project,
    /// On the machine, for this user
    Machine,
}

/// What `soloist wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Goal {
    /// It serves
    Ready,
    /// It lives, ready or not
    Running,
    /// Nothing of it lives, and nothing starts by itself
    Stopped,
    /// Its last run ended as it should
    Completed,
    /// It was given up
    Failed,
    /// It lives, but does not serve
    Unhealthy,
    /// It waits for its time
    Scheduled,
    /// It waits for the next try
    Backoff,
    /// Somebody else is on its port
    Conflict,
    /// It runs elsewhere
    Standby,
}

/// `2h` ago, or a moment; without a zone in the zone of this machine.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = duration(text) {
        let ago = SignedDuration::try_from(ago).map_err(|e| e.to_string())?;
        return Timestamp::now().checked_sub(ago).map_err(|e| e.to_string());
    }
    let local = || text.parse::<DateTime>().and_then(|at| at.to_zoned(TimeZone::system()));
    text.parse::<Timestamp>()
        .or_else(|_| local().map(|at| at.timestamp()))
        .map_err(|_| "write it like 2h, 2026-03-04 or 2026-03-04T14:00:00Z".to_owned())
}

/// A moment to come, in a zone: a time of today, a day, both, a moment with its own zone, or so long from now.
pub fn moment(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(ahead) = duration(text) {
        let ahead = SignedDuration::try_from(ahead).map_err(|e| e.to_string())?;
        return Timestamp::now().checked_add(ahead).map_err(|e| e.to_string());
    }
    let today = Timestamp::now().to_zoned(zone.clone()).date();
    // A time is the last try: it would also be read out of a day with a time.
    let local =
        text.parse::<DateTime>().or_else(|_| text.parse::<Time>().map(|time| today.to_datetime(time)));
    text.parse::<Timestamp>()
        .or_else(|_| local.and_then(|at| at.to_zoned(zone.clone())).map(|at| at.timestamp()))
        .map_err(|_| "write it like 15:30, 2026-03-04, 2026-03-04T15:30 or 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_to_come_is_read_in_its_zone() {
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        let read = |text: &str| moment(text, &zone).map(|at| at.to_string());
        for (text, expected) in [
            ("2030-11-24T18:00", "2030-11-24T12:30:00Z"),
            ("2030-11-24 18:00:30", "2030-11-24T12:30:30Z"),
            ("2030-11-24", "2030-11-23T18:30:00Z"),
            ("2030-11-24T18:00Z", "2030-11-24T18:00:00Z"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
        let today = Timestamp::now().to_zoned(zone.clone()).date();
        let half_past = today.at(15, 30, 0, 0).to_zoned(zone.clone()).unwrap().timestamp();
        assert!(
            read("15:30").unwrap() == half_past.to_string()
                || today != Timestamp::now().to_zoned(zone.clone()).date()
        );
        assert!(read("tomorrow").is_err() && read("25:00").is_err());
    }
}
