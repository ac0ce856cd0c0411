//! Reads one declaration: which keys it may have, and where the value of each goes.
//! The values themselves are read by the other files here; `check.rs` compares declarations.

use std::collections::BTreeMap;

use soloist_core::plan::{Kind, Need, OverMemory, Plan, Restart};

use super::accounts::Accounts;
use super::diagnostic::{Problems, Span, quoted};
use super::instances::Site;
use super::needs::Named;
use super::probes::{self, Asked, Which};
use super::reload;
use super::schedules::{self, Asked as Times, JOB_KEYS, TRIGGER_KEYS, WINDOW_KEYS};
use super::setting::{misplaced, setting};
use super::settings::choice;
use super::sockets::{self, Placed};
use super::spares::{self, Spares};
use super::tree::{Field, Value};
use super::{Declared, Program, ScheduleChange, env_file, program};

const SHARED_KEYS: &[&str] = &[
    "command",
    "instances",
    "dir",
    "env",
    "env-file",
    "user",
    "group",
    "umask",
    "nice",
    "rlimits",
    "memory-max",
    "memory-action",
    "cpu-max",
    "max-runtime",
    "stop-signal",
    "stop-grace",
    "stop-command",
    "on-daemon-exit",
    "success-exit-codes",
    "depends-on",
    "scope",
    "pid-file",
    "log",
];
pub(super) const SERVICE_KEYS: &[&str] = &[
    "port",
    "ports",
    "listen",
    "restart",
    "restart-prevent-exit-codes",
    "restart-limit",
    "backoff",
    "ready-timeout",
    "startup",
    "readiness",
    "liveness",
    "watchdog",
    "reload",
    "reload-signal",
    "trigger",
    "drain-timeout",
    "watch",
    "watch-ignore",
];

const MEMORY_ACTIONS: &[(&str, OverMemory)] = &[("restart", OverMemory::Restart), ("stop", OverMemory::Stop)];

/// A declaration, of a keyed one an instance, and the places of what must fit with other declarations.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) service: String,
    pub(super) key: Option<String>,
    pub(super) name_span: Span,
    pub(super) section: Section,
    pub(super) plan: Plan,
    pub(super) program: Program,
    pub(super) ports: Vec<(u16, Span)>,
    pub(super) sockets: Vec<Placed>,
    /// Of those that may move: where to.
    pub(super) spares: Vec<(u16, Spares)>,
    pub(super) needs: Vec<Named>,
    pub(super) pid_file_span: Option<Span>,
}

/// Where a declaration stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Services,
    Jobs,
}

impl Section {
    /// What one of them is called.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Section::Services => "service",
            Section::Jobs => "job",
        }
    }

    /// The keys it may have; a service that is ticked has those of triggers too.
    pub(super) fn keys(self, is_ticked: bool) -> Vec<&'static str> {
        let own: [&[&str]; 2] = match self {
            Section::Services if is_ticked => [SERVICE_KEYS, TRIGGER_KEYS],
            Section::Services => [SERVICE_KEYS, &[]],
            Section::Jobs => [TRIGGER_KEYS, JOB_KEYS],
        };
        [SHARED_KEYS, WINDOW_KEYS].iter().chain(&own).copied().flatten().copied().collect()
    }
}

impl Draft {
    pub(super) fn ask_for(&mut self, asked: Vec<spares::Asked>) {
        for (port, span, spares) in asked {
            self.ports.push((port, span));
            self.spares.extend(spares.map(|spares| (port, spares)));
        }
    }

