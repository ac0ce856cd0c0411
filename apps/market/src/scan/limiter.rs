//! When the provider may be asked: the arithmetic, on given times. Requests are spread by GCRA (the generic cell rate
//! algorithm, ITU-T I.371), an hour has a cap, and a provider that asked for quiet gets it: the circuit is open.
//! Where the numbers are kept is in `scan/gate`. Times are seconds since 1970.

/// A provider that says nothing is asked again after at most so long.
const BACKOFF_MAX: f64 = 30.0 * 60.0;
/// Longer is no reason to stay away: a clock was set, or the number is nonsense.
const SHUT_MAX: f64 = 24.0 * 3600.0;
const HOUR: f64 = 3600.0;
/// By so much of itself a wait is longer at random, so that many who were refused do not come back at once.
const JITTER: f64 = 0.2;

/// How often the provider may be asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Seconds between two requests in the long run.
    pub interval: f64,
    /// How many may follow at once after a pause.
    pub burst: u32,
    /// How many in any hour.
    pub per_hour: u32,
    /// Seconds of quiet after the first refusal; they double.
    pub backoff: f64,
    /// Seconds after which a probe that nobody answered is tried again.
    pub probe_lease: f64,
}

/// What is known of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Standing {
    /// GCRA's theoretical arrival time.
    pub next_free_at: f64,
    /// The circuit is open until then; 0 when it is closed.
    pub open_until: f64,
    /// The last wait for a refusal; 0 since an answer was good.
    pub backoff: f64,
}

/// Whether a request may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Admission {
    /// Now, and it is counted.
    Go(Permit),
    /// In so many seconds, if nobody else comes first.
    Wait(f64),
    /// Not before then: the provider asked for quiet.
    Shut(f64),
}

/// The right to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// It is the one that tries whether the quiet was long enough.
    pub is_probe: bool,
    /// There was a refusal, and no good answer since.
    pub is_in_doubt: bool,
}

impl Standing {
    /// May a request go now? `asked` are the times of the requests of the last hour, the oldest first.
    pub fn admit(&mut self, rules: &Rules, asked: &[f64], now: f64) -> Admission {
        if let Some(until) = self.shut_until(now) {
            return Admission::Shut(until);
        }
        // Nothing is ever booked further ahead than this, unless the clock was set back.
        let booked = self.next_free_at.min(now + f64::from(rules.burst) * rules.interval);
        let free_at = booked - f64::from(rules.burst.saturating_sub(1)) * rules.interval;
        if now < free_at {
            return Admission::Wait(free_at - now);
        }
        if let Some(oldest) = asked.len().checked_sub(rules.per_hour as usize).and_then(|at| asked.get(at)) {
            return Admission::Wait((oldest.min(now) + HOUR - now).max(0.001));
        }
        self.next_free_at = booked.max(now) + rules.interval;
        let is_probe = self.open_until > 0.0;
        if is_probe {
            self.open_until = now + rules.probe_lease;
        }
        Admission::Go(Permit { is_probe, is_in_doubt: self.backoff > 0.0 })
    }

    /// Until when the circuit is open.
    pub fn shut_until(&self, now: f64) -> Option<f64> {
        (now < self.open_until && self.open_until <= now + SHUT_MAX).then_some(self.open_until)
    }

    /// The provider asked for quiet: for `retry_after` seconds, if it said so. `chance` is between 0 and 1.
    /// Returns until when.
    pub fn refused(
        &mut self,
        rules: &Rules,
        permit: Permit,
        retry_after: Option<f64>,
        chance: f64,
        now: f64,
    ) -> f64 {
        let asked_for = retry_after.unwrap_or(0.0);
        if permit.is_probe || self.shut_until(now).is_none() {
            let doubled = if self.backoff > 0.0 { self.backoff * 2.0 } else { rules.backoff };
            self.backoff = doubled.min(BACKOFF_MAX);
            let wait = self.backoff.max(asked_for) * (1.0 + JITTER * chance);
            self.open_until = now + wait.min(SHUT_MAX);
        } else {
            // Another request was refused before; this one only tells how long.
            self.open_until = self.open_until.max(now + asked_for.min(SHUT_MAX));
        }
        self.open_until
    }

    /// It answered, whatever it said: it talks to us again.
    pub fn answered(&mut self, permit: Permit) {
        if permit.is_probe {
            self.open_until = 0.0;
        }
    }

    /// A good answer: the next refusal counts as the first one. Not if another request was refused meanwhile.
    pub fn served(&mut self, now: f64) {
        if self.shut_until(now).is_none() {
            self.backoff = 0.0;
        }
    }

