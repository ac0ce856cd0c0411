//! Whether a process would start another one again when that ends: asked of the parents of a process that is pinned
//! already, never to find somebody. Told by what both run; the one list of programs that watch over others is here.

use soloist_os::ports::Owner;

/// What a parent is to what it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// It may start it again, for this reason, and is there for that.
    Starter(&'static str),
    /// It watches over others as well; this command of its own has it let go.
    Supervisor(&'static str),
    /// Somebody sits there, or much else hangs on it: it is not ended, whatever it does.
    Spared,
    /// It has only started it.
    Other,
}

/// Programs that start again what they started, by name: reloaders, runners of scripts and of several commands at once.
const STARTERS: &[&str] = &[
    "nodemon",
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "bun",
    "bunx",
    "tsx",
    "ts-node-dev",
    "concurrently",
    "forever",
    "watchexec",
    "entr",
    "air",
    "cargo-watch",
    "watchmedo",
    "reflex",
    "hupper",
    "gow",
    "foreman",
    "honcho",
    "hivemind",
];

/// Supervisors, and what has them let go of one.
const SUPERVISORS: &[(&str, &str)] = &[
    ("pm2", "`pm2 stop`"),
    ("supervisord", "`supervisorctl stop`"),
    ("circusd", "`circusctl stop`"),
    ("runsv", "`sv down`"),
    ("supervise", "`svc -d`"),
    ("s6-supervise", "`s6-svc -d`"),
];

/// What sessions and machines hang on.
const SPARED: &[&str] = &[
    "systemd",
    "init",
    "tini",
    "sshd",
    "sshd-session",
    "login",
    "su",
    "sudo",
    "cron",
    "crond",
    "atd",
    "tmux",
    "screen",
    "zellij",
    "containerd-shim",
    "conmon",
    "dockerd",
    "code",
    "code-server",
    "cursor",
    "emacs",
    "vim",
    "nvim",
    "xterm",
    "konsole",
    "gnome-terminal-server",
    "kitty",
    "alacritty",
];

const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "fish", "ash", "busybox"];

/// What a parent is to its child.
pub(super) fn of(parent: &Owner, child: &Owner) -> Parent {
    let running = Running::of(&parent.command);
    let is_named = |names: &[&str]| names.iter().any(|name| running.is(name));
    if let Some((_, remedy)) = SUPERVISORS.iter().find(|(name, _)| running.is(name)) {
        return Parent::Supervisor(remedy);
    }
    if is_named(STARTERS) {
        return Parent::Starter("it starts again what it runs");
    }
    if SHELLS.contains(&running.program.as_str()) {
        // Without a script it reads what somebody types.
        let is_scripted = running.script.is_some();
        return if is_scripted { Parent::Starter("its script may start it again") } else { Parent::Spared };
    }
    if is_named(SPARED) {
        return Parent::Spared;
    }
    if is_same_program(parent, child) {
        return Parent::Starter("it runs the same program, and starts it again");
    }
    Parent::Other
}

/// A reloader, or a master of workers: it forked itself, or executed itself or the same script once more.
fn is_same_program(parent: &Owner, child: &Owner) -> bool {
    let (above, below) = (Running::of(&parent.command), Running::of(&child.command));
    let is_spawned = || child.command.iter().any(|word| word == "--multiprocessing-fork");
    let is_script = || {
        below
            .script
            .as_ref()
            .is_some_and(|script| parent.command.iter().any(|word| file_name(word) == script))
    };
    // python3 and python3.11 are one.
    let unversioned =
        |program: &str| program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_owned();
    let is_one = unversioned(&above.program) == unversioned(&below.program);
    is_one && !below.program.is_empty() && (parent.command == child.command || is_spawned() || is_script())
}

/// What a command line runs.
struct Running {
    /// The program, without folder and the marks of login shells and titles.
    program: String,
    /// The script or module that an interpreter has, or the text that it was given.
    script: Option<String>,
}

