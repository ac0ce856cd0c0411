//! What processes do: they start, listen, fork, say something of themselves and end, each as its temper is.

use std::time::Duration;

use soloist_core::event::{Answer, Exit, Notice, Watchdog};
use soloist_core::id::TickId;

use super::machine::{Answers, Born, Happening, Machine, Process, Program, Saying, Temper, Turn};

/// More descendants than this no program here makes.
const GENERATIONS: u32 = 4;

impl Machine {
    pub fn take_turn(&mut self, who: Born, turn: Turn) {
        let pid = who.pid;
        let Some(process) = self.processes.get(&pid).filter(|p| p.number == who.number).cloned() else {
            return;
        };
        // What a frozen guard is to learn it learns when it goes on.
        if let Some(until) = process.guard.and_then(|guard| self.guards.get(&guard)?.frozen_until)
            && until > self.now
            && matches!(turn, Turn::Exit(_) | Turn::Say(_))
        {
            return self.plan(Duration::from_nanos(1) + until.since(self.now), Happening::Process(who, turn));
        }
        match turn {
            Turn::Listen => {
                if process.shares_port || process.ports.iter().all(|port| self.is_free(*port)) {
                    self.processes.entry(pid).and_modify(|p| p.listens = true);
                } else {
                    self.say(|| format!("process {pid} finds its port in use"));
                    self.take_turn(who, Turn::Exit(Exit::Code(1)));
                }
            }
            Turn::Deafen => {
                self.say(|| format!("process {pid} listens no more"));
                self.processes.entry(pid).and_modify(|p| p.listens = false);
            }
            Turn::Fork { is_deaf } => {
                self.fork(pid, is_deaf);
            }
            Turn::Breed { generation } => {
                let child = self.fork(pid, generation % 2 == 1);
                if generation < GENERATIONS {
                    let (mine, its) = (self.random.span(5, 200), self.random.span(5, 200));
                    self.plan_turn(mine, pid, Turn::Breed { generation: generation + 1 });
                    self.plan_turn(its, child, Turn::Breed { generation: generation + 1 });
                }
            }
            Turn::Exit(exit) => {
                if process.is_undying {
                    return self.plan(Duration::from_secs(1), Happening::Process(who, turn));
                }
                self.say(|| format!("process {pid} of {} ends with {exit}", process.instance));
                self.processes.remove(&pid);
                self.ended.insert(process.instance);
                if exit == Exit::Code(0) {
                    self.succeeded.insert(process.instance);
                }
                if let Some(guard) = process.guard {
                    self.reap(guard, pid, exit);
                }
            }
            Turn::Say(saying) => self.hear(pid, &process, saying),
        }
    }

    fn fork(&mut self, pid: u32, is_deaf: bool) -> u32 {
        let (child, number) = (self.pid(), u64::from(self.number()));
        self.say(|| format!("process {pid} forks {child}{}", if is_deaf { ", deaf" } else { "" }));
        if let Some(parent) = self.processes.get(&pid).cloned() {
            self.processes.insert(child, Process { number, is_deaf, ..parent });
        }
        child
    }

    /// A process says something of itself; without its guard nobody hears.
    fn hear(&mut self, pid: u32, process: &Process, saying: Saying) {
        let Some(guard) = process.guard else { return };
        let mut notice = Notice::default();
        match saying {
            Saying::Ready => {
                notice.is_ready = true;
                notice.said.status = Some("serves".to_owned());
                self.lives.entry(process.run).or_default().has_said_ready = true;
            }
            Saying::Alive { until } => {
                notice.watchdog = Some(Watchdog::Alive);
                let every = self.programs[process.instance].watchdog.unwrap_or(Duration::from_secs(5));
                if until.is_none_or(|until| self.now < until) || self.is_calm {
                    self.plan_turn(every / 3, pid, Turn::Say(saying));
                }
            }
            Saying::Extend => notice.extend = Some(self.random.span(500, 5000)),
            Saying::Trigger => notice.watchdog = Some(Watchdog::Trigger),
            Saying::Answer { tick, is_ok } => {
                notice.answers.push(Answer { tick, is_ok, summary: None });
            }
        }
        self.note_notice(guard, process.run, notice);
    }

