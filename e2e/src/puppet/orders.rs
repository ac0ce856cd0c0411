//! What a puppet is told: its flags.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::beacon::Beacon;
use super::worker::Turn;

/// All orders of one puppet. Flags combine.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// `--token-file F`: the file that only one puppet at a time may have; see `token.rs`.
    pub token_file: Option<PathBuf>,
    /// `--alone F`: fails with an overlap if any process that the beacon F names still lives; then enters itself.
    pub alone: Option<Beacon>,
    /// `--beacon F`: every process of the tree enters itself there.
    pub beacon: Option<Beacon>,
    /// `--lifeline F`: it writes its start, its life and its end there; see `lifeline.rs`.
    pub lifeline: Option<PathBuf>,
    /// `--role NAME`: as what the main process enters itself; `main` if nothing is said.
    pub role: Option<String>,
    /// `--listen PORT`, on 127.0.0.1, once all children are there.
    pub listen: Option<u16>,
    /// `--dual`: listens on [::] for both families.
    pub dual: bool,
    /// `--reuseport`: lets twins listen on the same port.
    pub reuseport: bool,
    /// `--echo`: whoever connects gets back what it sends.
    pub echo: bool,
    /// `--handed`: answers on the sockets that it is handed; see `handed.rs`.
    pub handed: bool,
    /// `--fork-listener`: a child inherits the listening socket.
    pub fork_listener: bool,
    /// `--ignore-term`: SIGTERM does nothing. Its children inherit that, as always with ignored signals.
    pub ignore_term: bool,
    /// `--deaf`: SIGTERM, SIGINT and SIGHUP do nothing.
    pub deaf: bool,
    /// `--exit-after MS`.
    pub exit_after: Option<Duration>,
    /// `--exit-on-file F`: ends as soon as F exists.
    pub exit_on_file: Option<PathBuf>,
    /// `--code N`: the exit code of the two above.
    pub code: u8,
    /// `--children KIND,KIND…`: see `children.rs`.
    pub children: Vec<Child>,
    /// `--sleepers N`: so many light processes that die with this one.
    pub sleepers: u32,
    /// `--write N`: so many numbered lines as fast as possible.
    pub write: Option<u64>,
    /// `--write-every MS`: a numbered line every so often.
    pub write_every: Option<Duration>,
    /// `--burst N`: so many lines each time.
    pub burst: Option<u64>,
    /// `--account FOLDER`: its lines say whose they are, and how much of them was written is kept there; see `account.rs`.
    pub account: Option<PathBuf>,
    /// `--alive MS`: says `READY=1` at once and `WATCHDOG=1` every so often.
    pub alive: Option<Duration>,
    /// `--ticks F`: reads ticks from its standard input, notes them in F and answers them; see `worker.rs`.
    pub ticks: Option<PathBuf>,
    /// `--turns TURN,TURN…`: what it does with them, one after the other; the last goes on.
    pub turns: Vec<Turn>,
    /// `--life SECONDS`: then it ends by itself.
    pub life: Duration,
    /// `--exec PROGRAM ARGUMENT…` (last): becomes this program after all of the above is done.
    pub exec: Vec<String>,
    /// `--child KIND`: this process is a child of a puppet (told by puppets only).
    pub child: Option<Child>,
    /// `--hop N`: the generation of a child that regroups (told by puppets only).
    pub hop: u32,
    /// `--main PID`: the puppet that had the first of them (told by puppets only).
    pub main: u32,
}

/// One child: what it does to get away, and whether it hears signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// How it gets away.
    pub escape: Escape,
    /// `+deaf`: it ignores SIGTERM, SIGINT and SIGHUP.
    pub deaf: bool,
    /// Told by puppets only: it is the second process of a double fork.
    pub is_second: bool,
}

/// How a child tries to get away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// `plain`: not at all.
    Plain,
    /// `group`: into a process group of its own.
    Group,
    /// `setsid`: into a session of its own.
    Session,
    /// `double-fork`: its parent ends at once.
    DoubleFork,
    /// `clearenv`: empty environment, own session, double fork.
    ClearEnvironment,
    /// `regroup`: changes its group and forks itself anew again and again, faster once the main process is gone.
    Regroup,
    /// `heir`: none; it holds an inherited listening socket (told by puppets only).
    Heir,
    /// `sleeper`: none; it dies with its parent (told by puppets only).
    Sleeper,
}

const ESCAPES: [(&str, Escape); 8] = [
    ("plain", Escape::Plain),
    ("group", Escape::Group),
    ("setsid", Escape::Session),
    ("double-fork", Escape::DoubleFork),
    ("clearenv", Escape::ClearEnvironment),
    ("regroup", Escape::Regroup),
    ("heir", Escape::Heir),
    ("sleeper", Escape::Sleeper),
];

