//! Reads the value of a key into its declaration; what takes more than its value is put together in `draft.rs`.
//! Tells of keys that have no place where they stand.

use soloist_os::guard::OnDaemonExit;

use super::diagnostic::{Problems, Span, plain, quoted};
use super::draft::{Draft, SERVICE_KEYS, Section};
use super::duration::{self, Zero};
use super::instances::{self, Site};
use super::schedules::{JOB_KEYS, TRIGGER_KEYS};
use super::settings::{self, choice, set};
use super::tree::Value;
use super::{Scope, limits, log, needs, program, watched};

const SCOPES: &[(&str, Scope)] = &[("project", Scope::Project), ("machine", Scope::Machine)];
const DAEMON_EXITS: &[(&str, OnDaemonExit)] = &[("keep", OnDaemonExit::Keep), ("stop", OnDaemonExit::Stop)];

/// Reports a key that has no place in its section.
pub(super) fn misplaced(
    section: Section,
    known: &[&str],
    name_span: &Span,
    key: &str,
    key_span: &Span,
    value: &Value<'_>,
    problems: &mut Problems<'_>,
) -> bool {
    if known.contains(&key) {
        return false;
    }
    let name = plain(problems.source(name_span));
    match section {
        Section::Services if TRIGGER_KEYS.contains(&key) => {
            let help =
                format!("move it to [jobs.{name}], or tick a worker that lives on: `trigger = \"stdin\"`");
            problems.add(key_span.clone(), format!("{} belongs to jobs", quoted(key)), help);
        }
        Section::Services if JOB_KEYS.contains(&key) => {
            let help = format!("a service runs on; declare it under [jobs.{name}]");
            problems.add(key_span.clone(), format!("{} belongs to jobs", quoted(key)), help);
        }
        Section::Jobs if SERVICE_KEYS.contains(&key) => {
            let help = format!("a job runs and ends; leave it out, or declare it under [services.{name}]");
            problems.add(key_span.clone(), format!("{} belongs to services", quoted(key)), help);
        }
        // `[services.api.v2]` is what a name with a dot becomes without quotes.
        _ if value.tree.as_table().is_some_and(|table| table.contains_key("command")) => {
            let noun = section.noun();
            let message = format!("a {noun} stands inside the {noun} `{name}`");
            let help =
                format!("quote a name with a dot: [{noun}s.\"{}.{}\"]", name.trim_matches('"'), plain(key));
            problems.add(key_span.clone(), message, help);
        }
        _ => {
            let owner = format!("a {}", section.noun());
            settings::unknown_key(&owner, key, key_span.clone(), known, problems);
        }
    }
    true
}

/// Reads one known key into the draft.
pub(super) fn setting(
    draft: &mut Draft,
    site: Site<'_>,
    key: &str,
    value: Value<'_>,
    problems: &mut Problems<'_>,
) {
    let Draft { plan, program, .. } = draft;
    match key {
        "command" => {
            let value = value.example("command = [\"./api\", \"serve\"]");
            set(&mut program.argv, program::argv(&value, site, problems));
        }
        "dir" => set(&mut program.dir, program::dir(&value.example("dir = \".\""), site, problems)),
        "env" => {
            set(&mut program.env, program::env(&value.example("env = { NAME = \"value\" }"), site, problems))
        }
        "port" => {
            let asked = instances::port(&value.example("port = 9000"), site, problems);
            draft.ask_for(asked.into_iter().collect());
        }
        "ports" => draft.ask_for(settings::ports(&value.example("ports = [9000, 9001]"), problems)),
        "restart" => {
            set(&mut plan.restart, settings::restart(&value.example("restart = \"on-failure\""), problems));
        }
        "stop-signal" => {
            let value = value.example("stop-signal = \"TERM\"");
            set(&mut program.stop_signal, settings::signal(&value, "stop with", problems));
        }
        "stop-command" => {
            let value = value.example("stop-command = [\"./api\", \"drain\"]");
            program.stop_command = program::argv(&value, site, problems);
        }
        "reload-signal" => {
            let value = value.example("reload-signal = \"HUP\"");
            set(&mut program.reload_signal, settings::signal(&value, "reload with", problems));
        }
        "stop-grace" => {
            let value = value.example("stop-grace = \"5s\"");
            set(&mut plan.stop_grace, duration::read(&value, Zero::Allowed, problems));
        }
        "ready-timeout" => {
            let why = Zero::Refused("nothing is ready in no time");
            let value = value.example("ready-timeout = \"60s\"");
            set(&mut plan.ready_timeout, duration::read(&value, why, problems));
        }
        "success-exit-codes" => {
            let value = value.example("success-exit-codes = [0]");
            set(&mut plan.success_codes, settings::success_codes(&value, problems));
        }
        "restart-prevent-exit-codes" => {
            let value = value.example("restart-prevent-exit-codes = [78]");
            set(&mut plan.prevent_codes, settings::exit_codes(&value, problems));
        }
        "watchdog" => {
            let why = Zero::Refused("nothing says that it is alive all the time");
            plan.watchdog = duration::read(&value.example("watchdog = \"30s\""), why, problems);
        }
        "max-runtime" => {
            let why = Zero::Refused("nothing is done in no time");
            plan.max_runtime = duration::read(&value.example("max-runtime = \"2h\""), why, problems);
        }
        "memory-max" => {
            program.limits.memory_max = limits::memory(&value.example("memory-max = \"512MiB\""), problems);
        }
        "cpu-max" => program.limits.cpu_max = limits::cpu(&value.example("cpu-max = 1.5"), problems),
        "rlimits" => {
            let value = value.example("rlimits = { nofile = 65536 }");
            set(&mut program.limits.rlimits, limits::rlimits(&value, problems));
        }
        "nice" => program.limits.nice = limits::nice(&value.example("nice = 5"), problems),
        "umask" => program.limits.umask = limits::umask(&value.example("umask = \"027\""), problems),
        "on-daemon-exit" => {
            let value = value.example("on-daemon-exit = \"keep\"");
            set(
                &mut program.on_daemon_exit,
                choice(&value, "an answer to the daemon's end", DAEMON_EXITS, problems),
            );
        }
        "backoff" => {
            let value = value.example("backoff = { first = \"1s\", max = \"60s\" }");
            let standard = plan.backoff;
            set(&mut plan.backoff, settings::backoff(&value, standard, problems));
        }
        "restart-limit" => {
            let value = value.example("restart-limit = { count = 10, period = \"10m\" }");
            let standard = plan.limit;
            set(&mut plan.limit, settings::restart_limit(&value, standard, problems));
        }
        "watch" => {
            program.watch = watched::patterns(&value.example("watch = [\"app/**/*.py\"]"), site, problems);
        }
        "watch-ignore" => {
            let value = value.example("watch-ignore = [\"app/cache\"]");
            program.watch_ignore = watched::patterns(&value, site, problems);
        }
        "depends-on" => draft.needs = needs::read(&value.example("depends-on = [\"db\"]"), site, problems),
        "scope" => {
            set(
                &mut program.scope,
                choice(&value.example("scope = \"project\""), "a scope", SCOPES, problems),
            );
        }
        "log" => program.log = log::read(&value.example(log::EXAMPLE), site.log, None, problems),
        "pid-file" => {
            let value = value.example("pid-file = \"api.pid\"");
            program.pid_file = program::pid_file(&value, site, problems);
            draft.pid_file_span = Some(value.span);
        }
        // `instances` was read first. The lists of keys above and these arms are held together by a test.
        _ => {}
    }
}
