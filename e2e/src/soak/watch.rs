//! Looks all the time whether what is wanted is there, and measures how long what fell is away beyond what its
//! declaration allows.

use std::time::Duration;

use super::cast::{Character, Part};
use super::deeds::holder;
use super::stage::{Stage, Wanted, lock};
use crate::Identity;
use crate::puppet::journal::{Journal, now};

/// Beyond its backoff a service may be away for the way of a start through daemon, guard and shell …
const MARGIN: Duration = Duration::from_secs(2);
/// … for each daemon or guard that was killed meanwhile another one must find its way …
const A_KILL: Duration = Duration::from_secs(2);
/// … and a machine on which a process takes so long to be started and to end takes so many times that for each.
const LATENESS: u32 = 30;
/// What is away for so long beyond that is told at once.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// One time that something was away.
#[derive(Clone, Debug, PartialEq)]
pub struct Absence {
    /// Who.
    pub name: String,
    /// From when until when, in nanoseconds of CLOCK_MONOTONIC.
    pub from: u64,
    /// See `from`.
    pub until: u64,
    /// How long it may be away by its declaration.
    pub back_within: Duration,
    /// How long that was disturbed: stopped processes, a full disk.
    pub disturbed: Duration,
    /// How many daemons and guards of its own were killed meanwhile.
    pub kills: u32,
    /// How late the machine was.
    pub lateness: Duration,
}

impl Absence {
    /// How much longer than its declaration and what disturbed it allow.
    pub fn beyond(&self) -> Duration {
        Duration::from_nanos(self.until.saturating_sub(self.from))
            .saturating_sub(self.back_within + self.disturbed)
    }

    /// What is granted beyond that.
    pub fn margin(&self) -> Duration {
        MARGIN + A_KILL * self.kills + self.lateness * LATENESS
    }

    /// What is wrong with it.
    pub fn verdict(&self) -> Option<String> {
        (self.beyond() > self.margin()).then(|| {
            format!(
                "late return: `{}` was away for {:?}, {:?} beyond its backoff, with {} kills meanwhile on a machine that is {:?} late",
                self.name,
                Duration::from_nanos(self.until - self.from),
                self.beyond(),
                self.kills,
                self.lateness
            )
        })
    }
}

/// Returns the latest of all returns.
pub fn watch(stage: &Stage) -> Option<Absence> {
    let mut eyes: Vec<Eye> = stage.parts.iter().map(Eye::new).collect();
    let mut worst: Option<Absence> = None;
    while !stage.is_over() {
        for (eye, wanted) in eyes.iter_mut().zip(&stage.wanted) {
            let wanted = *lock(wanted);
            let Some(absence) = eye.look(stage, wanted) else { continue };
            if let Some(words) = absence.verdict() {
                stage.find(words);
            }
            if worst.as_ref().is_none_or(|worst| absence.beyond() > worst.beyond()) {
                worst = Some(absence);
            }
        }
        stage.pause(50);
    }
    worst
}

/// What is known of one part.
struct Eye<'a> {
    part: &'a Part,
    known: Option<Identity>,
    runs: u64,
    away_since: Option<u64>,
    is_told: bool,
}

impl<'a> Eye<'a> {
    fn new(part: &'a Part) -> Eye<'a> {
        Eye { part, known: None, runs: 0, away_since: None, is_told: false }
    }

    /// The absence that has just ended, or that is too long to wait for its end.
    fn look(&mut self, stage: &Stage, wanted: Wanted) -> Option<Absence> {
        let Wanted::Up(since) = wanted else {
            (self.away_since, self.is_told) = (None, false);
            return None;
        };
        let is_here = self.is_here();
        let at = now();
        let from = self.away_since.map(|from| from.max(since));
        if is_here {
            self.away_since = None;
            let was_told = std::mem::take(&mut self.is_told);
            return from.filter(|_| !was_told).map(|from| self.absence(stage, from, at));
        }
        let from = *self.away_since.insert(from.unwrap_or(at));
        let absence = self.absence(stage, from, at);
        if absence.beyond() > absence.margin() + GIVEN_UP && !self.is_told {
            self.is_told = true;
            return Some(absence);
        }
        None
    }

    fn is_here(&mut self) -> bool {
        if matches!(self.part.character, Character::Job(_)) {
            // Each run writes.
            let file =
                self.part.token.as_ref().map(|token| Journal::beside(token)).or(self.part.lifeline.clone());
            let length = file.and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len());
            return std::mem::replace(&mut self.runs, length) != length;
        }
        let Some(token) = &self.part.token else { return true };
        if self.known.is_none_or(|known| !known.is_alive()) {
            self.known = holder(token).filter(Identity::is_alive);
        }
        self.known.is_some()
    }

    fn absence(&self, stage: &Stage, from: u64, until: u64) -> Absence {
        let all = lock(&stage.disturbances);
        let near = all.iter().rev().take(200);
        let meanwhile = near.filter(|one| one.of.as_ref().is_none_or(|name| *name == self.part.name));
        // What happened just before is why it fell.
        let just_before = from.saturating_sub(1_000_000_000);
        let (mut disturbed, mut kills) = (0, 0);
        for one in meanwhile.filter(|one| one.until >= just_before && one.from <= until) {
            if one.from == one.until {
                kills += 1;
            } else {
                disturbed += one.until.min(until).saturating_sub(one.from.max(from));
                kills += 1;
            }
        }
        drop(all);
        Absence {
            name: self.part.name.clone(),
            from,
            until,
            back_within: self.part.back_within(),
            disturbed: Duration::from_nanos(disturbed),
            kills,
            lateness: stage.lateness(from, until),
        }
    }
}