impl Child {
    /// A child that hears signals.
    pub fn new(escape: Escape) -> Child {
        Child { escape, deaf: false, is_second: false }
    }

    fn read(text: &str) -> Result<Child, String> {
        let mut words = text.split('+');
        let first = words.next().unwrap_or_default();
        let escape = ESCAPES.iter().find(|(name, _)| *name == first).map(|(_, escape)| *escape);
        let mut child = match (first, escape) {
            ("deaf", _) => Child { deaf: true, ..Child::new(Escape::Plain) },
            (_, Some(escape)) => Child::new(escape),
            (other, None) => return Err(format!("there is no child `{other}`")),
        };
        for word in words {
            match word {
                "deaf" => child.deaf = true,
                "second" => child.is_second = true,
                other => return Err(format!("a child cannot be `{other}`")),
            }
        }
        Ok(child)
    }

    /// As it is written after `--child`.
    pub fn text(&self) -> String {
        let name = ESCAPES.iter().find(|(_, escape)| *escape == self.escape).map_or("", |(name, _)| name);
        format!(
            "{name}{}{}",
            if self.deaf { "+deaf" } else { "" },
            if self.is_second { "+second" } else { "" }
        )
    }
}

impl Orders {
    /// Reads the flags.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Orders, String> {
        let mut orders = Orders { life: Duration::from_secs(300), ..Orders::default() };
        while let Some(flag) = words.next() {
            if flag == "--exec" {
                orders.exec = words.by_ref().collect();
                break;
            }
            if orders.take_switch(&flag) {
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{flag} stands alone"))?;
            orders.take(&flag, &value).map_err(|why| format!("{flag} {value}: {why}"))?;
        }
        Ok(orders)
    }

    fn take_switch(&mut self, flag: &str) -> bool {
        let switch = match flag {
            "--dual" => &mut self.dual,
            "--reuseport" => &mut self.reuseport,
            "--echo" => &mut self.echo,
            "--handed" => &mut self.handed,
            "--fork-listener" => &mut self.fork_listener,
            "--ignore-term" => &mut self.ignore_term,
            "--deaf" => &mut self.deaf,
            _ => return false,
        };
        *switch = true;
        true
    }

    fn take(&mut self, flag: &str, value: &str) -> Result<(), String> {
        match flag {
            "--token-file" => self.token_file = Some(value.into()),
            "--alone" => self.alone = Some(Beacon::at(value.as_ref())),
            "--beacon" => self.beacon = Some(Beacon::at(value.as_ref())),
            "--lifeline" => self.lifeline = Some(value.into()),
            "--role" => self.role = Some(value.to_owned()),
            "--listen" => self.listen = Some(number(value)?),
            "--exit-after" => self.exit_after = Some(Duration::from_millis(number(value)?)),
            "--exit-on-file" => self.exit_on_file = Some(value.into()),
            "--code" => self.code = number(value)?,
            "--children" => self.children = value.split(',').map(Child::read).collect::<Result<_, _>>()?,
            "--sleepers" => self.sleepers = number(value)?,
            "--write" => self.write = Some(number(value)?),
            "--write-every" => self.write_every = Some(Duration::from_millis(number(value)?)),
            "--burst" => self.burst = Some(number(value)?),
            "--account" => self.account = Some(value.into()),
            "--alive" => self.alive = Some(Duration::from_millis(number(value)?)),
            "--ticks" => self.ticks = Some(value.into()),
            "--turns" => self.turns = value.split(',').map(Turn::read).collect::<Result<_, _>>()?,
            "--life" => self.life = Duration::from_secs(number(value)?),
            "--child" => self.child = Some(Child::read(value)?),
            "--hop" => self.hop = number(value)?,
            "--main" => self.main = number(value)?,
            _ => return Err("unknown flag".into()),
        }
        Ok(())
    }

    /// The signals that this puppet must not hear.
    pub fn deaf_to(&self) -> &'static [Signal] {
        if self.deaf || self.child.as_ref().is_some_and(|child| child.deaf) {
            &[Signal::TERM, Signal::INT, Signal::HUP]
        } else if self.ignore_term {
            &[Signal::TERM]
        } else {
            &[]
        }
    }
}

/// The name of a signal as a shell's `trap` wants it.
pub fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::TERM => "TERM",
        Signal::INT => "INT",
        Signal::HUP => "HUP",
        _ => "0",
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "is no such number".into())
}
