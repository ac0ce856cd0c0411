//! The life of a daemon: one per project, kept by its lock; it tells whoever started it when it is there, takes over
//! what an earlier one left, and serves until everything is asked to stop. Also how a client finds one or starts it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use soloist_api::client::Client;
use soloist_api::error::{Code, Problem};
use soloist_api::request::Down;
use soloist_api::status::DaemonStatus;
use soloist_os::claim::Claim;
use soloist_os::guard::DAEMON_READY as READY;
use soloist_os::identity::Identity;
use soloist_os::layout::Layout;
use soloist_os::own_file;
use soloist_os::record::{Holder, Record, all};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::{Config, Logging};
use crate::driver::{Driver, End};
use crate::http::access::Access;
use crate::http::glance::Glance;
use crate::inbox::{Inbox, Input};
use crate::ledger::Ledger;
use crate::service::RUN_VARIABLES;
use crate::tcp::{self, Tcp};
use crate::upgrade::{Left, Legacy, become_daemon};
use crate::{changes, convert, http, zones};

/// The argument by which the binary knows that it is to be a daemon.
pub const DAEMON_ARGUMENT: &str = "__daemon";
/// After the project's folder: a guard or the zygote starts it, because one before it died.
pub const BROUGHT_BACK: &str = "brought-back";
/// How long a daemon that ends may keep its lock.
const PREDECESSOR_LIMIT: Duration = Duration::from_secs(10);
/// How often a daemon that waits for a predecessor looks whether that one goes on after all.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// How long answers under way may take when the daemon ends.
const LAST_ANSWERS_LIMIT: Duration = Duration::from_secs(2);
/// So many questions look at disks at once: more would take processors and memory from the services.
const LOOKS_TOGETHER: usize = 2;
/// Beyond this the daemon's own log starts anew, with one old one kept.
const LOG_MAX: u64 = 1 << 20;

/// The daemon's own log: one line an incident, with the time.
#[derive(Clone, Debug)]
pub struct Log(Arc<Mutex<Option<File>>>);

impl Log {
    /// The log at a path; one that is too long is put aside first.
    pub(crate) fn open(path: &Path) -> Log {
        if std::fs::metadata(path).is_ok_and(|found| found.len() > LOG_MAX) {
            let _ = std::fs::rename(path, path.with_extension("log.1"));
        }
        let file = own_file::append(path).or_else(|_| {
            // A link or a pipe that somebody put there gives way.
            std::fs::rename(path, path.with_extension("log.1"))?;
            own_file::append(path)
        });
        // Without a log the services still run.
        Log(Arc::new(Mutex::new(file.ok())))
    }

    /// Notes an incident.
    pub fn say(&self, text: &str) {
        let at = convert::moment(soloist_os::clock::wall_ms()).map_or(String::new(), |at| at.to_string());
        if let Ok(mut file) = self.0.lock()
            && let Some(file) = file.as_mut()
        {
            let _ = writeln!(file, "{at} {text}");
        }
    }
}

/// The daemon of the project at `root`: returns when everything was asked to stop, and has. `words` is what a
/// predecessor said that it leaves behind, or why this one is started; to be called first of all in the process.
///
/// # Errors
/// If another daemon serves the project, or its state folder cannot be used. The starter is told the same.
pub fn daemon(root: &Path, words: &[String]) -> Result<(), Problem> {
    // Away from the terminal and the session of whoever started us: their end is not ours.
    soloist_os::leave_session();
    soloist_os::name_process("soloist-daemon");
    match Left::read(words).map_err(Problem::from).and_then(|left| {
        let is_brought_back = words.first().is_some_and(|word| word == BROUGHT_BACK);
        serve(root, left, is_brought_back)
    }) {
        Ok(()) => Ok(()),
        Err(problem) => {
            tell_starter(&problem.to_string());
            Err(problem)
        }
    }
}

