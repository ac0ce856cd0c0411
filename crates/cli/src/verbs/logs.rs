//! `soloist logs [NAME…]`: what services wrote, and what they write from now on; also what their lanes wrote, and their
//! standard error where it is kept apart. Reads the files itself: no daemon is needed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use soloist_api::error::{Code, Problem};
use soloist_daemon::config::Config;
use soloist_daemon::log_files::{error_log_of, logs_in};
use soloist_daemon::logs::lines::{Line, Lines, Wish, is_match, pattern};
use soloist_daemon::logs::mask::Mask;
use soloist_daemon::logs::{Position, Seen, Start, Tail, instance_of};
use soloist_daemon::runs;

use crate::arguments::Logs;
use crate::printer::Printer;
use crate::project::Project;

/// How often a followed log is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often logs are looked for that were not there.
const LOOK_FOR_MORE: Duration = Duration::from_secs(1);
/// A longer line is not awaited.
const LINE_MAX: usize = 1 << 20;
/// The end of a line is awaited for so long.
const PROMPT: Duration = Duration::from_secs(3);
/// So many pieces of one log are shown before others have their turn.
const TURNS: usize = 16;
/// So many bytes are written at once.
const BLOCK: usize = 64 * 1024;

/// Exit code 4 for a service nobody knows.
pub fn logs(project: &Project, printer: &Printer, asked: Logs) -> Result<i32, Problem> {
    // Each log that is read needs a descriptor, and there may be a thousand services.
    let most = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: most.maximum, ..most });
    let config = project.config_or_empty();
    if let (Err(problem), false) = (&config, asked.raw) {
        printer.problem(problem);
        printer.remark("its patterns of secrets (`mask`) are not known: only well-known secrets are masked");
    }
    let milliseconds = |at: Timestamp| u64::try_from(at.as_millisecond()).unwrap_or(0);
    let wish = Wish {
        lines: asked.lines,
        since: asked.since.map(milliseconds),
        until: asked.until.map(milliseconds),
        grep: asked.grep.as_deref().map(pattern).transpose()?,
    };
    let out = if asked.no_color { printer.without_colours() } else { *printer };
    let mut view =
        View { project, out, config: config.ok(), asked, wish, sources: BTreeMap::new(), block: Vec::new() };
    view.find()?;
    // An error of the output means that nobody reads any more.
    let past = view.past()?;
    if !view.asked.follow || past.is_err() {
        return Ok(0);
    }
    view.follow()
}

/// What is shown, and how.
struct View<'a> {
    project: &'a Project,
    out: Printer,
    /// None: it is faulty.
    config: Option<Config>,
    asked: Logs,
    wish: Wish,
    /// By the names of their logs.
    sources: BTreeMap<String, Source>,
    /// What is to be written.
    block: Vec<u8>,
}

/// One log.
struct Source {
    path: PathBuf,
    /// Standard error is kept apart.
    is_split: bool,
    mask: Mask,
    /// Where it is followed from.
    at: Position,
    /// A line whose end is awaited, and since when.
    open: Option<(Position, Vec<u8>, Instant)>,
}

/// A line as JSON.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    line: &'a str,
    seq: u64,
    offset: u64,
}

