//! The puppet: an obedient and disobedient child. Flags combine (`puppet/orders.rs` lists them). It reports overlap
//! itself, tells every process of its tree in a beacon, and ends by itself after a bounded life, so nothing leaks.
//! It uses only std and rustix, and no unsafe code: signals are ignored by way of a shell's `trap ''` before exec.

pub mod account;
pub mod beacon;
pub mod children;
pub mod handed;
pub mod journal;
pub mod lifeline;
pub mod listener;
pub mod orders;
pub mod token;
pub mod voice;
pub mod worker;

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::identity::Identity;
use orders::Orders;
use voice::Voice;

/// The exit code of a puppet that met another one.
pub const OVERLAP: u8 = 99;
/// The exit code of a puppet that could not write its output.
pub const UNHEARD: u8 = 98;
/// The exit code of a puppet that did not understand, or could not do, what it was told.
pub const HELPLESS: u8 = 97;

/// Does what the command line orders.
pub fn act() -> ExitCode {
    let outcome = match Orders::read(std::env::args().skip(1)) {
        Ok(orders) => perform(&orders),
        Err(why) => Err(io::Error::other(why)),
    };
    outcome.unwrap_or_else(|why| {
        // Stderr may be closed or broken; then the exit code must do.
        let _ = io::Write::write_all(&mut io::stderr(), format!("puppet: {why}\n").as_bytes());
        ExitCode::from(HELPLESS)
    })
}

fn perform(orders: &Orders) -> io::Result<ExitCode> {
    let me = Identity::mine();
    if orders.deaf_to().iter().any(|signal| me.ignored_signals() & (1 << (signal.as_raw() - 1)) == 0) {
        return Err(become_deaf(orders));
    }
    if let Some(child) = &orders.child {
        return children::play(orders, child);
    }
    let mut lifeline = orders.lifeline.as_deref().map(lifeline::Lifeline::start).transpose()?;
    let token = match &orders.token_file {
        None => None,
        Some(file) => match token::Token::take(file)? {
            Ok(token) => Some(token),
            Err(token::Overlap) => return Ok(ExitCode::from(OVERLAP)),
        },
    };
    if let Some(beacon) = &orders.alone
        && beacon.living().iter().any(|other| *other != me)
    {
        beacon.report_overlap(&me)?;
        return Ok(ExitCode::from(OVERLAP));
    }
    if let Some(beacon) = orders.beacon.as_ref().or(orders.alone.as_ref()) {
        beacon.announce(orders.role.as_deref().unwrap_or("main"))?;
    }
    children::start(orders)?;
    let listener = orders.listen.map(|port| listener::Listener::open(port, orders)).transpose()?;
    if orders.fork_listener
        && let Some(listener) = &listener
    {
        children::bequeath(orders, listener)?;
    }
    if orders.echo
        && let Some(listener) = &listener
    {
        listener.echo()?;
    }
    if orders.handed {
        handed::answer()?;
    }
    if let Some((program, arguments)) = orders.exec.split_first() {
        // Pid and start time stay: the beacon goes on telling the truth.
        return Err(Command::new(program).args(arguments).exec());
    }
    let (code, written) = match &orders.ticks {
        Some(notes) => (worker::work(orders, notes)?, 0),
        None => live(orders, lifeline.as_mut())?,
    };
    drop(listener);
    lifeline.map_or(Ok(()), lifeline::Lifeline::end)?;
    if let Some(token) = token {
        token.give_back(written)?;
    }
    Ok(ExitCode::from(code))
}

/// Lives as ordered; gives the exit code and how many lines were written.
fn live(orders: &Orders, mut lifeline: Option<&mut lifeline::Lifeline>) -> io::Result<(u8, u64)> {
    let born = Instant::now();
    let mut times = 0;
    let account = orders.account.as_deref().map(account::Account::open).transpose()?;
    let mut voice = Voice::with(account);
    let mut alive_at = orders.alive.is_some().then_some(Duration::ZERO);
    if alive_at.is_some() {
        worker::say("READY=1")?;
    }
    if let Some(lines) = orders.write
        && voice.shout(lines).is_err()
    {
        return Ok((UNHEARD, voice.lines()));
    }
    loop {
        let age = born.elapsed();
        if age >= orders.life {
            return Ok((0, voice.lines()));
        }
        let mut pause = orders.life - age;
        if let Some(lifeline) = &mut lifeline {
            lifeline.beat()?;
            pause = pause.min(lifeline::BEAT);
        }
        if let Some(end) = orders.exit_after {
            if age >= end {
                return Ok((orders.code, voice.lines()));
            }
            pause = pause.min(end - age);
        }
        if let Some(file) = &orders.exit_on_file {
            if file.exists() {
                return Ok((orders.code, voice.lines()));
            }
            pause = pause.min(Duration::from_millis(5));
        }
        if let (Some(every), Some(at)) = (orders.alive, &mut alive_at) {
            if age >= *at {
                // One that nobody reads just now is not the last one.
                let _ = worker::say("WATCHDOG=1");
                *at = age + every;
            }
            pause = pause.min(*at - age);
        }
        if let Some(every) = orders.write_every {
            let next = every * (times + 1);
            if age >= next {
                if voice.shout(orders.burst.unwrap_or(1)).is_err() {
                    return Ok((UNHEARD, voice.lines()));
                }
                times += 1;
                continue;
            }
            pause = pause.min(next - age);
        }
        std::thread::sleep(pause);
    }
}

/// An ignored signal stays ignored across exec; a shell can do that without a line of unsafe code. Comes back only
/// with an error.
fn become_deaf(orders: &Orders) -> io::Error {
    let names: Vec<&str> = orders.deaf_to().iter().map(|signal| orders::name(*signal)).collect();
    let script = format!("trap '' {}; exec \"$0\" \"$@\"", names.join(" "));
    match std::env::current_exe() {
        Ok(me) => {
            Command::new("/bin/sh").arg("-c").arg(script).arg(me).args(std::env::args_os().skip(1)).exec()
        }
        Err(why) => why,
    }
}
