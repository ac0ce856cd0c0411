//! On what it was measured: date, kernel, processors, their load, the file system below, and the versions.

use std::path::Path;
use std::time::Duration;

use crate::binaries::{Binaries, find, first_line};

/// One line for a section. `folder` is where the state lay: its file system decides what a record costs.
pub fn line(binaries: &Binaries, packages: &[&str], folder: &Path) -> String {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    let folder = folder.to_string_lossy();
    let below = first_line("findmnt".as_ref(), &["-n", "-o", "FSTYPE", "-T", &folder])
        .unwrap_or_else(|| "unknown".to_owned());
    let commit =
        first_line("git".as_ref(), &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
    let mut versions = vec![format!(
        "{} ({})",
        first_line(&binaries.soloist, &["--version"]).unwrap_or_else(|| "soloist".to_owned()),
        commit.unwrap_or_else(|| "no commit".to_owned())
    )];
    versions.extend(packages.iter().map(|package| {
        // Few of these programs tell their versions; the package manager does.
        let known = first_line("dpkg-query".as_ref(), &["-W", "-f", "${Version}", package])
            .or_else(|| of_npm(package))
            .or_else(|| first_line(&find(package)?, &["--version"]));
        format!("{package} {}", known.unwrap_or_else(|| "of unknown version".to_owned()))
    }));
    format!("{now}, Linux {kernel}, {cpus} CPUs ({}), {below}; {}.", load(), versions.join(", "))
}

/// The version of a program that npm installed. It is not asked itself: pm2 would start its daemon to answer.
fn of_npm(package: &str) -> Option<String> {
    let program = find(package)?.canonicalize().ok()?;
    let manifest = std::fs::read(program.parent()?.parent()?.join("package.json")).ok()?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
    Some(manifest.get("version")?.as_str()?.to_owned())
}

/// How busy others keep the machine: what the last five minutes and the last ten seconds say.
fn load() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let average = read("/proc/loadavg").split(' ').nth(1).unwrap_or("?").to_owned();
    let pressure = read("/proc/pressure/cpu");
    let share = pressure
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("avg10="))
        .unwrap_or("?")
        .to_owned();
    format!("load {average}, CPU pressure {share} %")
}

/// The monotonic clock in nanoseconds, as a beacon tells it.
pub fn now_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Asks again until the answer is yes; says whether it came within the limit.
pub fn wait_until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + limit;
    loop {
        if is_so() {
            return true;
        }
        if std::time::Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
