//! The project itself: its state folder, its daemon, its commands, what was left over and what ends soon.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use soloist_api::status::Status;
use soloist_os::identity::{Identity, my_uid};
use soloist_os::layout::Layout;
use soloist_os::record::all;

use super::{Finding, instances, section};
use crate::config::{Config, Declared, FILE_NAME};
use crate::schedules;
use crate::watch::{nested, warnings};

/// These serve by the very process that reloads: when it dies, it is gone.
const SERVES_ITSELF: [&str; 6] = ["vite", "next", "nuxt", "astro", "ng", "webpack"];

pub fn examine(layout: &Layout, config: &Config, status: Option<&Status>) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        [privacy(layout), authors(layout), status.and_then(version)].into_iter().flatten().collect();
    found.extend(instances(config).filter_map(missing));
    found.extend(instances(config).filter_map(reloads));
    found.extend(instances(config).flat_map(|one| unwatched(layout, one)));
    let told = instances(config)
        .filter_map(|one| Some((one, schedules::told(one, None, schedules::now())?.warning?)));
    found.extend(told.map(|(one, warning)| {
        Finding::warning("calendar-ends", section(one), warning)
            .because("from then on its hours are not those of the exchange")
            .do_this("take a newer soloist, or declare a calendar file that goes on")
    }));
    found.extend(leftovers(layout));
    found.extend(pid_files(layout, config));
    found
}

fn privacy(layout: &Layout) -> Option<Finding> {
    let state = layout.state();
    let seen = fs::symlink_metadata(&state).ok()?;
    let place = || state.display().to_string();
    if !seen.is_dir() || seen.uid() != my_uid() {
        let what = "the state folder is no folder of this user";
        let finding = Finding::error("state-foreign", place(), what);
        return Some(
            finding.because("soloist refuses to keep claims in it").do_this(format!("move {} away", place())),
        );
    }
    let mode = seen.mode() & 0o777;
    if mode & 0o022 != 0 {
        let what = format!("others may write into the state folder (mode {mode:o})");
        let finding = Finding::error("state-open", place(), what);
        return Some(
            finding
                .because("soloist refuses to keep claims in it: whoever writes there commands what runs here")
                .do_this(format!("look what is in it, then chmod 700 {}", place())),
        );
    }
    (mode & 0o077 != 0).then(|| {
        Finding::warning(
            "state-open",
            place(),
            format!("others may look into the state folder (mode {mode:o})"),
        )
        .because("it has the logs, and the token that lets programs in")
        .do_this(format!("chmod 700 {}", place()))
    })
}

/// Whoever writes `soloist.toml` has his commands run by whoever says `up`.
fn authors(layout: &Layout) -> Option<Finding> {
    let path = layout.root.join(FILE_NAME);
    let seen = fs::metadata(&path).ok()?;
    let who = match seen.uid() {
        _ if seen.mode() & 0o002 != 0 => "everybody".to_owned(),
        uid if uid != my_uid() && uid != 0 => format!("another user (uid {uid})"),
        _ => return None,
    };
    let finding = Finding::warning("config-open", FILE_NAME, format!("{who} may write {FILE_NAME}"));
    let finding = finding.because("what it says is run as this user");
    Some(finding.do_this(format!("read it, then `chown` and `chmod go-w` {}", path.display())))
}

fn version(status: &Status) -> Option<Finding> {
    let (daemon, mine) = (status.daemon.as_ref()?, env!("CARGO_PKG_VERSION"));
    (daemon.version != mine).then(|| {
        let what = format!("the daemon is soloist {}, this is {mine}", daemon.version);
        Finding::warning("other-version", format!("daemon pid {}", daemon.pid), what)
            .because("it does not know what the newer one of them knows")
            .do_this("`soloist upgrade`; no service notices")
    })
}

/// A command that cannot be executed. Of one with a user of its own nothing is said: that one may see more, or less.
fn missing(one: &Declared) -> Option<Finding> {
    if one.program.limits.user.is_some() {
        return None;
    }
    let program = one.program.executable();
    let is_file = |path: &Path| fs::metadata(path).is_ok_and(|found| found.is_file());
    let is_executable = |path: &Path| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let path =
        one.program.env.get("PATH").map(Into::into).or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let is_bare = !program.as_os_str().to_string_lossy().contains('/');
    if is_executable(&program)
        || (is_bare && std::env::split_paths(&path).any(|dir| is_executable(&dir.join(&program))))
    {
        return None;
    }
    let shown = program.display();
    let finding = match (is_bare, is_file(&program)) {
        (true, _) => Finding::error("command-missing", section(one), format!("no `{shown}` is on the PATH"))
            .do_this(format!("install it, or name it with its folder: PATH is {}", path.to_string_lossy())),
        (false, true) => {
            Finding::error("command-missing", section(one), format!("{shown} is not executable"))
                .do_this(format!("chmod +x {shown}"))
        }
        (false, false) => Finding::error("command-missing", section(one), format!("there is no {shown}"))
            .do_this("build or install it, or correct `command` (it counts from `dir`)"),
    };
    Some(finding.because(format!("{} cannot start", one.name)))
}

fn reloads(one: &Declared) -> Option<Finding> {
    let by = nested(one)?;
    let is_server = by.split(' ').next().is_some_and(|word| SERVES_ITSELF.contains(&word));
    (one.plan.liveness.is_none() && !is_server).then(|| {
        Finding::warning("nested-reloader", section(one), format!("`{by}` restarts the server by itself"))
            .because("when the server dies it waits for a changed file, and nobody starts it again")
            .do_this("take it out and use `soloist restart`, or declare `liveness = { http = \"/\" }`")
    })
}

fn unwatched(layout: &Layout, one: &Declared) -> impl Iterator<Item = Finding> {
    let remedy = match nested(one) {
        Some(by) => format!("take `watch` out, or have it started without `{by}`"),
        None => "correct the pattern, or take it out".to_owned(),
    };
    warnings(layout, one).into_iter().map(move |warning| {
        Finding::warning("watch-idle", section(one), warning)
            .because(format!("soloist does not restart {} when these files change", one.name))
            .do_this(remedy.clone())
    })
}

fn leftovers(layout: &Layout) -> impl Iterator<Item = Finding> {
    let lost = all(&layout.state()).into_iter().filter(|record| !record.ended && !record.is_guarded());
    lost.map(|record| {
        let what = format!("the guard of {} (pid {}) is gone", record.instance, record.guard.pid);
        Finding::warning("leftover", record.instance, what)
            .because("processes of its run may live on; the next start ends them before it runs anything")
            .do_this("`soloist cleanup --dry-run` shows them, `soloist cleanup` ends them")
    })
}

/// PID files beside the programs that name nobody any more.
fn pid_files(layout: &Layout, config: &Config) -> Vec<Finding> {
    let mut folders: Vec<PathBuf> = instances(config).map(|one| one.program.dir.clone()).collect();
    folders.push(layout.root.clone());
    folders.sort();
    folders.dedup();
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "pid"));
    paths.extend(instances(config).filter_map(|one| one.program.pid_file.clone()));
    paths.sort();
    paths.dedup();
    let stale = paths.into_iter().filter_map(|path| {
        let pid: u32 = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
        Identity::of(pid).is_err().then_some((path, pid))
    });
    stale
        .map(|(path, pid)| {
            let what = format!("{} names process {pid}, which is gone", path.display());
            Finding::warning("stale-pid-file", path.display().to_string(), what)
                .because("whoever goes by it ends or spares the wrong process, once the number is another's")
                .do_this("remove it; `pid-file = \"…\"` has soloist write one and take it away again")
        })
        .collect()
}
