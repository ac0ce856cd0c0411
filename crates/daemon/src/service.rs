//! A declared program made ready to run: its place on disk and the order its guard gets. One place says what a
//! service finds in its environment.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::Timestamp;
use soloist_api::watch::url;
use soloist_core::plan::Plan;
use soloist_core::schedule::civil::Moment;
use soloist_os::clock::TEST_CLOCK;
use soloist_os::guard::{Assignment, RunOrder};
use soloist_os::layout::{Layout, Place};
use soloist_os::record::Holder;
use soloist_os::{COOKIE, Program as Executable};

use crate::config::{self, PORT_PLACE, Program, Scope};
use crate::convert::milliseconds;

/// Variables that say which run a process belongs to: never handed on to a daemon or another run.
pub const RUN_VARIABLES: [&str; 12] = [
    COOKIE,
    "SOLOIST_SERVICE",
    "SOLOIST_INSTANCE",
    "SOLOIST_RUN_ID",
    "SOLOIST_TOKEN",
    "SOLOIST_SOCKET",
    "SOLOIST_SCHEDULED_AT",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
];

/// Where claim, record and guard socket of an instance lie; the folders are made.
pub fn place(layout: &Layout, name: &str, scope: Scope) -> io::Result<Place> {
    let place = match scope {
        Scope::Project => layout.place(name),
        Scope::Machine => Place::machine(name)?,
    };
    place.make()?;
    Ok(place)
}

/// What a guard is told about its instance.
pub fn assignment(layout: &Layout, place: &Place, holder: Holder) -> Assignment {
    Assignment {
        instance: place.instance.clone(),
        base: place.base.clone(),
        project: layout.root.clone(),
        holder,
        spare: vec![std::process::id()],
    }
}

/// What tells one run of an instance from the others.
pub struct Occasion {
    /// Its id.
    pub run_id: String,
    /// Its fencing token: see [`soloist_os::Claim::next_token`].
    pub token: u64,
    /// When its schedule wanted it, if that is why it runs.
    pub scheduled: Option<Moment>,
    /// The ports it is to listen on.
    pub ports: Vec<u16>,
    /// What it needs, and where that is found.
    pub needs: Vec<(String, u16)>,
}

impl Occasion {
    /// A text of the declaration as it is for this run: in one that may be moved, `{port}` is its first port.
    fn fill(&self, plan: &Plan, text: &str) -> String {
        match self.ports.first().filter(|_| !plan.spares.is_empty()) {
            Some(port) => text.replace(PORT_PLACE, &port.to_string()),
            None => text.to_owned(),
        }
    }
}

/// The order to run a program; `log` is for what it writes.
pub fn run_order(
    name: &str,
    occasion: Occasion,
    plan: &Plan,
    program: &Program,
    place: &Place,
    log: Option<PathBuf>,
    socket: &Path,
) -> RunOrder {
    let words: Vec<String> = program.argv.iter().map(|word| occasion.fill(plan, word)).collect();
    let argv = program.resolved(&words);
    let mut env = environment(name, &occasion, plan, program, place);
    env.push(("SOLOIST_SOCKET".to_owned(), socket.to_string_lossy().into_owned()));
    let Occasion { run_id, ports, .. } = occasion;
    RunOrder {
        run_id,
        program: Executable { argv, env, dir: program.dir.clone() },
        log,
        pid_file: program.pid_file.clone(),
        ports,
        stop_signal: program.stop_signal,
        stop_grace_ms: milliseconds(plan.stop_grace),
        cause: String::new(),
        print: Some(config::print(plan, program).0),
        limits: program.limits.clone(),
        stop_command: program.stop_command.as_deref().map(|argv| program.resolved(argv)),
        watchdog_usec: plan.watchdog.map(|most| u64::try_from(most.as_micros()).unwrap_or(u64::MAX)),
        on_daemon_exit: program.on_daemon_exit,
        revival: None,
        log_rules: program.log.rules.clone(),
        sockets: program.sockets.iter().map(|socket| socket.name.clone()).collect(),
        is_log_new: false,
        is_ticked: plan.schedule.as_ref().is_some_and(|schedule| schedule.is_ticked),
    }
}

/// The line of a tick: JSON with its id and when the schedule wanted it.
pub fn tick_line(tick: &str, scheduled: Moment) -> String {
    serde_json::json!({ "run": tick, "scheduled_at": rfc3339(scheduled) }).to_string()
}

/// `2026-11-22T03:45:06.000Z`
fn rfc3339(at: Moment) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| format!("{at:.3}"))
}

/// What this process was given, without what names a run: nobody changes it.
static OURS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !RUN_VARIABLES.contains(&name.as_str()) && name != TEST_CLOCK)
        .filter(|(name, _)| !PORT_VARIABLES.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
});

