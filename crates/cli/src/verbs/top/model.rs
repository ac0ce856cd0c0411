//! What `top` shows, and what follows from an action: which service is chosen, what is filtered, what is asked. It knows
//! neither terminal nor daemon.

use jiff::Timestamp;
use soloist_api::status::ServiceStatus;

use crate::feed::{News, View};

/// What the keys mean now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A service is chosen.
    List,
    /// The filter is typed.
    Filter,
    /// Whether to stop this one is asked.
    Asked(String),
    /// The help is read.
    Help,
}

/// What somebody at the keys wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// So many rows down; negative: up.
    Move(isize),
    /// The log of the chosen one, or no more.
    Log,
    /// `start`, `restart` or `run` for the chosen one.
    Order(&'static str),
    /// Ask whether to stop the chosen one.
    AskToStop,
    /// Pause the schedule of the chosen one, or resume it.
    Pause,
    /// Type a filter.
    Filter,
    /// A letter of it.
    Type(char),
    /// One letter less.
    Erase,
    /// Yes.
    Accept,
    /// No; back.
    Cancel,
    /// Show the keys.
    Help,
    /// Draw everything anew.
    Redraw,
    /// The end.
    Quit,
}

/// What is to be done about it outside of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `start`, `stop`, `restart`, `run`, `pause` or `resume` this service.
    Order(&'static str, String),
    /// Draw everything anew.
    Redraw,
    /// End.
    Quit,
}

/// Everything that is on the screen, and nothing of the screen.
#[derive(Debug)]
pub struct Model {
    /// Daemon and services.
    pub view: View,
    /// What the keys mean.
    pub mode: Mode,
    /// Only services with this in their name or state.
    pub filter: String,
    /// Whether the log of the chosen one is shown.
    pub has_log: bool,
    /// What came of the last order.
    pub said: Option<String>,
    chosen: Option<String>,
    /// Its row, in case that it vanishes.
    row: usize,
}

impl Model {
    /// With nothing in it yet.
    pub fn new() -> Model {
        Model {
            view: View::new(),
            mode: Mode::List,
            filter: String::new(),
            has_log: false,
            said: None,
            chosen: None,
            row: 0,
        }
    }

    /// Takes news in.
    pub fn take(&mut self, news: News, now: Timestamp) {
        self.view.take(news, now);
        self.choose();
    }

    /// The services that the filter lets through, in their order.
    pub fn services(&self) -> Vec<&ServiceStatus> {
        let wanted = self.filter.to_lowercase();
        let is_meant = |service: &&ServiceStatus| {
            service.name.to_lowercase().contains(&wanted) || service.state.contains(&wanted)
        };
        self.view.status.services.iter().filter(is_meant).collect()
    }

    /// The row of the chosen one.
    pub fn row(&self) -> usize {
        self.row
    }

    /// The chosen one.
    pub fn chosen(&self) -> Option<&ServiceStatus> {
        self.services().get(self.row).copied()
    }

    /// Takes an action in, and says what else is to be done.
    pub fn act(&mut self, action: Action) -> Option<Wish> {
        self.said = None;
        match action {
            Action::Move(by) => self.choose_row(self.row.saturating_add_signed(by)),
            Action::Log => self.has_log = !self.has_log && self.chosen.is_some(),
            Action::Order(verb) => return Some(Wish::Order(verb, self.chosen.clone()?)),
            Action::AskToStop => self.mode = Mode::Asked(self.chosen.clone()?),
            Action::Pause => return self.pause(),
            Action::Filter => self.mode = Mode::Filter,
            Action::Type(c) => {
                self.filter.push(c);
                self.choose();
            }
            Action::Erase => {
                self.filter.pop();
                self.choose();
            }
            Action::Accept => {
                if let Mode::Asked(name) = std::mem::replace(&mut self.mode, Mode::List) {
                    return Some(Wish::Order("stop", name));
                }
            }
            Action::Cancel => self.cancel(),
            Action::Help => self.mode = Mode::Help,
            Action::Redraw => return Some(Wish::Redraw),
            Action::Quit => return Some(Wish::Quit),
        }
        None
    }

    fn pause(&mut self) -> Option<Wish> {
        let service = self.chosen()?;
        let name = service.name.clone();
        match &service.schedule {
            Some(schedule) => Some(Wish::Order(if schedule.paused { "resume" } else { "pause" }, name)),
            None => {
                self.said = Some(format!("{name} has no schedule that could be paused"));
                None
            }
        }
    }

