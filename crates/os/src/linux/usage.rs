//! What the processes of a tree use, as proc_pid_stat(5) has it: one small file each, read only while somebody watches.

use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

use super::ports::{boot_ms, started_ms};
use super::process;
use super::tree;
use crate::usage::{Process, Used};

/// All living descendants of a guard, a parent before its children.
pub fn processes(guard: u32) -> Vec<Process> {
    let boot = boot_ms();
    let told = |pid| {
        let found = Figures::of(pid)?;
        Some(Process {
            pid,
            parent: found.parent,
            command: process::command(pid),
            cpu: span(found.own),
            rss_kib: found.rss_kib,
            started_ms: boot.and_then(|boot| started_ms(boot, found.start)),
        })
    };
    tree::descendants(guard).into_iter().filter_map(told).collect()
}

/// What the tree of a guard uses, and has used.
pub fn used(guard: u32) -> Used {
    let (mut ticks, mut rss_kib) = (0, 0);
    let mut next = vec![guard];
    // Zombies too: their time is nobody else's yet. The bound is against a reading that changes under us.
    for _ in 0..100_000 {
        let Some(pid) = next.pop() else { break };
        if let Some(found) = Figures::of(pid) {
            ticks += found.own + found.waited;
            rss_kib += if pid == guard { 0 } else { found.rss_kib };
            next.extend(process::children(pid));
        }
    }
    Used { cpu: span(ticks), rss_kib }
}

fn span(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / clock_ticks_per_second())
}

/// Fields 4, 14 to 17, 22 and 24.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    parent: u32,
    own: u64,
    /// Of children that were waited for.
    waited: u64,
    start: u64,
    rss_kib: u64,
}

impl Figures {
    fn of(pid: u32) -> Option<Figures> {
        Figures::parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(bytes: &[u8]) -> Option<Figures> {
        // The command may hold spaces and parentheses: the fields count from the last one, which ends field 2.
        let after = bytes.iter().rposition(|b| *b == b')')? + 1;
        let fields: Vec<&str> = std::str::from_utf8(&bytes[after..]).ok()?.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Figures {
            parent: u32::try_from(field(4)?).ok()?,
            own: field(14)? + field(15)?,
            waited: field(16)? + field(17)?,
            start: field(22)?,
            rss_kib: field(24)? * (page_size() as u64 / 1024),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn fields_are_counted_from_the_last_parenthesis() {
        let line = b"42 (a) b (c)) S 7 8 9 0 -1 4194560 1 2 3 4 5 6 70 80 20 0 1 0 12345 99 3 1 1\n";
        let expected =
            Figures { parent: 7, own: 11, waited: 150, start: 12345, rss_kib: 3 * page_size() as u64 / 1024 };
        assert_eq!(Figures::parse(line), Some(expected));
        assert_eq!(Figures::parse(b"42 (x) S 7"), None);
        assert_eq!(Figures::parse(&[0xff; 64]), None);
    }

    #[test]
    fn a_tree_is_told_with_its_time_also_of_those_who_ended() {
        // A child that burns time and ends, one that stays; the shell waits for neither until it has said so.
        let script = "sleep 1000 & sleeper=$!; sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done'; echo $sleeper; cat; kill $sleeper";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let sleeper: u32 = said.trim().parse().unwrap();
        let found = processes(shell.id());
        let sleeping = found.iter().find(|process| process.pid == sleeper).expect("the sleeper");
        assert_eq!(
            (sleeping.parent, &sleeping.command[..]),
            (shell.id(), &["sleep".to_owned(), "1000".to_owned()][..])
        );
        assert!(sleeping.rss_kib > 0 && sleeping.started_ms.is_some());
        let used = used(shell.id());
        assert!(used.cpu > Duration::ZERO, "the time of the child that ended: {used:?}");
        assert!(used.rss_kib >= sleeping.rss_kib);
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!((super::used(shell.id()), processes(shell.id())), (Used::default(), Vec::new()));
    }
}