fn serve(root: &Path, left: Option<Left>, is_brought_back: bool) -> Result<(), Problem> {
    let layout = Layout::new(root)?;
    layout.make()?;
    let log = Log::open(&layout.daemon_log());
    let (lock, listener, left_tcp, links) = match left {
        Some(left) => {
            (Claim::received(left.lock, &layout.daemon_lock()), Some(left.listener), left.tcp, left.links)
        }
        None => (lock(&layout)?, None, None, Vec::new()),
    };
    soloist_os::fail_point!("daemon.lock-taken");
    // A claim and a link for each service; they themselves get the limit we were given.
    let given = soloist_os::raise_descriptor_limit();
    let (ledger, said) = Ledger::open(&layout.ledger());
    let config = match changes::config(&layout) {
        Ok(config) => config,
        Err(e) if e.is_missing() => Config::empty(&layout.root),
        // Services that run must be taken over whatever the file says now; starting anything will say what is wrong.
        Err(e) => {
            log.say(&e.to_string());
            // What it wants to be kept is not known: nothing is removed.
            let mut log = Logging { keep: usize::MAX, compress: false, ..Logging::default() };
            log.rules.max_age_ms = None;
            Config { listen: tcp::last(&layout), log, log_total: u64::MAX, ..Config::empty(&layout.root) }
        }
    };
    let (tcp, said_of_tcp) = listen_over_tcp(&layout, &config, left_tcp);
    let said = Some([said, said_of_tcp].into_iter().flatten().collect::<Vec<_>>().join("; "));
    let said = said.filter(|said| !said.is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let since = convert::moment(soloist_os::clock::wall_ms()).unwrap_or_default();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let daemon = DaemonStatus {
            pid: std::process::id(),
            since,
            version,
            taken_over: 0,
            note: said.clone(),
            zones: zones::source(),
            http: tcp.as_ref().map(Tcp::url),
        };
        let mut driver = Driver::new(layout.clone(), daemon, ledger, log.clone(), given);
        log.say(&format!("daemon {} for {}", std::process::id(), layout.root.display()));
        driver.watch_the_time();
        driver.take_over(&config, is_brought_back);
        soloist_os::fail_point!("daemon.taken-over");
        // Only now: until here a predecessor's links told the guards that their daemon is there.
        drop(links);
        let listener = listener.map_or_else(|| listen(&layout), Ok)?;
        tokio::spawn(obey_signals(
            driver.inbox(),
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ));
        let history = driver.history();
        let past = http::past::Past {
            inbox: driver.inbox(),
            history: history.clone(),
            tally: driver.tally(),
            glance: Glance::new(driver.inbox(), driver.moves(), layout.clone(), driver.ages()),
            layout: layout.clone(),
        };
        let proxy = config.proxy.map(|port| (port, log.clone()));
        let mut api = Api::start(&listener, tcp.as_ref(), proxy.clone(), &past, &mut driver)?;
        if let Some(said) = said {
            log.say(&said);
            tell_starter(&format!("warning: {said}\n{READY}"));
        } else {
            tell_starter(READY);
        }
        soloist_os::fail_point!("daemon.word-given");
        loop {
            match driver.run().await {
                Ok(End::Succeeded(binary)) => {
                    api.join();
                    history.settle().await;
                    let legacy = Legacy {
                        lock: lock.as_fd(),
                        listener: listener.as_fd(),
                        tcp: tcp.as_ref().map(|tcp| tcp.listener.as_fd()),
                        links: driver.links(),
                        descriptor_limit: given,
                    };
                    let e = become_daemon(&binary, &layout.root, &legacy);
                    driver
                        .stays(format!("{} cannot be executed ({e}); this daemon goes on", binary.display()));
                    api = Api::start(&listener, tcp.as_ref(), proxy.clone(), &past, &mut driver)?;
                }
                ended => {
                    // With the driver every event stream is gone; answers under way are still given.
                    drop(driver);
                    api.join();
                    history.end().await;
                    if let Some(tcp) = tcp {
                        tcp.close(&layout);
                    }
                    break ended.map(drop);
                }
            }
        }
    });
    soloist_os::fail_point!("daemon.ending");
    // Nobody shall find a socket that nobody answers.
    let _ = std::fs::remove_file(layout.daemon_socket());
    log.say("everything is stopped; the daemon ends");
    result
}

/// SIGTERM and SIGINT ask for what `soloist down` asks for: a machine that goes down must not meet daemons that their
/// guards bring back again and again.
async fn obey_signals(inbox: Inbox, mut term: Signal, mut int: Signal) {
    loop {
        let name = tokio::select! {
            Some(()) = term.recv() => "SIGTERM",
            Some(()) = int.recv() => "SIGINT",
            else => return,
        };
        let (reply, _) = oneshot::channel();
        let who = Some(format!("{name} to the daemon"));
        let _ = inbox.send(Input::Down { down: Down { names: Vec::new(), who }, reply });
    }
}

/// The API's thread has a runtime of its own: a storm of requests does not delay a restart.
struct Api(std::thread::JoinHandle<()>);