    /// One step back.
    fn cancel(&mut self) {
        match std::mem::replace(&mut self.mode, Mode::List) {
            Mode::Asked(_) | Mode::Help => {}
            Mode::List if self.has_log => self.has_log = false,
            Mode::List | Mode::Filter => {
                self.filter.clear();
                self.choose();
            }
        }
    }

    /// Keeps the chosen one; if it is not there any more, the one in its row.
    fn choose(&mut self) {
        let known = self.services().iter().position(|service| Some(&service.name) == self.chosen.as_ref());
        self.choose_row(known.unwrap_or(self.row));
    }

    fn choose_row(&mut self, row: usize) {
        let services = self.services();
        let row = row.min(services.len().saturating_sub(1));
        let chosen = services.get(row).map(|service| service.name.clone());
        (self.row, self.chosen) = (row, chosen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::tests::{all, service};

    fn model(names: &[&str]) -> Model {
        let mut model = Model::new();
        let services = names.iter().map(|name| service(name, "ready", 1)).collect();
        model.take(all(true, services), Timestamp::UNIX_EPOCH);
        model
    }

    fn chosen(model: &Model) -> &str {
        model.chosen().map_or("", |service| &service.name)
    }

    #[test]
    fn one_moves_within_the_list() {
        let mut model = model(&["api", "db", "scan"]);
        for (by, then) in [(-1, "api"), (1, "db"), (10, "scan"), (isize::MIN, "api"), (isize::MAX, "scan")] {
            model.act(Action::Move(by));
            assert_eq!(chosen(&model), then, "after {by}");
        }
    }

    #[test]
    fn the_chosen_one_stays_chosen_when_others_come_and_go() {
        let mut model = model(&["api", "db", "scan"]);
        model.act(Action::Move(1));
        let now = Timestamp::UNIX_EPOCH;
        model.take(all(true, vec![service("db", "ready", 2), service("scan", "ready", 2)]), now);
        assert_eq!(chosen(&model), "db");
        model.take(all(true, vec![service("scan", "ready", 3)]), now);
        assert_eq!(chosen(&model), "scan", "it has gone: the one in its place");
        model.take(all(true, Vec::new()), now);
        assert_eq!(chosen(&model), "");
        assert_eq!(model.act(Action::Order("start")), None);
        assert_eq!((model.act(Action::AskToStop), &model.mode), (None, &Mode::List), "nothing to ask about");
    }

    #[test]
    fn a_stop_is_asked_about_and_means_the_one_it_was_asked_about() {
        let mut model = model(&["api", "db"]);
        assert_eq!(model.act(Action::AskToStop), None);
        assert_eq!(model.act(Action::Cancel), None);
        assert_eq!(model.act(Action::Accept), None, "there is no question any more");
        model.act(Action::AskToStop);
        model.take(all(true, vec![service("db", "ready", 2)]), Timestamp::UNIX_EPOCH);
        assert_eq!(model.act(Action::Accept), Some(Wish::Order("stop", "api".to_owned())));
    }

    #[test]
    fn the_filter_looks_at_names_and_states() {
        let mut model = model(&["api", "db"]);
        model.take(News::One(Box::new(service("scan", "failed", 1))), Timestamp::UNIX_EPOCH);
        model.act(Action::Filter);
        "FAIL".chars().for_each(|c| assert_eq!(model.act(Action::Type(c)), None));
        model.act(Action::Accept);
        assert_eq!((chosen(&model), model.services().len()), ("scan", 1));
        model.act(Action::Cancel);
        assert_eq!((chosen(&model), model.services().len()), ("scan", 3), "and it stays chosen");
    }

    #[test]
    fn a_schedule_is_paused_and_resumed() {
        let mut model = model(&["api"]);
        assert_eq!(model.act(Action::Pause), None);
        assert!(model.said.as_ref().unwrap().contains("no schedule"));
        for (is_paused, verb) in [(false, "pause"), (true, "resume")] {
            let mut scan = service("api", "scheduled", 2 + u64::from(is_paused));
            scan.schedule = Some(soloist_api::schedule::ScheduleStatus {
                paused: is_paused,
                ..soloist_api::schedule::ScheduleStatus::default()
            });
            model.take(News::One(Box::new(scan)), Timestamp::UNIX_EPOCH);
            assert_eq!(model.act(Action::Pause), Some(Wish::Order(verb, "api".to_owned())));
        }
    }

    #[test]
    fn escape_closes_the_log_before_it_drops_the_filter() {
        let mut model = model(&["api", "db"]);
        model.act(Action::Type('d'));
        model.act(Action::Log);
        model.act(Action::Cancel);
        assert_eq!((model.has_log, model.filter.as_str()), (false, "d"));
        model.act(Action::Cancel);
        assert_eq!(model.filter, "");
    }
}
