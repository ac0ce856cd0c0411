//! When a run that ended by itself is followed by another, after which delay, and when it is enough.

use std::time::Duration;

use crate::event::Ended;
use crate::plan::{Backoff, Plan, Restart};
use crate::random::Random;
use crate::time::Time;

/// What follows the end of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Another run, after this delay.
    Again(Duration),
    /// It ended as it should; nothing follows.
    Done,
    /// It failed and nothing follows: the policy says so, or trying again cannot help.
    Failed,
    /// Too many restarts in the period.
    Exhausted,
}

/// The end of a run, as far as it matters for the next.
#[derive(Clone, Debug)]
pub struct Fall<'a> {
    /// How it ended.
    pub ended: &'a Ended,
    /// How long it had been ready, if it ever was.
    pub ready_for: Option<Duration>,
    /// What it said about its end, if trying again cannot help against it.
    pub hopeless: Option<String>,
}

/// The restarts of one instance so far.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    /// Within the period, oldest first.
    recent: Vec<Time>,
    /// In a row, without a healthy run between.
    in_a_row: u32,
    /// Since somebody last asked for a start.
    pub total: u32,
    /// What the last run said about its end, if trying again cannot help against it.
    hopeless: Option<String>,
}

impl Restarts {
    /// A start that somebody asked for begins a new series.
    pub fn forget(&mut self) {
        *self = Restarts::default();
    }

    /// What another daemon counted: when runs were started because the one before had fallen.
    pub fn remember(&mut self, recent: Vec<Time>, backoff: &Backoff) {
        self.total = self.total.max(u32::try_from(recent.len()).unwrap_or(u32::MAX));
        self.in_a_row = 0;
        let mut last: Option<Time> = None;
        for at in &recent {
            // Between two starts lie a run and a delay: what may have been delay is not counted as run.
            let ran = last.map(|last| at.since(last).saturating_sub(longest(backoff, self.in_a_row + 1)));
            let was_healthy = ran.is_some_and(|ran| ran >= backoff.reset_after);
            self.in_a_row = if was_healthy { 1 } else { self.in_a_row + 1 };
            last = Some(*at);
        }
        self.recent = recent;
    }

    /// Judges a run that ended by itself.
    pub fn judge(&mut self, plan: &Plan, fall: Fall<'_>, now: Time, random: &mut Random) -> Verdict {
        let Fall { ended, ready_for, hopeless } = fall;
        let succeeded = ended.is_success(plan);
        let wants_more = match plan.restart {
            Restart::No => false,
            Restart::OnFailure(_) => !succeeded,
            Restart::Always => true,
            Restart::OnSuccess => succeeded,
            Restart::OnAbnormal => ended.is_abnormal(),
        };
        if !wants_more {
            return if succeeded { Verdict::Done } else { Verdict::Failed };
        }
        // Once may have been the moment in which a file was saved; twice the same is how it is.
        let is_hopeless = hopeless.is_some() && self.hopeless == hopeless;
        self.hopeless = hopeless;
        if ended.is_final(plan) || is_hopeless {
            return Verdict::Failed;
        }
        self.recent.retain(|at| now.since(*at) < plan.limit.period);
        let most = match plan.restart {
            Restart::OnFailure(Some(most)) => most.min(plan.limit.count),
            Restart::OnFailure(None)
            | Restart::Always
            | Restart::OnSuccess
            | Restart::OnAbnormal
            | Restart::No => plan.limit.count,
        };
        if self.recent.len() >= most as usize {
            return Verdict::Exhausted;
        }
        if ready_for.is_some_and(|span| span >= plan.backoff.reset_after) {
            self.in_a_row = 0;
        }
        self.recent.push(now);
        self.total += 1;
        self.in_a_row += 1;
        // What served well and fell is put up again at once; what falls again waits longer each time.
        let is_first_of_healthy = self.in_a_row == 1 && ready_for.is_some();
        Verdict::Again(if is_first_of_healthy { Duration::ZERO } else { self.delay(plan, random) })
    }

    /// 1 s, 2 s, 4 s … with a jitter of a fifth up or down, so that many do not fall and rise in step.
    fn delay(&self, plan: &Plan, random: &mut Random) -> Duration {
        let plain = plain_delay(&plan.backoff, self.in_a_row);
        plain.mul_f64(0.8 + 0.4 * random.fraction())
    }
}

/// The delay after so many falls in a row, without its jitter.
fn plain_delay(backoff: &Backoff, in_a_row: u32) -> Duration {
    let doublings = in_a_row.saturating_sub(1).min(30);
    backoff.first.saturating_mul(1 << doublings).min(backoff.max)
}