impl Api {
    /// Takes in requests until the driver hushes it, or is gone.
    fn start(
        unix: &UnixListener,
        tcp: Option<&Tcp>,
        proxy: Option<(u16, Log)>,
        past: &http::past::Past,
        driver: &mut Driver,
    ) -> io::Result<Api> {
        let (hush, hushed) = oneshot::channel();
        driver.hushes(hush);
        let (unix, inbox, past) = (unix.try_clone()?, driver.inbox(), past.clone());
        let tcp = tcp.map(|tcp| Ok::<_, io::Error>((tcp.listener.try_clone()?, tcp.access.clone())));
        let tcp = tcp.transpose()?;
        let thread = std::thread::Builder::new().name("api".to_owned());
        Ok(Api(thread.spawn(move || {
            answer(unix, tcp, proxy, inbox.clone(), past, hushed);
            let _ = inbox.send(Input::Answered);
        })?))
    }

    fn join(self) {
        let _ = self.0.join();
    }
}

fn answer(
    unix: UnixListener,
    tcp: Option<(TcpListener, Arc<Access>)>,
    proxy: Option<(u16, Log)>,
    inbox: Inbox,
    past: http::past::Past,
    ended: oneshot::Receiver<()>,
) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let Ok(runtime) = builder.max_blocking_threads(LOOKS_TOGETHER).enable_all().build() else { return };
    let _ = runtime.block_on(async {
        let unix = tokio::net::UnixListener::from_std(unix)?;
        let tcp =
            tcp.map(|(tcp, access)| Ok::<_, io::Error>((tokio::net::TcpListener::from_std(tcp)?, access)));
        let tcp = tcp.transpose()?;
        let (stop, stopped) = oneshot::channel();
        let patience = async {
            let _ = ended.await;
            let _ = stop.send(());
            tokio::time::sleep(LAST_ANSWERS_LIMIT).await;
        };
        // A client that does not read its answer must not keep the daemon from ending.
        tokio::select! {
            () = http::serve(unix, tcp, proxy, inbox, past, stopped) => {}
            () = patience => {}
        }
        Ok::<_, io::Error>(())
    });
}

