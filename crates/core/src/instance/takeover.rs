//! After the death of a daemon: what a new driver found alive is adopted, what ended unseen is judged, and what that
//! left is ended first.

use crate::event::{Effect, Ended, Event, Exit, IfHeld, Wanted, What};
use crate::health::Health;
use crate::instance::Instance;
use crate::plan::Kind;
use crate::state::{State, Why};
use crate::time::Time;

impl Instance {
    pub(super) fn adopted(&mut self, now: Time, event: Event, effects: &mut Vec<Effect>) {
        let Event::Adopted {
            claim,
            run,
            pid,
            ports,
            exit,
            ended_at,
            since,
            was_ready,
            notice,
            tick,
            print,
            cause,
            recent,
            wanted,
        } = event
        else {
            return;
        };
        // Whoever came before it in the order may have asked for it already; its guard has the claim, not we.
        if self.claim.is_some() || self.state.run().is_some() {
            effects.push(Effect::Release { claim });
            return;
        }
        self.claim = Some(claim);
        self.wanted = wanted;
        // Its guard lives and knows what there is to end.
        self.unseen = None;
        self.if_held = IfHeld::StandBy;
        self.lived = Some(run);
        self.pid = pid;
        self.ports = ports;
        self.moved = self.move_words();
        self.exit = exit;
        self.refusal = None;
        self.note = None;
        self.since = since;
        self.cause = cause;
        self.run_print = print;
        self.restarts.remember(recent, &self.plan.backoff);
        self.fell = ended_at;
        self.healthy_for = ended_at.filter(|_| was_ready).map(|at| at.since(since));
        self.health = Health { ready_since: was_ready.then_some(since), alive_at: now, ..Health::default() };
        self.state = match self.plan.kind {
            Kind::Job => State::Running { run },
            Kind::Service => State::Ready { run },
        };
        match wanted {
            Wanted::Up => self.follow_alive(now, since),
            Wanted::Down => self.forsake(effects),
        }
        // What was answered, and nobody heard it, counts as out until the answer is told below.
        for tick in notice.answers.iter().map(|answer| answer.tick).chain(tick) {
            self.adopt_tick(now, run, tick);
        }
        self.tell(What::Adopted, |_| {}, effects);
        self.notified(now, run, notice, effects);
        match (wanted, pid) {
            (Wanted::Down, _) => self.stop_tree(now, Why::Asked, effects),
            (Wanted::Up, None) => {
                let ended = exit.map_or(Ended::Unseen, Ended::Exited);
                self.stop_tree(now, Why::Ended(ended), effects);
            }
            (Wanted::Up, Some(_)) if self.plan.kind != Kind::Service => {}
            (Wanted::Up, Some(_)) if was_ready => self.arm(now),
            (Wanted::Up, Some(_)) => self.enter(now, run, effects),
        }
    }

    pub(super) fn ended_unseen(
        &mut self,
        now: Time,
        (exit, counts): (Option<Exit>, bool),
        is_tree_left: bool,
        wanted: Wanted,
        effects: &mut Vec<Effect>,
    ) {
        if self.state != State::Stopped {
            return;
        }
        self.exit = exit;
        self.outcome = exit.filter(|_| counts && !is_tree_left);
        self.wanted = wanted;
        self.if_held = IfHeld::StandBy;
        if wanted == Wanted::Up {
            self.follow(now, None);
        }
        let ended = exit.map_or(Ended::Unseen, Ended::Exited);
        if wanted == Wanted::Up || is_tree_left {
            self.note = Some(format!("{ended} while no daemon was there"));
        }
        if is_tree_left {
            // What it left is ended first, whether it is wanted or not.
            self.unseen = Some(Why::Ended(ended));
            self.begin(now, effects);
        } else if wanted == Wanted::Up {
            self.judge(now, ended, effects);
        }
    }
}
