//! Many starters at once, by every door, from several shells: never two alive, and who loses says who won.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use e2e::daemon::answering;
use e2e::{Background, Identity, LIMIT, Project, binaries, puppet, quoted, wait_until};

const ROUNDS: usize = 20;
const SHELLS: usize = 8;
const STARTERS: usize = SHELLS * 8;
/// The declared service lives so long; the puppet of starter n so long plus n: its command line tells who started it.
const LIFE: usize = 1000;

/// One shell's part: it waits at the gate, then starts its eight at once. In some rounds each `run` comes a little
/// late: it is quicker than a question to a daemon and would always win.
const SHELL: &str = r#"
read _ <gate
for i in 1 2 3 4 5 6 7 8; do
    n=$(($1 * 8 + i))
    case $((n % 3)) in
    0) ([ $2 = early ] || sleep 0.0$((n % 5 + 1)); "$SOLOIST" run worker -- "$PUPPET" --token-file token --life $((1000 + n)) >out.$n 2>err.$n; echo $? >code.$n) & ;;
    1) ("$SOLOIST" start worker >out.$n 2>err.$n; echo $? >code.$n) & ;;
    2) ("$SOLOIST" ensure worker >out.$n 2>err.$n; echo $? >code.$n) & ;;
    esac
done
wait
"#;

#[test]
fn of_64_starters_at_once_exactly_one_wins_and_the_others_name_it() {
    let token = "token".to_owned();
    let life = LIFE.to_string();
    let command = quoted(&puppet(&["--token-file", &token, "--life", &life]));
    let project = Project::new(&format!("[services.worker]\ncommand = {command}\nrestart = \"no\"\n"));
    for round in 0..ROUNDS {
        one_round(&project, round);
    }
    let journal = project.journal();
    assert_eq!(journal.starts().len(), ROUNDS, "one start a round: {journal:?}");
    assert!(journal.overlaps().is_empty(), "{journal:?}");
}

/// One round. Every other one finds a daemon, and then each `run` comes late, so that each door wins at times.
fn one_round(project: &Project, round: usize) {
    for n in 1..=STARTERS {
        for kind in ["out", "err", "code"] {
            let _ = std::fs::remove_file(project.folder().join(format!("{kind}.{n}")));
        }
    }
    let mut shells = start_at_once(project, if round.is_multiple_of(2) { "early" } else { "late" });

    // Who won is told by the winner's own command line.
    let winner = wait_until("somebody has won", LIMIT, || {
        let journal = project.journal();
        match journal.starts().get(round) {
            Some(winner) => Ok(*winner),
            None => Err(format!("{:?}\n{}\n{}", codes(project), sayings(project), project.diary())),
        }
    });
    let runner = winner_of_run(&winner);
    // A daemon holds the claim before the guard is there.
    let daemon = runner.is_none().then(|| {
        wait_until("its daemon answers", LIMIT, || answering(project).ok_or_else(|| project.diary())).pid
    });
    let names: BTreeSet<u32> = ancestors(winner.pid).into_iter().chain([winner.pid]).chain(daemon).collect();
    let losers: Vec<usize> = (1..=STARTERS).filter(|n| Some(*n) != runner).collect();
    wait_until("all losers have ended", LIMIT, || {
        let codes = codes(project);
        if losers.iter().all(|n| codes.contains_key(n)) {
            return Ok(());
        }
        Err(format!("of {} only {codes:?}\n{}", losers.len(), project.diary()))
    });
    assert!(winner.is_alive(), "round {round}: the winner {winner} died\n{}", project.diary());

    let codes = codes(project);
    for n in losers {
        let code = codes[&n];
        let said = format!("{}{}", project.read(&format!("out.{n}")), project.read(&format!("err.{n}")));
        // A second `start` or `ensure` of the daemon's own service finds it done; what a `run` holds, `ensure` accepts.
        let expected = match (n % 3, runner) {
            (0, _) | (1, Some(_)) => 75,
            _ => 0,
        };
        let door = ["run", "start", "ensure"][n % 3];
        assert_eq!(
            code, expected,
            "round {round}: `{door}` ended with {code}, winner {winner}, said: {said}"
        );
        if code == 75 {
            let mut numbers = said.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
            assert!(
                numbers.any(|number| names.contains(&number)),
                "round {round}: `{door}` lost and named none of {names:?}: {said}"
            );
        }
    }

    // Every other round begins without a daemon.
    let end: &[&str] = if round.is_multiple_of(2) { &["stop", "worker"] } else { &["down"] };
    if runner.is_some() && !round.is_multiple_of(2) {
        project.soloist(&["stop", "worker"]).expect(0);
    }
    project.soloist(end).expect(0);
    assert!(!winner.is_alive(), "round {round}: {winner} lives after `{end:?}`");
    for shell in &mut shells {
        shell.wait(LIMIT);
    }
    let journal = project.journal();
    assert_eq!(journal.starts().len(), round + 1, "round {round}: {journal:?}\n{}", project.diary());
    assert!(journal.overlaps().is_empty(), "round {round}: {journal:?}");
}

fn start_at_once(project: &Project, runs: &str) -> Vec<Background> {
    let gate = project.folder().join("gate");
    let _ = std::fs::remove_file(&gate);
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let shells: Vec<Background> = (0..SHELLS)
        .map(|shell| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", SHELL, "sh", &shell.to_string(), runs]);
            command.env("SOLOIST", &binaries().soloist).env("PUPPET", &binaries().puppet);
            project.dress(&mut command);
            let stem = project.folder().join(format!("shell-{shell}"));
            Background::start(&mut command, &format!("shell {shell}"), &stem)
        })
        .collect();
    // As long as the gate has a writer, a shell that opens it stays in its read; without one all of them go on.
    let writer = std::fs::OpenOptions::new().write(true).open(&gate).unwrap();
    for shell in &shells {
        wait_until("the shell waits at the gate", LIMIT, || {
            let stdin = std::fs::read_link(format!("/proc/{}/fd/0", shell.pid())).unwrap_or_default();
            if stdin == gate { Ok(()) } else { Err(stdin.display().to_string()) }
        });
    }
    drop(writer);
    shells
}

/// The exit codes that are known by now, by starter.
fn codes(project: &Project) -> BTreeMap<usize, i32> {
    let code = |n: usize| Some((n, project.read(&format!("code.{n}")).trim().parse().ok()?));
    (1..=STARTERS).filter_map(code).collect()
}

fn sayings(project: &Project) -> String {
    (1..=STARTERS).map(|n| project.read(&format!("err.{n}"))).collect()
}

/// Which `run` started this puppet; `None` if the daemon did.
fn winner_of_run(winner: &Identity) -> Option<usize> {
    let command = winner.command();
    let life = command.split(' ').skip_while(|word| *word != "--life").nth(1);
    let life: usize =
        life.and_then(|life| life.parse().ok()).unwrap_or_else(|| panic!("no life in `{command}`"));
    (life > LIFE).then(|| life - LIFE)
}

/// The parents of a process up to the first shell: its guard, and whoever started that.
fn ancestors(pid: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    let is_soloist = |pid: &u32| {
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        exe.file_name() == Path::new(&binaries().soloist).file_name()
    };
    std::iter::successors(parent(pid), |pid| parent(*pid)).take_while(is_soloist).collect()
}