    /// No answer. A probe without one proves nothing, so the quiet goes on as long as before.
    pub fn failed(&mut self, permit: Permit, now: f64) {
        if permit.is_probe {
            self.open_until = now + self.backoff;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Admission, Permit, Rules, Standing};

    const RULES: Rules = Rules { interval: 2.0, burst: 3, per_hour: 300, backoff: 60.0, probe_lease: 15.0 };
    const PLAIN: Permit = Permit { is_probe: false, is_in_doubt: false };
    const PROBE: Permit = Permit { is_probe: true, is_in_doubt: true };

    proptest! {
        /// Asked at any times, no stretch of seconds ever has more requests than the burst and the interval allow, and
        /// no hour more than its cap; who waits as long as he is told is let in.
        #[test]
        fn no_stretch_has_more_requests_than_allowed(pauses in prop::collection::vec(0.0f64..20.0, 1..600), per_hour in 5u32..60) {
            let rules = Rules { per_hour, ..RULES };
            let (mut standing, mut now, mut asked) = (Standing::default(), 1_000.0, Vec::new());
            for pause in pauses {
                now += pause;
                let recent: Vec<f64> = asked.iter().copied().filter(|at| *at > now - 3600.0).collect();
                match standing.admit(&rules, &recent, now) {
                    Admission::Go(_) => asked.push(now),
                    Admission::Wait(seconds) => {
                        prop_assert!(seconds > 0.0);
                        let later = now + seconds + 1e-6;
                        let recent: Vec<f64> = asked.iter().copied().filter(|at| *at > later - 3600.0).collect();
                        let told = standing.admit(&rules, &recent, later);
                        let is_other_reason = matches!(told, Admission::Wait(_));
                        prop_assert!(is_other_reason || told == Admission::Go(PLAIN));
                        if let Admission::Go(_) = told {
                            (now, _) = (later, asked.push(later));
                        }
                    }
                    Admission::Shut(until) => prop_assert!(false, "shut until {until} without a refusal"),
                }
            }
            for (at, first) in asked.iter().enumerate() {
                let within = |seconds: f64| asked[at..].iter().take_while(|t| **t < first + seconds).count();
                for seconds in [1.0, 10.0, 100.0] {
                    prop_assert!(within(seconds) as f64 <= 3.0 + seconds / 2.0);
                }
                prop_assert!(within(3600.0) <= per_hour as usize);
            }
        }
    }

    #[test]
    fn refusals_double_the_wait_up_to_half_an_hour_and_a_good_answer_ends_that() {
        let (mut standing, mut now) = (Standing::default(), 1_000.0);
        for wait in [60.0, 120.0, 240.0, 480.0, 960.0, 1800.0, 1800.0] {
            let permit = match standing.admit(&RULES, &[], now) {
                Admission::Go(permit) => permit,
                other => panic!("{other:?}"),
            };
            assert_eq!(standing.refused(&RULES, permit, None, 0.0, now), now + wait);
            assert_eq!(standing.admit(&RULES, &[], now + wait - 0.1), Admission::Shut(now + wait));
            now += wait;
        }
        assert_eq!(standing.admit(&RULES, &[], now), Admission::Go(PROBE));
        standing.answered(PROBE);
        standing.served(now);
        assert_eq!(standing.admit(&RULES, &[], now), Admission::Go(PLAIN));
        assert_eq!(standing.refused(&RULES, PLAIN, None, 1.0, now), now + 72.0);
    }

    #[test]
    fn the_provider_is_waited_for_as_long_as_it_says_within_a_day() {
        let refuse = |retry_after| Standing::default().refused(&RULES, PLAIN, Some(retry_after), 0.0, 0.0);
        assert_eq!(refuse(600.0), 600.0);
        assert_eq!(refuse(1.0), 60.0);
        assert_eq!(refuse(1e9), 86_400.0);
    }

    #[test]
    fn there_is_one_probe_and_another_only_when_nobody_answered_it() {
        let mut standing = Standing { open_until: 100.0, backoff: 60.0, ..Standing::default() };
        assert_eq!(standing.admit(&RULES, &[], 100.0), Admission::Go(PROBE));
        assert_eq!(standing.admit(&RULES, &[], 110.0), Admission::Shut(115.0));
        assert_eq!(standing.admit(&RULES, &[], 115.0), Admission::Go(PROBE));
        standing.failed(PROBE, 116.0);
        assert_eq!(standing.admit(&RULES, &[], 175.9), Admission::Shut(176.0));
    }

    #[test]
    fn two_refusals_of_requests_under_way_count_once() {
        let mut standing = Standing::default();
        assert_eq!(standing.refused(&RULES, PLAIN, None, 0.0, 10.0), 70.0);
        assert_eq!(standing.refused(&RULES, PLAIN, Some(100.0), 0.0, 11.0), 111.0);
        assert_eq!(standing.backoff, 60.0);
        // A good answer to a third that was under way does not make the next wait short again.
        standing.served(12.0);
        assert_eq!(standing.backoff, 60.0);
    }

    #[test]
    fn a_clock_that_was_set_back_shuts_nobody_out() {
        let mut standing = Standing { next_free_at: 1e6, ..Standing::default() };
        assert_eq!(standing.admit(&RULES, &[], 10.0), Admission::Wait(2.0));
        let standing = Standing { open_until: 1e9, backoff: 60.0, ..Standing::default() };
        assert_eq!(standing.shut_until(10.0), None);
    }
}