/// Ours, then the declared variables, then what names the run: that one cannot be declared away.
fn environment(
    name: &str,
    occasion: &Occasion,
    plan: &Plan,
    program: &Program,
    place: &Place,
) -> Vec<(String, String)> {
    let mut env = OURS.clone();
    // Python keeps lines back when its output is no terminal; a log that lags is no log.
    env.entry("PYTHONUNBUFFERED".to_owned()).or_insert_with(|| "1".to_owned());
    let own = occasion.ports.first().map(|port| (name, *port));
    for (name, port) in occasion.needs.iter().map(|(name, port)| (name.as_str(), *port)).chain(own) {
        env.extend(port_variables(name, port));
    }
    env.extend(own.map(|(_, port)| ("PORT".to_owned(), port.to_string())));
    env.extend(program.env.iter().map(|(name, value)| (name.clone(), occasion.fill(plan, value))));
    env.insert("SOLOIST_SERVICE".to_owned(), name.to_owned());
    if let Some((_, key)) = name.split_once('@') {
        // A lane has the key of its instance.
        let key = key.split('~').next().unwrap_or(key);
        env.insert("SOLOIST_INSTANCE".to_owned(), key.to_owned());
    }
    env.insert("SOLOIST_RUN_ID".to_owned(), occasion.run_id.clone());
    env.insert("SOLOIST_TOKEN".to_owned(), occasion.token.to_string());
    if let Some(at) = occasion.scheduled {
        env.insert("SOLOIST_SCHEDULED_AT".to_owned(), rfc3339(at));
    }
    env.insert(COOKIE.to_owned(), place.claim().to_string_lossy().into_owned());
    env.into_iter().collect()
}

/// Told anew to each run; those of a run that started us are of another time.
const PORT_VARIABLES: [&str; 2] = ["SOLOIST_PORT_", "SOLOIST_URL_"];

/// How others find a service: its port, and its address on this machine.
pub fn port_variables(name: &str, port: u16) -> [(String, String); 2] {
    let name = variable(name);
    let [port_name, url_name] = PORT_VARIABLES.map(|prefix| format!("{prefix}{name}"));
    [(port_name, port.to_string()), (url_name, url(port))]
}

/// `gap-scanner` as part of a variable's name: `GAP_SCANNER`.
pub(crate) fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_tick_is_one_line_of_json() {
        let line = tick_line("00000000000000ab", Moment(1_795_319_106_007));
        assert_eq!(line, r#"{"run":"00000000000000ab","scheduled_at":"2026-11-22T03:45:06.007Z"}"#);
    }

    #[test]
    fn an_order_carries_what_is_declared() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        std::fs::write(folder.path().join(".env"), "A=file\nB=file\nSOLOIST_INSTANCE=lie\n").expect("a file");
        let text = "[services.s]\ncommand = './s'\ninstances = ['x-y']\nport = { 'x-y' = 7 }\nenv-file = '.env'\n\
                    env = { B = 'own' }\nstop-command = './drain'\nwatchdog = '30s'\non-daemon-exit = 'stop'\n\
                    memory-max = '1MiB'\n";
        let config =
            Config::parse(text, folder.path(), "soloist.toml").unwrap_or_else(|error| panic!("{error}"));
        let declared = &config.declared[0];
        let place = Place { base: folder.path().to_owned(), instance: declared.name.clone() };
        let occasion = || Occasion {
            run_id: "1".to_owned(),
            token: 12,
            scheduled: Some(Moment(1_795_319_106_000)),
            ports: vec![7],
            needs: vec![("the-db".to_owned(), 5432)],
        };
        let lane = environment("s@x-y~2", &occasion(), &declared.plan, &declared.program, &place);
        assert!(lane.contains(&("SOLOIST_INSTANCE".to_owned(), "x-y".to_owned())), "{lane:?}");
        let (plan, program, socket) =
            (&declared.plan, &declared.program, Path::new("/p/.soloist/daemon.sock"));
        let order = run_order(&declared.name, occasion(), plan, program, &place, None, socket);
        let path = |name: &str| folder.path().join(name).to_str().map(str::to_owned).expect("plain letters");
        assert_eq!(order.program.argv, [path("s")]);
        assert_eq!(order.stop_command, Some(vec![path("drain")]));
        assert_eq!(order.watchdog_usec, Some(30_000_000));
        assert_eq!(order.on_daemon_exit, soloist_os::guard::OnDaemonExit::Stop);
        assert_eq!(order.limits.memory_max, Some(1 << 20));
        assert_eq!(order.print, Some(declared.print().0));
        let variable = |name: &str| {
            let found = order.program.env.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        for (name, value) in [
            ("A", "file"),
            ("B", "own"),
            ("PORT", "7"),
            ("SOLOIST_PORT_S_X_Y", "7"),
            ("SOLOIST_URL_S_X_Y", "http://127.0.0.1:7"),
            ("SOLOIST_PORT_THE_DB", "5432"),
            ("SOLOIST_URL_THE_DB", "http://127.0.0.1:5432"),
            ("SOLOIST_SERVICE", "s@x-y"),
            ("SOLOIST_INSTANCE", "x-y"),
            ("SOLOIST_TOKEN", "12"),
            ("SOLOIST_SOCKET", "/p/.soloist/daemon.sock"),
            ("SOLOIST_SCHEDULED_AT", "2026-11-22T03:45:06.000Z"),
        ] {
            assert_eq!(variable(name), Some(value), "{name}");
        }
    }
}
