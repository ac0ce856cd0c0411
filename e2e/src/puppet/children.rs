//! The children of a puppet and how they try to get away. Each is this program again, so no fork is needed; each
//! enters itself in the beacon once it is where it wants to be, then sleeps.

use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, setpgid, setsid};

use super::listener::Listener;
use super::orders::{Child, Escape, Orders};
use crate::identity::Identity;

/// A child that regroups does so at most this often; then it stays where it is.
const HOPS: u32 = 1500;
/// The pause between two hops while the main process lives; without it there is none.
const HOP: Duration = Duration::from_millis(10);

/// Starts the ordered children and sleepers and, if there is a beacon, waits until all of them are where they want
/// to be: only then the puppet listens.
pub fn start(orders: &Orders) -> io::Result<()> {
    let expected: Vec<Child> = orders.children.clone();
    for child in &expected {
        spawn(orders, child, orders.hop, std::process::id())?;
    }
    for _ in 0..orders.sleepers {
        spawn(orders, &Child::new(Escape::Sleeper), 0, std::process::id())?;
    }
    let Some(beacon) = &orders.beacon else { return Ok(()) };
    let began = Instant::now();
    while expected.iter().any(|child| !has_arrived(beacon, child, &expected)) {
        if began.elapsed() > Duration::from_secs(20) {
            return Err(io::Error::other("a child did not get where it wanted to be"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Whether as many of this kind have entered themselves, and live, as were ordered.
fn has_arrived(beacon: &super::beacon::Beacon, child: &Child, all: &[Child]) -> bool {
    let ordered = all.iter().filter(|one| *one == child).count();
    let role = child.text();
    let arrived = beacon.all().into_iter().filter(|(who, its)| *its == role && who.is_alive());
    // One that hops may just be between two lives; that it was seen once is enough.
    if child.escape == Escape::Regroup {
        return !beacon.with_role(&role).is_empty();
    }
    arrived.count() >= ordered
}

/// Starts a child that inherits the listening socket.
pub fn bequeath(orders: &Orders, listener: &Listener) -> io::Result<()> {
    listener.let_inherit()?;
    spawn(orders, &Child::new(Escape::Heir), 0, std::process::id())
}

fn spawn(orders: &Orders, child: &Child, hop: u32, main: u32) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--child").arg(child.text()).arg("--life").arg(orders.life.as_secs().to_string());
    command.arg("--hop").arg(hop.to_string()).arg("--main").arg(main.to_string());
    if let Some(beacon) = &orders.beacon {
        command.arg("--beacon").arg(beacon.path());
    }
    if matches!(child.escape, Escape::DoubleFork | Escape::ClearEnvironment) {
        // A daemon of the old school keeps nothing of its origin.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    if child.escape == Escape::ClearEnvironment {
        command.env_clear();
    }
    let mut started = command.spawn()?;
    if matches!(child.escape, Escape::DoubleFork | Escape::ClearEnvironment) && !child.is_second {
        started.wait()?;
    }
    Ok(())
}

/// The life of a child.
pub fn play(orders: &Orders, child: &Child) -> io::Result<ExitCode> {
    match child.escape {
        Escape::Plain | Escape::Heir => {}
        Escape::Group => setpgid(None, None)?,
        Escape::Session => {
            setsid()?;
        }
        Escape::DoubleFork | Escape::ClearEnvironment => {
            if child.is_second {
                // The first process has ended or will at once: this one belongs to nobody.
            } else {
                if child.escape == Escape::ClearEnvironment {
                    setsid()?;
                }
                spawn(orders, &Child { is_second: true, ..child.clone() }, 0, orders.main)?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        Escape::Sleeper => {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            if rustix::process::getppid().map(rustix::process::Pid::as_raw_pid)
                != i32::try_from(orders.main).ok()
            {
                return Ok(ExitCode::SUCCESS);
            }
        }
        Escape::Regroup => {
            // Not a leader of anything yet: its parent spawned it into the parent's group.
            if orders.hop.is_multiple_of(2) {
                setpgid(None, None)?;
            } else {
                setsid()?;
            }
            if orders.hop < HOPS {
                announce(orders, child)?;
                if Identity::of(orders.main).is_some_and(|main| main.is_alive()) {
                    std::thread::sleep(HOP);
                }
                spawn(orders, child, orders.hop + 1, orders.main)?;
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    announce(orders, child)?;
    std::thread::sleep(orders.life);
    Ok(ExitCode::SUCCESS)
}

fn announce(orders: &Orders, child: &Child) -> io::Result<()> {
    match &orders.beacon {
        Some(beacon) => beacon.announce(&Child { is_second: false, ..child.clone() }.text()),
        None => Ok(()),
    }
}
