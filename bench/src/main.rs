//! `bench`: soloist beside its peers. Each measurement is one file and gives one section; `report.rs` prints it and
//! keeps it in `results.md`. What is compared runs interleaved, so that other load falls on all alike.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench is run by hand and speaks to whoever runs it"
)]

mod arena;
mod asker;
mod binaries;
mod death;
mod fifo;
mod figures;
mod growth;
mod handover;
mod install;
mod lateness;
mod logs;
mod machine;
mod market;
mod memory;
mod outline;
mod peak;
mod peers;
mod report;
mod restart;
mod run;
mod scale;
mod schedulers;
mod singleton;
mod status;
mod supervisor;
mod tree;
mod twice;
mod waiting;
mod who;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::binaries::Binaries;
use crate::report::Section;

/// Measures soloist beside its peers, prints tables, and keeps them in bench/results.md.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    measurements: Vec<Measurement>,
    /// Fewer repetitions by this factor, to try out the bench itself; nothing is kept then
    #[arg(long, value_name = "FACTOR", default_value_t = 1, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    quick: u32,
    /// First install the peers that are not here, into target/peers
    #[arg(long)]
    install: bool,
}

/// The measurements, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// One command under a lock: `soloist run` beside flock
    Run,
    /// The kill of a child to the first instruction of the next, beside runit, s6, supervisord and pm2
    Restart,
    /// A server that is restarted under load: with hand-over of its socket, without, and by pm2's reload
    Handover,
    /// What supervisors of a hundred idle services hold in memory
    Memory,
    /// A thousand services: until all run, memory, and what idling costs
    Scale,
    /// Ten to five thousand services: what each of these costs, and how that grows
    Growth,
    /// How all of a thousand services are: by API and by command, beside supervisord, circus and pm2
    Status,
    /// How late scheduled runs begin, beside APScheduler, Node and crond
    Lateness,
    /// A thousand jobs that wait for tomorrow: memory, and what waiting costs
    Waiting,
    /// Who listens on a port among two thousand processes, beside ss
    Who,
    /// Two gigabytes from one child into its log, beside cat, svlogd, s6-log, supervisord, circus and pm2
    Logs,
    /// The stop of ten processes of which nine have escaped: who lives on, under each supervisor
    Tree,
    /// SIGKILL for the supervisor: which services run twice after it, or not at all, and which lines are lost
    Death,
    /// The same supervisor started twice at once, and one service: how many of it run
    Twice,
    /// A start that finds its service running, beside flock and PID files
    Singleton,
    /// The market workload beside Python's readers of workbooks, and its server under load
    Market,
    /// All of them
    All,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let first = words.next();
    let done = if first.as_deref() == Some(peak::ARGUMENT.as_ref()) {
        peak::measure(words)
    } else if first.as_deref() == Some(market::books::LIMIT.as_ref()) {
        market::books::limit(words.next().unwrap_or_default().as_ref())
    } else {
        measure(&Arguments::parse())
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(asked: &Arguments) -> Result<()> {
    let chosen = |one| asked.measurements.iter().any(|it| *it == Measurement::All || *it == one);
    if asked.install {
        install::all(chosen);
    }
    let binaries = Binaries::build()?;
    let rounds = |full: usize| (full / asked.quick as usize).max(2);
    let mut sections: Vec<Section> = Vec::new();
    let begun = Instant::now();
    let mut take = |section: Section| {
        println!("{section}");
        eprintln!("{} ended {:.0} s after the start", section.name, begun.elapsed().as_secs_f64());
        sections.push(section);
    };
    if chosen(Measurement::Run) {
        take(run::measure(&binaries, rounds(300))?);
    }
    if chosen(Measurement::Restart) {
        take(restart::measure(&binaries, rounds(40))?);
    }
    if chosen(Measurement::Handover) {
        take(handover::measure(&binaries, rounds(40))?);
    }
    if chosen(Measurement::Memory) {
        take(memory::measure(&binaries, 100)?);
    }
    if chosen(Measurement::Scale) {
        take(scale::measure(&binaries, 1000 / asked.quick as usize, rounds(3))?);
    }
    if chosen(Measurement::Growth) {
        take(growth::measure(&binaries, 5000 / asked.quick as usize)?);
    }
    if chosen(Measurement::Status) {
        take(status::measure(&binaries, 1000 / asked.quick as usize, rounds(3))?);
    }
    if chosen(Measurement::Lateness) {
        take(lateness::measure(&binaries, rounds(2))?);
    }
    if chosen(Measurement::Waiting) {
        take(waiting::measure(&binaries, 1000 / asked.quick as usize)?);
    }
    if chosen(Measurement::Who) {
        take(who::measure(&binaries, 2000 / asked.quick as usize, rounds(30))?);
    }
    if chosen(Measurement::Logs) {
        take(logs::measure(&binaries, 2_000_000_000 / asked.quick as usize, rounds(10))?);
    }
    if chosen(Measurement::Tree) {
        take(tree::measure(&binaries, rounds(3))?);
    }
    if chosen(Measurement::Death) {
        take(death::measure(&binaries, rounds(5))?);
    }
    if chosen(Measurement::Twice) {
        take(twice::measure(&binaries, rounds(10))?);
    }
    if chosen(Measurement::Singleton) {
        take(singleton::measure(&binaries, rounds(200), rounds(100))?);
    }
    if chosen(Measurement::Market) {
        take(market::measure(&binaries, rounds(20))?);
        take(market::load::measure(&binaries, rounds(10) as u64)?);
    }
    if asked.quick == 1 {
        report::keep(&sections)?;
    }
    Ok(())
}
