//! Answers clients that ask about schedules or change them: the change is written down first, then read in, told to the
//! core and to the history.

use soloist_api::error::{Code, Problem};
use soloist_api::request::Change;
use soloist_api::schedule::{Clear, Done, Edit, Named, Overridden, Override, Schedules};
use soloist_core::event::{Cause, Note, Wanted, What};
use soloist_core::project::Orders;
use soloist_core::state::Word;

use super::answer::ending;
use super::{Driver, now};
use crate::changes;
use crate::inbox::Reply;
use crate::schedules::edit::{self, who};
use crate::schedules::{self, Asked};

impl Driver {
    pub(super) fn schedules(&self) -> Result<Schedules, Problem> {
        let changes = changes::read(&self.layout).map_err(|e| changes::bad(&e))?;
        let now = schedules::now();
        let hours = schedules::hours(self.services.iter().map(|service| &service.declared), now);
        let scheduled = self.services.iter().filter(|service| service.declared.rota.is_some());
        let told = scheduled.filter_map(|service| self.status_by_name(&service.declared.name).ok()).collect();
        Ok(Schedules { hours, ..schedules::of(told, &changes, now) })
    }

    pub(super) fn schedule(&self, name: &str) -> Result<Named, Problem> {
        let found = self.status_by_name(name)?;
        let none = || Problem::new(Code::Usage, format!("{name} has no schedule"));
        let schedule = found.schedule.ok_or_else(none)?;
        Ok(Named { name: found.name, state: found.state, exit: found.exit, schedule })
    }

    pub(super) fn reschedule(&mut self, name: &str, edit: &Edit) -> Result<Done, Problem> {
        self.stay()?;
        let done = edit::edit(&self.layout, name, edit, schedules::now())?;
        self.take_in(&done, who(edit.who.as_ref()));
        Ok(Done { text: done.text, schedule: self.first_schedule(name), run_id: None })
    }

    pub(super) fn override_hours(&mut self, hours: &Override) -> Result<Overridden, Problem> {
        self.stay()?;
        let done = edit::override_hours(&self.layout, hours, schedules::now())?;
        self.take_in(&done, who(hours.who.as_ref()));
        self.overridden(done.text)
    }

    pub(super) fn clear_overrides(&mut self, clear: &Clear) -> Result<Overridden, Problem> {
        self.stay()?;
        let done = edit::clear(&self.layout, clear, schedules::now())?;
        self.take_in(&done, who(clear.who.as_ref()));
        self.overridden(done.text)
    }

    /// One run now of an instance, or of all instances of a keyed service.
    pub(super) fn run_now(&mut self, name: &str, change: Change, reply: Reply<Done>) {
        match self.begin_now(name, change) {
            Ok((done, Some(at))) => self.name_run(at, done, reply),
            Ok((done, None)) => drop(reply.send(Ok(done))),
            Err(problem) => drop(reply.send(Err(problem))),
        }
    }

    /// What was done; and of which instance the run begins as soon as the one before has let go.
    fn begin_now(&mut self, name: &str, change: Change) -> Result<(Done, Option<usize>), Problem> {
        self.stay()?;
        let config = self.reload()?;
        if let Some(one) = edit::instances(&config, name)?.iter().find(|d| d.plan.schedule.is_none()) {
            let what = format!("{} has no schedule that a run could be beside", one.name);
            return Err(Problem::new(Code::Usage, what).hint(format!("`soloist start {name}` starts it")));
        }
        let cause = Cause::User(who(change.who.as_ref()));
        let (mut said, mut run_id, mut coming) = (Vec::new(), None, None);
        for at in self.positions(name) {
            let before = self.project.status(at);
            let mut orders = Orders::new();
            self.project.run(now(), at, cause.clone(), &mut orders);
            let followed = orders.clone();
            self.perform(orders);
            let after = self.project.status(at);
            run_id = run_id.or(after.run);
            let is_coming =
                before.state == Word::Stopping && after.run.is_none() && after.wanted == Wanted::Up;
            coming = coming.or(is_coming.then_some(at));
            said.push(schedules::asked(&Asked {
                name: self.project.name(at),
                plan: &self.services[at].declared.plan,
                before: &before,
                after: &after,
                orders: &followed,
                now: schedules::now(),
            }));
        }
        let run_id = run_id.map(|run| run.to_string());
        let coming = coming.filter(|_| run_id.is_none());
        Ok((Done { text: said.join("\n"), schedule: self.first_schedule(name), run_id }, coming))
    }

    /// A daemon that ends changes nothing any more.
    fn stay(&self) -> Result<(), Problem> {
        if self.is_ending || self.is_leaving() { Err(ending()) } else { Ok(()) }
    }

    /// What was written down counts from now on.
    fn take_in(&mut self, done: &edit::Done, who: String) {
        self.declare(&done.config);
        for (name, words) in &done.told {
            let Some(at) = self.project.position(name) else { continue };
            let note = Note {
                what: What::Rescheduled,
                run: None,
                cause: Some(Cause::User(who.clone())),
                exit: None,
                span: None,
                count: None,
                reason: None,
                words: Some(words.clone()),
            };
            self.add_to_history(at, note);
        }
        let mut orders = Orders::new();
        self.project.expire(now(), &mut orders);
        self.perform(orders);
    }

    fn overridden(&self, text: String) -> Result<Overridden, Problem> {
        let changes = changes::read(&self.layout).map_err(|e| changes::bad(&e))?;
        Ok(Overridden { text, overrides: schedules::overrides(&changes, schedules::now()) })
    }

    fn first_schedule(&self, name: &str) -> soloist_api::schedule::ScheduleStatus {
        let first = self.positions(name).first().and_then(|at| self.status_at(*at).schedule);
        first.unwrap_or_default()
    }
}