fn longest(backoff: &Backoff, in_a_row: u32) -> Duration {
    plain_delay(backoff, in_a_row).mul_f64(1.2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Exit;
    use crate::plan::RestartLimit;

    const CRASH: Ended = Ended::Exited(Exit::Code(1));

    fn delays(ready_for: Option<Duration>, count: usize) -> Vec<Verdict> {
        let (plan, mut random, mut restarts) = (Plan::default(), Random::new(7), Restarts::default());
        (0..count)
            .map(|i| {
                let fall = Fall { ended: &CRASH, ready_for, hopeless: None };
                restarts.judge(&plan, fall, Time(Duration::from_secs(i as u64)), &mut random)
            })
            .collect()
    }

    #[test]
    fn the_first_restart_of_a_healthy_service_is_immediate_and_then_delays_double() {
        let found = delays(Some(Duration::from_secs(3)), 4);
        assert_eq!(found[0], Verdict::Again(Duration::ZERO));
        for (verdict, plain) in found[1..].iter().zip([2.0, 4.0, 8.0]) {
            let Verdict::Again(delay) = verdict else { panic!("{verdict:?}") };
            assert!((plain * 0.8..=plain * 1.2).contains(&delay.as_secs_f64()), "{delay:?} for {plain}");
        }
    }

    #[test]
    fn a_service_that_was_never_ready_waits_from_the_first_time_on() {
        let Verdict::Again(delay) = delays(None, 1)[0] else { panic!() };
        assert!(delay >= Duration::from_millis(800));
    }

    #[test]
    fn the_eleventh_restart_in_ten_minutes_is_not_made() {
        assert_eq!(*delays(None, 11).last().unwrap(), Verdict::Exhausted);
    }

    #[test]
    fn a_long_healthy_run_starts_the_series_again() {
        assert!(
            delays(Some(Duration::from_secs(31)), 5).iter().all(|v| *v == Verdict::Again(Duration::ZERO))
        );
    }

    #[test]
    fn what_another_daemon_counted_makes_no_delay_shorter() {
        let plan = Plan::default();
        let next = |recent: &[u64], now: u64| {
            let mut restarts = Restarts::default();
            restarts.remember(recent.iter().map(|s| Time(Duration::from_secs(*s))).collect(), &plan.backoff);
            let fall = Fall { ended: &CRASH, ready_for: None, hopeless: None };
            match restarts.judge(&plan, fall, Time(Duration::from_secs(now)), &mut Random::new(7)) {
                Verdict::Again(delay) => delay.as_secs_f64(),
                other => panic!("{other:?}"),
            }
        };
        let is_about = |delay: f64, plain: f64| (plain * 0.8..=plain * 1.2).contains(&delay);
        assert!(is_about(next(&[], 0), 1.0));
        assert!(is_about(next(&[1, 3, 7, 15], 16), 16.0));
        // It ran for an hour between: that series was over.
        assert!(is_about(next(&[1, 3, 7, 3600], 3602), 2.0));
    }

    /// Two thousand services that fall at random moments, each with numbers of its own.
    #[test]
    fn delays_and_the_limit_of_restarts_keep_their_bounds() {
        for seed in 0..2000 {
            let mut dice = Random::new(seed);
            let mut below = |bound: u64| dice.next() % bound;
            let ms = Duration::from_millis;
            let (first, max) = (1 + below(5000), 1 + below(100_000));
            let (count, period) = (1 + below(8) as usize, ms(1 + below(600_000)));
            let plan = Plan {
                restart: Restart::Always,
                backoff: Backoff { first: ms(first), max: ms(max), reset_after: ms(30_000) },
                limit: RestartLimit { count: count as u32, period },
                ..Plan::default()
            };
            let (mut restarts, mut random) = (Restarts::default(), Random::new(seed));
            let (mut now, mut made, mut in_a_row) = (0, Vec::new(), 0);
            for _ in 0..30 {
                now += below(200_000);
                let ready_for = (below(2) == 0).then(|| ms(below(60_000)));
                let fall = Fall { ended: &CRASH, ready_for, hopeless: None };
                let recent = made.iter().filter(|at| ms(now - **at) < period).count();
                let verdict = restarts.judge(&plan, fall, Time(ms(now)), &mut random);
                let Verdict::Again(delay) = verdict else {
                    assert_eq!((verdict, recent), (Verdict::Exhausted, count), "seed {seed}");
                    break;
                };
                assert!(recent < count, "seed {seed}: one too many");
                made.push(now);
                in_a_row = if ready_for.is_some_and(|span| span >= ms(30_000)) { 1 } else { in_a_row + 1 };
                let plain = (first as f64 * 2_f64.powi(in_a_row - 1)).min(max as f64) / 1000.0;
                match (in_a_row, ready_for) {
                    (1, Some(_)) => assert_eq!(delay, Duration::ZERO, "seed {seed}"),
                    _ => assert!(
                        (plain * 0.799..=plain * 1.201).contains(&delay.as_secs_f64()),
                        "seed {seed}: {delay:?} for {plain} s"
                    ),
                }
            }
        }
    }

    #[test]
    fn success_is_not_restarted_on_failure_and_a_missing_command_never() {
        let (plan, mut random, mut restarts) = (Plan::default(), Random::new(7), Restarts::default());
        let mut judge = |ended: Ended| {
            let fall = Fall { ended: &ended, ready_for: None, hopeless: None };
            restarts.judge(&plan, fall, Time::default(), &mut random)
        };
        assert_eq!(judge(Ended::Exited(Exit::Code(0))), Verdict::Done);
        assert_eq!(
            judge(Ended::NotStarted { why: "no such command".into(), is_final: true }),
            Verdict::Failed
        );
        assert_eq!(judge(Ended::Exited(Exit::Code(127))), Verdict::Failed);
    }

    #[test]
    fn the_same_hopeless_words_twice_are_enough() {
        let (plan, mut random, mut restarts) = (Plan::default(), Random::new(7), Restarts::default());
        let mut judge = |words: &str| {
            let fall = Fall { ended: &CRASH, ready_for: None, hopeless: Some(words.to_owned()) };
            restarts.judge(&plan, fall, Time::default(), &mut random)
        };
        assert!(matches!(judge("no module named x"), Verdict::Again(_)));
        assert!(matches!(judge("no module named y"), Verdict::Again(_)));
        assert_eq!(judge("no module named y"), Verdict::Failed);
    }
}