impl View<'_> {
    /// Finds the logs that are asked for, and says which names are nobody's.
    fn find(&mut self) -> Result<(), Problem> {
        let logs = self.project.layout.log("x");
        let found = logs.parent().map(logs_in).transpose();
        let found = match found {
            Ok(found) => found.unwrap_or_default(),
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(unreadable(&logs, &e)),
        };
        for path in found {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else {
                continue;
            };
            if !self.sources.contains_key(&name) && self.is_asked_for(instance_of(&name)) {
                let out = name
                    .strip_suffix("~err")
                    .map_or_else(|| path.clone(), |out| self.project.layout.log(out));
                let is_split = error_log_of(&out).exists();
                let at = Start::Beginning.place(&path).map_err(|e| unreadable(&path, &e))?;
                let mask = self.mask(&name);
                self.sources.insert(name, Source { path, is_split, mask, at, open: None });
            }
        }
        for name in &self.asked.names {
            if !self.sources.keys().any(|log| is_of(name, instance_of(log))) {
                self.must_be_awaited(name)?;
            }
        }
        Ok(())
    }

    fn is_asked_for(&self, instance: &str) -> bool {
        let is_declared = |config: &Config| config.declared.iter().any(|declared| declared.name == instance);
        match self.asked.names.is_empty() {
            true => self.config.as_ref().is_none_or(is_declared),
            false => self.asked.names.iter().any(|name| is_of(name, instance)),
        }
    }

    /// Who has written nothing is waited for only where somebody waits.
    fn must_be_awaited(&self, name: &str) -> Result<(), Problem> {
        let config = self.project.config_or_empty()?;
        if !config.declared.iter().any(|declared| is_of(name, &declared.name)) {
            return Err(runs::unknown(name, &config));
        }
        if self.asked.follow {
            return Ok(());
        }
        let path = self.project.layout.log(name);
        let said = format!("{name} has written nothing yet: {} does not exist", path.display());
        Err(Problem::new(Code::NotRunning, said).hint(format!("`soloist start {name}` starts it")))
    }

    fn mask(&self, name: &str) -> Mask {
        match self.asked.raw {
            true => Mask::off(),
            false => Mask::of(self.config.as_ref(), instance_of(name)),
        }
    }

    /// Shows what was written, all logs in the order of their times; within one time each in its own.
    fn past(&mut self) -> Result<std::io::Result<()>, Problem> {
        let mut logs = Vec::new();
        for (name, source) in &mut self.sources {
            let lines = Lines::of(&source.path, &self.wish, source.mask.clone());
            let lines = lines.map_err(|e| unreadable(&source.path, &e))?;
            source.at = lines.end();
            logs.push(Past { name: name.clone(), lines: lines.peekable(), time: 0 });
        }
        let earliest = |logs: &mut Vec<Past>| {
            let times = logs.iter_mut().enumerate().filter_map(|(at, log)| Some((log.time()?, at)));
            times.min().map(|(_, at)| at)
        };
        while let Some(next) = earliest(&mut logs) {
            let Past { name, lines, .. } = &mut logs[next];
            let path = self.project.layout.log(name);
            let Some(line) = lines.next().transpose().map_err(|e| unreadable(&path, &e))? else { continue };
            if self.asked.follow && !line.bytes.ends_with(b"\n") && lines.peek().is_none() {
                // Its end is awaited.
                self.sources.entry(name.clone()).and_modify(|source| source.at = line.at);
                continue;
            }
            self.show(name, line);
            if let Err(e) = self.flush(BLOCK) {
                return Ok(Err(e));
            }
        }
        Ok(self.flush(0))
    }

    /// Shows what is written until nobody reads it any more.
    fn follow(&mut self) -> Result<i32, Problem> {
        let mut looked_for = Instant::now();
        let mut tails: BTreeMap<String, Tail> = BTreeMap::new();
        loop {
            for (name, source) in &mut self.sources {
                if !tails.contains_key(name) {
                    let tail = Tail::from(&source.path, Start::At(source.at), Mask::off());
                    tails.insert(name.clone(), tail.map_err(|e| unreadable(&source.path, &e))?.patient());
                }
            }
            let mut is_more = false;
            for (name, tail) in &mut tails {
                for turn in 0..TURNS {
                    let seen =
                        tail.look_at_bytes().map_err(|e| unreadable(&self.project.layout.log(name), &e))?;
                    let Some(seen) = seen else {
                        if !tail.is_mid_line() {
                            self.show_prompt(name);
                        }
                        break;
                    };
                    self.take(name, seen);
                    if self.flush(BLOCK).is_err() {
                        return Ok(0);
                    }
                    is_more |= turn + 1 == TURNS;
                }
            }
            let pause = if is_more { Duration::ZERO } else { LOOK_AGAIN };
            if self.flush(0).is_err() || self.out.is_left(pause) {
                return Ok(0);
            }
            if looked_for.elapsed() >= LOOK_FOR_MORE {
                self.find()?;
                looked_for = Instant::now();
            }
        }
    }

    fn take(&mut self, name: &str, seen: Seen) {
        let Seen::Bytes { bytes, mut at, .. } = seen else {
            self.end_line(name);
            self.out.remark(&format!("{name}: some of its log was deleted before it was shown"));
            return;
        };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(source) = self.sources.get_mut(name) else { return };
            let (_, line, since) = source.open.get_or_insert_with(|| (at, Vec::new(), Instant::now()));
            line.extend_from_slice(part);
            *since = Instant::now();
            if part.ends_with(b"\n") || line.len() >= LINE_MAX {
                self.end_line(name);
            }
            at.offset += part.len() as u64;
        }
    }

    /// Shows a line without end if no more of it comes. Among others it could not go on later.
    fn show_prompt(&mut self, name: &str) {
        let awaited = if self.is_alone() { Duration::ZERO } else { PROMPT };
        let open = self.sources.get(name).and_then(|source| source.open.as_ref());
        if open.is_some_and(|(_, _, since)| since.elapsed() >= awaited) {
            self.end_line(name);
        }
    }

    /// Its bytes are shown as they are.
    fn is_alone(&self) -> bool {
        !self.asked.json && self.asked.names.len() == 1 && self.sources.len() == 1
    }

    /// Shows a line that was awaited, as far as it came.
    fn end_line(&mut self, name: &str) {
        let Some(source) = self.sources.get_mut(name) else { return };
        let Some((at, bytes, _)) = source.open.take() else { return };
        let bytes = source.mask.lines(&bytes).into_owned();
        if self.wish.grep.as_ref().is_none_or(|grep| is_match(grep, &bytes)) {
            let time = u64::try_from(Timestamp::now().as_millisecond()).ok();
            self.show(name, Line { at, time, bytes });
        }
    }

    fn show(&mut self, name: &str, line: Line) {
        let Some(source) = self.sources.get(name) else { return };
        if self.asked.json {
            let text = String::from_utf8_lossy(&line.bytes);
            let (service, stream) = match name.strip_suffix("~err") {
                Some(service) => (service, Some("err")),
                None => (name, source.is_split.then_some("out")),
            };
            let told = Told {
                time: line.time.and_then(|at| Timestamp::from_millisecond(i64::try_from(at).ok()?).ok()),
                service,
                stream,
                line: text.trim_end_matches(['\r', '\n']),
                seq: line.at.seq,
                offset: line.at.offset,
            };
            self.block.extend(serde_json::to_vec(&told).unwrap_or_default());
        } else if self.is_alone() {
            self.block.extend(line.bytes);
            return;
        } else {
            let width = self.sources.keys().map(String::len).max().unwrap_or(0);
            self.block.extend(format!("{} | ", self.out.name(name, width)).bytes());
            self.block.extend(line.bytes);
        }
        if !self.block.ends_with(b"\n") {
            self.block.push(b'\n');
        }
    }

    /// Writes what there is, if it is as much as that.
    fn flush(&mut self, least: usize) -> std::io::Result<()> {
        if self.block.len() <= least {
            return Ok(());
        }
        let written = self.out.bytes(&self.block);
        self.block.clear();
        written
    }
}

/// What one log has, to be put in the order of times.
struct Past {
    name: String,
    lines: Peekable<Lines>,
    /// That of its last line; the clock may be set back, its order stays.
    time: u64,
}

impl Past {
    /// The time of the next line; one whose time is not known goes before all.
    fn time(&mut self) -> Option<u64> {
        if let Ok(line) = self.lines.peek()? {
            self.time = self.time.max(line.time.unwrap_or(0));
        }
        Some(self.time)
    }
}

/// Whether an instance is the one of this name, or one of this keyed service.
fn is_of(name: &str, instance: &str) -> bool {
    instance == name || instance.split_once('@').is_some_and(|(service, _)| service == name)
}

fn unreadable(path: &Path, e: &std::io::Error) -> Problem {
    Problem::new(Code::Error, format!("cannot read {}: {e}", path.display()))
}
