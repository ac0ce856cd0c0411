//! A puppet that is ticked: it says that it is ready, notes each tick that it reads, and does with it as it was told.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::orders::Orders;

/// How often a late answer looks whether it may be given.
const LOOK: Duration = Duration::from_millis(2);

/// What a worker does with a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// `ok`: answers, and tells its tick in the summary.
    Fine,
    /// `error`: answers that it failed.
    Failed,
    /// `late`: answers as `ok` once the file beside its notes is there: its name and `.go`.
    Late,
    /// `never`: nothing.
    Never,
    /// `die`: ends with exit code 7.
    Die,
    /// `close`: answers, closes its standard input and lives on.
    Close,
}

const TURNS: [(&str, Turn); 6] = [
    ("ok", Turn::Fine),
    ("error", Turn::Failed),
    ("late", Turn::Late),
    ("never", Turn::Never),
    ("die", Turn::Die),
    ("close", Turn::Close),
];

impl Turn {
    /// Reads its name.
    pub fn read(text: &str) -> Result<Turn, String> {
        let found = TURNS.iter().find(|(name, _)| *name == text).map(|(_, turn)| *turn);
        found.ok_or_else(|| format!("there is no turn `{text}`"))
    }
}

/// A tick as a worker has noted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// By which process.
    pub pid: u32,
    /// Its id.
    pub tick: String,
    /// When it was due, as the line said it.
    pub scheduled_at: String,
}

/// The ticks in a file of notes, in their order.
pub fn taken(notes: &Path) -> Vec<Taken> {
    let text = std::fs::read_to_string(notes).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole
        .filter_map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            Some(Taken { pid: words.next()?.parse().ok()?, tick: words.next()?, scheduled_at: words.next()? })
        })
        .collect()
}

/// The file whose being there lets a late answer go.
pub fn gate(notes: &Path) -> PathBuf {
    notes.with_extension("go")
}

/// Takes ticks until its standard input ends, at most as long as it may live; gives the exit code.
pub fn work(orders: &Orders, notes: &Path) -> io::Result<u8> {
    let born = Instant::now();
    say("READY=1")?;
    let mut read = Vec::new();
    let mut turns = orders.turns.iter().copied();
    let mut turn = Turn::Fine;
    while let Some(line) = line(&mut read, orders.life.saturating_sub(born.elapsed()))? {
        let tick: serde_json::Value = serde_json::from_str(&line)?;
        let text = |name: &str| tick[name].as_str().unwrap_or("?").to_owned();
        let id = text("run");
        let note = format!("{} {id} {}\n", std::process::id(), text("scheduled_at"));
        OpenOptions::new().append(true).create(true).open(notes)?.write_all(note.as_bytes())?;
        // The last one goes on.
        turn = turns.next().unwrap_or(turn);
        match turn {
            Turn::Fine => answer(&id, "ok")?,
            Turn::Failed => answer(&id, "error")?,
            Turn::Late => {
                while !gate(notes).exists() && born.elapsed() < orders.life {
                    std::thread::sleep(LOOK);
                }
                answer(&id, "ok")?;
            }
            Turn::Never => {}
            Turn::Die => return Ok(7),
            Turn::Close => {
                rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
                answer(&id, "ok")?;
                std::thread::sleep(orders.life.saturating_sub(born.elapsed()));
            }
        }
    }
    Ok(orders.code)
}

/// The next line of its standard input, waited for with a limit; none at its end. Nothing reads ahead: what is closed
/// is closed.
fn line(read: &mut Vec<u8>, limit: Duration) -> io::Result<Option<String>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(at) = read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = read.drain(..=at).collect();
            return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
        }
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let input = rustix::stdio::stdin();
        let mut bytes = [0; 4096];
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&left))? {
            0 => return Ok(None),
            _ => match rustix::io::read(input, &mut bytes)? {
                0 => return Ok(None),
                length => read.extend(&bytes[..length]),
            },
        }
    }
}

fn answer(tick: &str, result: &str) -> io::Result<()> {
    say(&format!("X_SOLOIST_RUN={tick}\nX_SOLOIST_RESULT={result}\nX_SOLOIST_SUMMARY=did {tick}"))
}

/// Says this over the notify socket.
pub(super) fn say(words: &str) -> io::Result<()> {
    let address = std::env::var("NOTIFY_SOCKET").map_err(io::Error::other)?;
    UnixDatagram::unbound()?.send_to(words.as_bytes(), address).map(drop)
}