    /// The instance, as it is with what was changed at run time, its lanes and its stand-in. A need of a service is a need of each of
    /// its instances.
    pub(super) fn into_declared(
        mut self,
        instances: &BTreeMap<String, Vec<String>>,
        changes: &BTreeMap<String, ScheduleChange>,
    ) -> Vec<Declared> {
        let rota = self.plan.schedule.as_mut().map(|schedule| {
            let change = changes.get(&self.name);
            let changed = change.and_then(|change| schedules::change(schedule, change));
            schedules::rota(schedule, changed)
        });
        let ports = self.ports.into_iter().map(|(port, _)| port).collect();
        let spares = self.spares.into_iter().map(|(port, (range, _))| (port, range)).collect();
        let needs = self.needs.into_iter().flat_map(|Named { on, until, .. }| {
            let all = instances.get(&on).cloned().unwrap_or_else(|| vec![on]);
            all.into_iter().map(move |on| Need { on, until })
        });
        let base = Declared {
            name: self.name,
            service: self.service,
            key: self.key,
            lane_of: None,
            rota,
            plan: Plan { ports, spares, needs: needs.collect(), ..self.plan },
            program: Program {
                sockets: self.sockets.into_iter().map(|(socket, _)| socket).collect(),
                ..self.program
            },
        };
        let lanes = base.plan.schedule.iter().flat_map(|schedule| &schedule.lanes).map(|lane| Declared {
            name: lane.clone(),
            lane_of: Some(base.name.clone()),
            rota: None,
            plan: Plan { schedule: None, needs: Vec::new(), ..base.plan.clone() },
            ..base.clone()
        });
        let stand_in = base.plan.stand_in.iter().map(|name| Declared {
            name: name.clone(),
            lane_of: Some(base.name.clone()),
            rota: None,
            plan: base.plan.of_stand_in(),
            // The file names the one that stays.
            program: Program { pid_file: None, ..base.program.clone() },
            ..base.clone()
        });
        let others: Vec<_> = lanes.chain(stand_in).collect();
        [base].into_iter().chain(others).collect()
    }
}

/// What can be read only when the other keys are known.
#[derive(Default)]
struct Later<'a> {
    probes: Vec<(Which, Span, Value<'a>)>,
    user: Option<Value<'a>>,
    group: Option<Value<'a>>,
    memory_action: Option<Span>,
    reload: Option<Value<'a>>,
    listen: Option<Value<'a>>,
    watch_ignore: Option<Span>,
    /// There is a port, but it could not be read.
    is_port_lost: bool,
    from_files: BTreeMap<String, String>,
    schedule: Times<'a>,
}

/// Reads a declaration at its site.
pub(super) fn read(
    section: Section,
    declared: &Field<'_>,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) -> Draft {
    let service = declared.key.to_owned();
    let mut draft = Draft {
        name: site.key.map_or_else(|| service.clone(), |key| format!("{service}@{key}")),
        service,
        key: site.key.map(str::to_owned),
        name_span: declared.key_span.clone(),
        section,
        plan: match section {
            Section::Services => Plan::default(),
            Section::Jobs => Plan { kind: Kind::Job, restart: Restart::No, ..Plan::default() },
        },
        program: Program { dir: program::tidy(site.root), log: site.log.clone(), ..Program::default() },
        ports: Vec::new(),
        sockets: Vec::new(),
        spares: Vec::new(),
        needs: Vec::new(),
        pid_file_span: None,
    };
    let mut later = Later::default();
    let mut has_command = false;
    let mut port_span: Option<Span> = None;
    let is_ticked = declared.value.tree.as_table().is_some_and(|table| table.contains_key("trigger"));
    let known = section.keys(is_ticked);
    for Field { key, key_span, value } in declared.value.table(problems).unwrap_or_default() {
        has_command |= key == "command";
        if matches!(key, "port" | "ports") && section == Section::Services {
            if let Some(first) = port_span.replace(key_span.clone()) {
                let help = "keep `ports`, with the one for $PORT first";
                problems
                    .add(key_span, "`port` and `ports` are both declared", help)
                    .other(first, "the other one");
                continue;
            }
        } else if misplaced(section, &known, &declared.key_span, key, &key_span, &value, problems) {
            continue;
        }
        match key {
            "port" | "ports" => {
                let told = problems.count();
                setting(&mut draft, site, key, value, problems);
                later.is_port_lost = problems.count() > told;
            }
            "listen" => later.listen = Some(value),
            "user" => later.user = Some(value),
            "group" => later.group = Some(value),
            "reload" => later.reload = Some(value),
            "startup" | "readiness" | "liveness" => {
                later.probes.extend(Which::named(key).map(|which| (which, key_span, value)));
            }
            _ if schedules::has(key) => later.schedule.add(Field { key, key_span, value }),
            "memory-action" => {
                let value = value.example("memory-action = \"restart\"");
                if let Some(action) = choice(&value, "a memory action", MEMORY_ACTIONS, problems) {
                    draft.plan.over_memory = action;
                    later.memory_action = Some(key_span);
                }
            }
            "watch-ignore" => {
                let told = problems.count();
                setting(&mut draft, site, key, value, problems);
                later.watch_ignore = (problems.count() == told).then_some(key_span);
            }
            "env-file" => {
                later.from_files = env_file::variables(&value.example("env-file = \".env\""), site, problems);
            }
            _ => setting(&mut draft, site, key, value, problems),
        }
    }
    if !has_command {
        let message = format!("the {} {} has no command", section.noun(), quoted(declared.key));
        let help = "say what to run: `command = [\"./api\", \"serve\"]`";
        problems.add(declared.key_span.clone(), message, help).label("`command` is missing");
    }
    complete(&mut draft, later, declared, site, problems);
    draft
}

