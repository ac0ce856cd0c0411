//! The fingerprint of what a run is started from: a running instance is restarted for a changed file only if it changed.
//! Counted is what a run keeps until its end. Not counted is what a daemon may change while it runs: restart rules,
//! probes, dependencies, times, schedules.

use std::os::unix::ffi::OsStrExt;

use soloist_core::id::Print;
use soloist_core::plan::Plan;
use soloist_os::guard::{Limits, OnDaemonExit};

use super::{Program, Scope};

/// The fingerprint of what a run of this program is started from.
///
/// The same in every version of soloist: a field at its default is left out, so that a field that is new changes
/// nothing for those who do not use it.
pub fn print(plan: &Plan, program: &Program) -> Print {
    let standard = Program::default();
    let mut text = Text(FNV_OFFSET);
    text.list("command", program.argv.iter().map(String::as_bytes));
    text.one("dir", program.dir.as_os_str().as_bytes());
    text.list("env", program.env.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    text.list("ports", plan.ports.iter().map(u16::to_string));
    text.list(
        "listen",
        program.sockets.iter().flat_map(|socket| [socket.name.clone(), socket.at.to_string()]),
    );
    if program.stop_signal != standard.stop_signal {
        text.one("stop-signal", program.stop_signal.to_string());
    }
    text.list("stop-command", program.stop_command.iter().flatten());
    if program.scope == Scope::Machine {
        text.one("scope", "machine");
    }
    if let Some(path) = &program.pid_file {
        text.one("pid-file", path.as_os_str().as_bytes());
    }
    if plan.notifies {
        text.one("notify", "true");
    }
    if let Some(watchdog) = plan.watchdog {
        text.one("watchdog", watchdog.as_micros().to_string());
    }
    // Its standard input is a pipe.
    if plan.schedule.as_ref().is_some_and(|schedule| schedule.is_ticked) {
        text.one("trigger", "stdin");
    }
    // Only a new run tells it to its guard.
    if program.on_daemon_exit == OnDaemonExit::Stop {
        text.one("on-daemon-exit", "stop");
    }
    limits(&program.limits, &mut text);
    Print(text.0)
}

/// The further groups follow from the user, and change without the file.
fn limits(limits: &Limits, text: &mut Text) {
    let Limits { memory_max, cpu_max, rlimits, nice, umask, user, group, groups: _ } = limits;
    let numbers = [
        ("memory-max", memory_max.map(|bytes| bytes.to_string())),
        ("cpu-max", cpu_max.map(|cpus| cpus.to_string())),
        ("nice", nice.map(|nice| nice.to_string())),
        ("umask", umask.map(|umask| umask.to_string())),
        ("user", user.map(|user| user.to_string())),
        ("group", group.map(|group| group.to_string())),
    ];
    for (name, number) in numbers {
        text.list(name, number);
    }
    let rlimits =
        rlimits.iter().flat_map(|(name, soft, hard)| [name.clone(), soft.to_string(), hard.to_string()]);
    text.list("rlimits", rlimits);
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>. Changes are told apart, nobody is kept out.
struct Text(u64);

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Text {
    fn one(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.list(name, [value]);
    }

    /// Nothing, if the list is empty. Each value has its length before it, so that no two lists give the same text.
    fn list<V: AsRef<[u8]>>(&mut self, name: &str, values: impl IntoIterator<Item = V>) {
        let mut is_first = true;
        for value in values {
            if std::mem::take(&mut is_first) {
                self.add(name.as_bytes());
            }
            let value = value.as_ref();
            self.add(format!(" {}:", value.len()).as_bytes());
            self.add(value);
        }
        if !is_first {
            self.add(b"\n");
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(fields: &[(&str, &[&str])]) -> u64 {
        let mut text = Text(FNV_OFFSET);
        for (name, values) in fields {
            text.list(name, *values);
        }
        text.0
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut text = Text(FNV_OFFSET);
        text.add(b"foobar");
        assert_eq!(text.0, 0x8594_4171_f739_67e8, "the value of the authors' test vectors");
    }

    #[test]
    fn where_one_value_ends_and_the_next_begins_counts() {
        assert_ne!(text_of(&[("a", &["bc", "d"])]), text_of(&[("a", &["b", "cd"])]));
        assert_ne!(text_of(&[("a", &["b\nc 1:d"])]), text_of(&[("a", &["b"]), ("c", &["d"])]));
        assert_eq!(text_of(&[("a", &[])]), text_of(&[]));
    }
}