    /// A process starts and goes its way.
    pub fn execute(&mut self, mut process: Process, temper: Temper) -> u32 {
        let (pid, program) = (self.pid(), self.programs[process.instance].clone());
        process.number = u64::from(self.number());
        process.answers = match temper {
            Temper::Sick => Answers::Until(self.now + self.random.span(0, 30_000)),
            Temper::Flaps => Answers::Turns(self.random.span(200, 6000)),
            Temper::Silent => Answers::Never,
            _ => Answers::Good,
        };
        self.say(|| {
            format!("process {pid} of {} executes ({temper:?}), run {}", process.instance, process.run)
        });
        self.lives.entry(process.run).or_default().mains.push(pid);
        self.executed.insert(process.instance);
        self.processes.insert(pid, process);
        if program.is_job {
            let exit = if self.random.percent(70) { Exit::Code(0) } else { Exit::Code(3) };
            let after = self.random.span(20, program.longest_ms);
            self.plan_turn(after, pid, Turn::Exit(exit));
        } else if !matches!(temper, Temper::NeverReady | Temper::ExitsAtOnce(_)) {
            let after = self.random.span(5, 600);
            self.plan_turn(after, pid, Turn::Listen);
        }
        self.speak(pid, &program, temper);
        self.misbehave(pid, temper);
        pid
    }

    fn speak(&mut self, pid: u32, program: &Program, temper: Temper) {
        if program.notifies && temper != Temper::Mute {
            if self.random.percent(20) {
                self.plan_turn(Duration::from_millis(5), pid, Turn::Say(Saying::Extend));
            }
            let after = self.random.span(10, 1500);
            self.plan_turn(after, pid, Turn::Say(Saying::Ready));
        }
        if program.watchdog.is_some() {
            let until = (temper == Temper::Drowsy).then(|| self.now + self.random.span(0, 30_000));
            self.plan_turn(Duration::ZERO, pid, Turn::Say(Saying::Alive { until }));
            if temper == Temper::Drowsy && self.random.percent(20) {
                let after = self.random.span(100, 20_000);
                self.plan_turn(after, pid, Turn::Say(Saying::Trigger));
            }
        }
    }

    /// A worker is given a turn, and answers in time, late, or never.
    pub fn tick(&mut self, pid: u32, tick: TickId) {
        self.count("ticks");
        let longest = if self.random.percent(80) { 1500 } else { 20_000 };
        let (after, is_ok) = (self.random.span(1, longest), self.random.percent(80));
        if self.is_calm || self.random.percent(95) {
            self.plan_turn(after, pid, Turn::Say(Saying::Answer { tick, is_ok }));
        } else {
            self.count("ticks unanswered");
        }
    }

    fn misbehave(&mut self, pid: u32, temper: Temper) {
        match temper {
            Temper::Good
            | Temper::Deaf
            | Temper::NeverReady
            | Temper::Sick
            | Temper::Silent
            | Temper::Mute
            | Temper::Drowsy
            | Temper::SharesPort
            | Temper::Refused { .. } => {}
            Temper::Flaps => {
                for round in 0..3 {
                    let after = Duration::from_secs(round * 4) + self.random.span(700, 3000);
                    self.plan_turn(after, pid, Turn::Deafen);
                    let again = after + self.random.span(1, 3000);
                    self.plan_turn(again, pid, Turn::Listen);
                }
                self.plan_turn(Duration::from_secs(15), pid, Turn::Listen);
            }
            Temper::Forks | Temper::Leaves => {
                for _ in 0..=self.random.below(2) {
                    let (after, is_deaf) = (self.random.span(1, 700), self.random.percent(40));
                    self.plan_turn(after, pid, Turn::Fork { is_deaf });
                }
                if temper == Temper::Leaves {
                    let (after, code) = (self.random.span(300, 5000), self.random.pick(&[0, 1]));
                    self.plan_turn(after, pid, Turn::Exit(Exit::Code(code)));
                }
            }
            Temper::Breeds => {
                let after = self.random.span(1, 700);
                self.plan_turn(after, pid, Turn::Breed { generation: 0 });
            }
            Temper::ExitsAtOnce(code) => {
                let after = self.random.span(0, 2);
                self.plan_turn(after, pid, Turn::Exit(Exit::Code(code)));
            }
            Temper::Crashes => {
                let after = self.random.span(100, 20_000);
                self.plan_turn(after, pid, Turn::Exit(Exit::Code(1)));
            }
        }
    }
}