fn complete(
    draft: &mut Draft,
    later: Later<'_>,
    declared: &Field<'_>,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) {
    if let Some(value) = &later.listen {
        sockets::read(draft, value, later.is_port_lost, site, problems);
    }
    // A port that was complained about is not said to be missing too; the file is refused anyway.
    let first_port = draft.ports.first().map(|(port, _)| *port).or(later.is_port_lost.then_some(1));
    for (which, key_span, value) in later.probes {
        let Some(asked) = probes::read(which, key_span, value, first_port, site, problems) else {
            continue;
        };
        let checks = &mut draft.program.checks;
        let (probe, check) = match asked {
            Asked::Nothing => continue,
            Asked::Notify => {
                draft.plan.notifies = true;
                continue;
            }
            Asked::Check(probe, check) => (Some(probe), Some(check)),
        };
        match which {
            Which::Startup => (draft.plan.startup, checks.startup) = (probe, check),
            Which::Readiness => (draft.plan.readiness, checks.readiness) = (probe, check),
            Which::Liveness => (draft.plan.liveness, checks.liveness) = (probe, check),
        }
    }
    if let Some(value) = &later.reload {
        reload::read(draft, value, problems);
    }
    draft.plan.schedule = schedules::read(draft.section, &draft.name, &later.schedule, site, problems);
    if let (Some(span), Some(_)) =
        (&draft.pid_file_span, draft.plan.schedule.as_ref().and_then(|s| s.lanes.first()))
    {
        let message = "`pid-file` cannot be had with `overlap = \"allow\"`";
        problems.add(
            span.clone(),
            message,
            "a pid file takes one pid, and several run: take one of the two out",
        );
    }
    let limits = &mut draft.program.limits;
    if later.user.is_some() || later.group.is_some() {
        let found = Accounts::of_system().identity(later.user.as_ref(), later.group.as_ref(), problems);
        if let Some(found) = found {
            (limits.user, limits.group, limits.groups) = (found.user, found.group, found.groups);
        }
    }
    let has_memory_max = declared.value.tree.as_table().is_some_and(|table| table.contains_key("memory-max"));
    if let Some(span) = later.memory_action.filter(|_| !has_memory_max) {
        let help = "say how much it may use: `memory-max = \"512MiB\"`";
        problems.add(span, "`memory-action` is declared without `memory-max`", help);
    }
    let has_watch = declared.value.tree.as_table().is_some_and(|table| table.contains_key("watch"));
    if let Some(span) = later.watch_ignore.filter(|_| !has_watch) {
        let help = "say what is watched: `watch = [\"app/**/*.py\"]`";
        problems.add(span, "`watch-ignore` is declared without `watch`", help);
    }
    let mut env = later.from_files;
    env.append(&mut draft.program.env);
    draft.program.env = env;
}