/// The lock of the one daemon. A predecessor that is ending gets time to end; one that answers is none.
fn lock(layout: &Layout) -> Result<Claim, Problem> {
    let begun = Instant::now();
    let mut look_at = begun + LOOK_PAUSE;
    loop {
        if let Some(lock) = Claim::take(&layout.daemon_lock())? {
            return Ok(lock);
        }
        let mut is_answered = false;
        if Instant::now() >= look_at {
            look_at = Instant::now() + LOOK_PAUSE;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            is_answered = runtime.block_on(Client::new(&layout.daemon_socket()).is_answered());
        }
        if is_answered || begun.elapsed() >= PREDECESSOR_LIMIT {
            let what = format!("another daemon serves {}", layout.root.display());
            return Err(
                Problem::new(Code::Error, what).hint("`soloist status` shows it; `soloist down` ends it")
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Answers over TCP as the file says; with what there is to say about it. Services run whether that can be or not.
fn listen_over_tcp(
    layout: &Layout,
    config: &Config,
    left: Option<TcpListener>,
) -> (Option<Tcp>, Option<String>) {
    let Some(wanted) = config.listen else {
        tcp::withdraw(layout);
        return (None, None);
    };
    let needed = config.declared.iter().flat_map(|declared| {
        let spares = declared.plan.spares.iter().flat_map(|(_, spares)| spares.clone());
        declared.plan.ports.iter().copied().chain(spares)
    });
    let needed: Vec<u16> = needed.chain(config.proxy).collect();
    match Tcp::open(layout, wanted, left, &needed) {
        Ok(tcp) => {
            let warning = tcp.warning();
            (Some(tcp), warning)
        }
        Err(why) => (None, Some(why)),
    }
}

fn listen(layout: &Layout) -> io::Result<UnixListener> {
    let path = layout.daemon_socket();
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = soloist_os::link::listen_stream(&path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Says a last word to whoever started us, and lets go of its pipe.
fn tell_starter(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    soloist_os::detach_output();
}

// ---- for clients

/// Finds the project's daemon, or starts one; it answers when this returns. With it comes what a new one had to say.
pub async fn ensure(layout: &Layout) -> Result<(Client, Option<String>), Problem> {
    layout.make()?;
    // One client at a time looks and starts: two at once would start two, of which one would fail.
    let _starting = Claim::wait(&layout.start_lock())?;
    soloist_os::fail_point!("client.start-lock-taken");
    let client = Client::new(&layout.daemon_socket());
    if client.is_answered().await {
        return Ok((client, None));
    }
    match start(layout) {
        Ok(said) => Ok((client, said)),
        // It was about to end, or to become another binary, when it was asked: and is there.
        Err(_) if client.is_answered().await => Ok((client, None)),
        Err(problem) => Err(problem),
    }
}

/// Finds the project's daemon. One that died while it had something to do is started anew: it takes everything over.
pub async fn existing(layout: &Layout) -> Result<Option<(Client, Option<String>)>, Problem> {
    if !layout.exists() {
        return Ok(None);
    }
    let client = Client::new(&layout.daemon_socket());
    if client.is_answered().await {
        return Ok(Some((client, None)));
    }
    if has_something_to_do(layout) {
        return ensure(layout).await.map(Some);
    }
    Ok(None)
}

/// Whether the project's daemon died while it had something to do, and is not back yet.
pub async fn is_missed(layout: &Layout) -> bool {
    has_something_to_do(layout) && !Client::new(&layout.daemon_socket()).is_answered().await
}

/// Whether a daemon of this project left services running, or wanted.
fn has_something_to_do(layout: &Layout) -> bool {
    // A guard whose tree is empty is about to go: what is wanted all the same is in the ledger. What a killed guard left of
    // this boot is still to be ended, whoever stopped it.
    let boot = soloist_os::boot_id().ok();
    let is_left = |record: &Record| {
        record.holder == Holder::Daemon && !record.ended && Some(&record.guard.boot) == boot.as_ref()
    };
    all(&layout.state()).iter().any(is_left) || Ledger::is_abandoned(&layout.ledger())
}

/// Starts a daemon and waits for its word.
fn start(layout: &Layout) -> Result<Option<String>, Problem> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(DAEMON_ARGUMENT).arg(&layout.root).current_dir(&layout.root);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Were this run inside a service of the project, its daemon would carry that service's cookie.
    for name in RUN_VARIABLES {
        command.env_remove(name);
    }
    let mut child = command.spawn()?;
    soloist_os::fail_point!("client.daemon-started");
    let mut said = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut said)?;
    }
    soloist_os::fail_point!("client.word-heard");
    match said.trim_end().strip_suffix(READY) {
        Some("") => Ok(None),
        Some(warning) => Ok(Some(warning.trim_end().to_owned())),
        None => {
            let _ = child.wait();
            // Killed on its way, most likely: that is no reason not to try again.
            let (code, said) = match said.trim_end() {
                "" => (Code::Ending, "it ended without a word"),
                said => (Code::Error, said),
            };
            let hint = format!("its log is {}", layout.daemon_log().display());
            Err(Problem::new(code, format!("the daemon did not start: {said}")).hint(hint))
        }
    }
}

/// Waits until a daemon that is ending has ended.
pub fn wait_for_end(pid: u32) -> io::Result<()> {
    match Identity::of(pid).ok().and_then(|identity| identity.pin()) {
        Some(daemon) => daemon.wait(PREDECESSOR_LIMIT).map(drop),
        None => Ok(()),
    }
}

/// The project's folder: the given one, else the nearest parent of the current one with a soloist.toml, else the current.
pub fn project_folder(given: Option<&Path>) -> io::Result<PathBuf> {
    if let Some(given) = given {
        return match given.canonicalize() {
            Ok(path) if path.is_dir() => Ok(path),
            Ok(path) => Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{} is not a folder", path.display()),
            )),
            Err(e) => Err(soloist_os::layout::named(e, "cannot use the project folder", given)),
        };
    }
    let here = std::env::current_dir()?;
    let nearest = here.ancestors().find(|folder| folder.join(crate::config::FILE_NAME).is_file());
    Ok(nearest.unwrap_or(&here).to_owned())
}

#[cfg(test)]
mod tests {
    use soloist_os::identity::Identity;
    use soloist_os::record::Record;

    use super::*;

    #[test]
    fn a_guard_that_is_about_to_go_needs_no_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        for ended in [false, true] {
            let record = serde_json::json!({
                "version": 1, "instance": "api", "project": folder.path(), "holder": "daemon", "run_id": "1",
                "guard": Identity::mine().unwrap(), "command": ["api"], "since_ms": 1, "ended": ended,
            });
            let record: Record = serde_json::from_value(record).unwrap();
            record.write(&layout.place("api")).unwrap();
            assert_eq!(has_something_to_do(&layout), !ended);
        }
    }
}
