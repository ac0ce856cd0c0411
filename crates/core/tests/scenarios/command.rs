//! One line of a story, cut into words: `held api by="pid 7" ask=1`.

use std::time::Duration;

use soloist_core::event::Exit;
use soloist_core::plan::{Condition, Kind, Need, OverMemory, Plan, Probe, Restart, Strategy};

use super::schedule;

/// A command: its verb, whom it is about, and the rest.
#[derive(Debug)]
pub struct Command {
    pub verb: String,
    pub name: String,
    flags: Vec<String>,
    values: Vec<(String, String)>,
}

impl Command {
    pub fn read(line: &str) -> Result<Command, String> {
        let mut words = cut(line).into_iter();
        let verb = words.next().ok_or("a verb is missing")?;
        let name = words.next().ok_or("a name is missing")?;
        let (mut flags, mut values) = (Vec::new(), Vec::new());
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => values.push((key.to_owned(), value.to_owned())),
                None => flags.push(word),
            }
        }
        Ok(Command { verb, name, flags, values })
    }

    pub fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f == flag)
    }

    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// Whether it has any of these keys.
    pub fn has_any(&self, keys: &[&str]) -> bool {
        self.values.iter().any(|(key, _)| keys.contains(&key.as_str()))
    }

    pub fn text(&self, key: &str) -> String {
        self.value(key).unwrap_or("not said").to_owned()
    }

    pub fn number(&self, key: &str) -> Result<Option<u64>, String> {
        self.value(key)
            .map(|value| value.parse().map_err(|_| format!("{key}={value} is no number")))
            .transpose()
    }

    /// How something ended: `code=1` or `signal=9`.
    pub fn exit(&self) -> Result<Option<Exit>, String> {
        let (code, signal) = (self.number("code")?, self.number("signal")?);
        Ok(code.map(|code| Exit::Code(code as i32)).or(signal.map(|signal| Exit::Signal(signal as i32))))
    }

    /// `strategy rest-for-one`.
    pub fn strategy(&self) -> Result<Strategy, String> {
        match self.name.as_str() {
            "one-for-one" => Ok(Strategy::OneForOne),
            "rest-for-one" => Ok(Strategy::RestForOne),
            "one-for-all" => Ok(Strategy::OneForAll),
            other => Err(format!("`{other}` is no strategy")),
        }
    }

    /// A declaration: `service api port=8001 needs=db grace=5s restart=on-failure:3`.
    pub fn plan(&self) -> Result<Plan, String> {
        let mut plan = Plan::default();
        if self.verb == "job" {
            plan.kind = Kind::Job;
        }
        plan.schedule = schedule::read(self)?;
        for (key, value) in &self.values {
            match key.as_str() {
                "print" => {}
                key if schedule::KEYS.contains(&key) => {}
                "notify" => plan.notifies = true,
                "stand-in" => plan.stand_in = Some(value.clone()),
                "startup" => plan.startup = Some(probe(value)?),
                "readiness" => plan.readiness = Some(probe(value)?),
                "liveness" => plan.liveness = Some(probe(value)?),
                "watchdog" => plan.watchdog = Some(span(value)?),
                "max-runtime" => plan.max_runtime = Some(span(value)?),
                "over-memory" => {
                    plan.over_memory = if value == "stop" { OverMemory::Stop } else { OverMemory::Restart }
                }
                "prevent" => {
                    plan.prevent_codes.push(value.parse().map_err(|_| format!("{value} is no code"))?)
                }
                "spares" => {
                    let (first, last) = value.split_once('-').ok_or("spares are FIRST-LAST")?;
                    let number = |text: &str| text.parse().map_err(|_| format!("{text} is no port"));
                    let of = *plan.ports.last().ok_or("the spare ports of which port?")?;
                    plan.spares.push((of, number(first)?..=number(last)?));
                }
                "port" => plan.ports.push(value.parse().map_err(|_| format!("{value} is no port"))?),
                "needs" => plan.needs = value.split(',').map(need).collect::<Result<_, _>>()?,
                "grace" => plan.stop_grace = span(value)?,
                "ready-timeout" => plan.ready_timeout = span(value)?,
                "limit" => plan.limit.count = value.parse().map_err(|_| format!("{value} is no number"))?,
                "restart" => plan.restart = restart(value)?,
                _ => return Err(format!("`{key}` is not known")),
            }
        }
        Ok(plan)
    }
}

/// The period, and after a slash how many failures in a row fail it: `2s`, `2s/1`.
fn probe(text: &str) -> Result<Probe, String> {
    let (period, failures) = text.split_once('/').unwrap_or((text, "3"));
    let failure_threshold = failures.parse().map_err(|_| format!("{failures} is no number"))?;
    Ok(Probe { period: span(period)?, failure_threshold, ..Probe::default() })
}

/// `db`, or `db:started`.
fn need(text: &str) -> Result<Need, String> {
    let (on, until) = text.split_once(':').unwrap_or((text, "ready"));
    let until = match until {
        "started" => Condition::Started,
        "ready" => Condition::Ready,
        "completed" => Condition::Completed,
        "completed-successfully" => Condition::CompletedSuccessfully,
        _ => return Err(format!("`{until}` is no condition")),
    };
    Ok(Need { on: on.to_owned(), until })
}

fn restart(text: &str) -> Result<Restart, String> {
    match text.split_once(':').unwrap_or((text, "")) {
        ("no", _) => Ok(Restart::No),
        ("always", _) => Ok(Restart::Always),
        ("on-success", _) => Ok(Restart::OnSuccess),
        ("on-abnormal", _) => Ok(Restart::OnAbnormal),
        ("on-failure", "") => Ok(Restart::OnFailure(None)),
        ("on-failure", most) => {
            Ok(Restart::OnFailure(Some(most.parse().map_err(|_| format!("{most} is no number"))?)))
        }
        _ => Err(format!("`{text}` is no policy")),
    }
}

/// `5s`, `250ms`, `8h`.
pub fn span(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let read = |(unit, ms): (&str, u64)| {
        text.strip_suffix(unit)?.parse().ok().map(|n: u64| Duration::from_millis(n * ms))
    };
    units.into_iter().find_map(read).ok_or_else(|| format!("{text} is no time"))
}

/// At spaces, except between quotation marks.
fn cut(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            _ => words.iter_mut().last().into_iter().for_each(|word| word.push(letter)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
