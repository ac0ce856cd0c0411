//! Signals that a client sends by hand, and how an instance is declared.

use soloist_api::error::{Code, Problem};
use soloist_api::status::ServiceStatus;
use soloist_api::watch::{Config, Signal};
use soloist_core::event::{Cause, Note, What};
use soloist_os::guard::Order;
use soloist_os::identity::{signal_name, signal_number};

use super::{Driver, answer};
use crate::declaration;

impl Driver {
    /// Has the guard of an instance send a signal to the main process, and to nobody else: being its parent, the guard
    /// cannot take another process for it.
    pub(super) fn signal(&mut self, name: &str, asked: Signal) -> Result<ServiceStatus, Problem> {
        if self.is_ending || self.is_leaving() {
            return Err(answer::ending());
        }
        let Some(signal) = signal_number(&asked.signal) else {
            let what = format!("there is no signal {:?} that can be sent", asked.signal);
            return Err(Problem::new(Code::Usage, what).hint("such as HUP, USR1, USR2, TERM, INT, WINCH"));
        };
        // Unknown names are told with the nearest one.
        let status = self.status_by_name(name)?;
        let at = self.project.position(name).filter(|at| self.project.status(*at).pid.is_some());
        let Some((at, claim)) = at.and_then(|at| Some((at, self.project.instance(at).claim()?))) else {
            let what = format!("{name} has no main process here; it is {}", status.state);
            return Err(
                Problem::new(Code::NotRunning, what).hint(format!("`soloist start {name}` starts it"))
            );
        };
        self.order(claim, &Order::Signal { signal });
        let note = Note {
            what: What::Signalled,
            run: self.project.status(at).run,
            cause: Some(Cause::User(asked.who.unwrap_or_else(|| "a client".to_owned()))),
            exit: None,
            span: None,
            count: None,
            reason: None,
            words: Some(signal_name(signal).to_owned()),
        };
        self.add_to_history(at, note);
        Ok(status)
    }

    pub(super) fn declaration(&self, name: &str) -> Result<Config, Problem> {
        let status = self.status_by_name(name)?;
        let at = self.project.position(name).ok_or_else(|| {
            let what = format!("{name} is not declared: it was started by `soloist run`");
            Problem::new(Code::UnknownService, what)
        })?;
        Ok(declaration::told(&self.services[at].declared, status.schedule))
    }
}