impl Running {
    fn of(command: &[String]) -> Running {
        // A program that wrote itself a title, `npm run dev`, has one word.
        let words: Vec<&str> = match command {
            [title] => title.split_whitespace().collect(),
            words => words.iter().map(String::as_str).collect(),
        };
        let program = file_name(words.first().unwrap_or(&"")).trim_start_matches('-').trim_end_matches(':');
        let mut rest = words.iter().skip(1);
        let mut script = None;
        while let Some(word) = rest.next() {
            match *word {
                "-r" | "--require" | "--import" | "-W" | "-X" | "-o" => drop(rest.next()),
                "-m" => script = rest.next(),
                flag if is_text(flag) => script = rest.next(),
                flag if flag.starts_with(['-', '+']) => {}
                _ => script = Some(word),
            }
            if script.is_some() {
                break;
            }
        }
        Running { program: program.to_owned(), script: script.map(|script| file_name(script).to_owned()) }
    }

    fn is(&self, name: &str) -> bool {
        let script = self.script.as_deref().unwrap_or_default();
        let stem = script.trim_end_matches(".js").trim_end_matches(".cjs").trim_end_matches(".mjs");
        self.program.eq_ignore_ascii_case(name) || stem == name
    }
}

/// `-c`, also among other letters: `bash -lc TEXT`.
fn is_text(flag: &str) -> bool {
    flag.strip_prefix('-').is_some_and(|letters| letters.ends_with('c') && !letters.starts_with('-'))
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(command: &[&str]) -> Owner {
        Owner {
            pid: 7,
            uid: 0,
            started_ms: None,
            start_ticks: 0,
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            dir: None,
            cgroup: None,
            parent: None,
            state: 'S',
            wait_channel: None,
        }
    }

    #[track_caller]
    fn is_starter(parent: &[&str], child: &[&str]) {
        let found = of(&process(parent), &process(child));
        assert!(matches!(found, Parent::Starter(_)), "{found:?}");
    }

    #[test]
    fn what_starts_its_child_again_is_known() {
        let server = &["node", "web.js"];
        is_starter(&["npm run dev"], &["sh", "-c", "node --watch web.js"]);
        is_starter(&["sh", "-c", "node --watch web.js"], &["node", "--watch", "web.js"]);
        is_starter(&["node", "--watch", "web.js"], &["/usr/bin/node", "/srv/web.js"]);
        is_starter(&["node", "/srv/node_modules/.bin/nodemon", "web.js"], server);
        is_starter(&["node", "/usr/lib/node_modules/pnpm/bin/pnpm.cjs", "dev"], server);
        is_starter(&["/bin/bash", "-euo", "pipefail", "-lc", "while true; do x; done"], server);
        is_starter(&["bash", "./run-forever.sh"], server);
        let fork =
            &["/v/bin/python3.11", "-c", "from multiprocessing.spawn import …", "--multiprocessing-fork"];
        is_starter(&["/v/bin/python3", "/v/bin/uvicorn", "app:app", "--reload"], fork);
        is_starter(&["python", "-m", "flask", "run"], &["/usr/bin/python3", "/v/bin/flask", "run"]);
        is_starter(&["python", "/v/bin/gunicorn", "app"], &["python", "/v/bin/gunicorn", "app"]);
        is_starter(&["/srv/server"], &["/srv/server"]);
    }

    #[test]
    fn who_only_started_it_is_let_alone() {
        let server = &["python", "app.py"];
        let of = |parent: &[&str]| of(&process(parent), &process(server));
        for shell in [&["-bash"][..], &["bash"], &["/usr/bin/zsh", "-l"], &["bash", "-i"]] {
            assert_eq!(of(shell), Parent::Spared, "{shell:?}");
        }
        assert_eq!(of(&["tmux: server"]), Parent::Spared);
        assert_eq!(of(&["sshd: ada@pts/1"]), Parent::Spared);
        assert_eq!(of(&["/opt/ide/launcher", "--all"]), Parent::Other);
        assert_eq!(of(&["python", "other.py"]), Parent::Other);
        assert_eq!(of(&[]), Parent::Other);
        assert_eq!(of(&["PM2 v5.3.0: God Daemon (~/.pm2)"]), Parent::Supervisor("`pm2 stop`"));
        assert_eq!(
            of(&["/usr/bin/python3", "/usr/bin/supervisord"]),
            Parent::Supervisor("`supervisorctl stop`")
        );
    }
}
