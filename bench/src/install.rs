//! Installs the peers that a measurement needs and that are not here: from Debian, PyPI, npm and crates.io, each into a
//! folder of its own below `target/peers`. The versions are fixed, so that figures can be compared.
//!
//! process-compose is not among them: none of these has it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

use crate::Measurement::{self, *};
use crate::binaries::{self, find, first_line, installed};

/// Something to be installed, and what shows that it is there.
struct Wanted {
    from: From,
    packages: &'static [&'static str],
    shown_by: Shown,
    /// Who needs it.
    by: &'static [Measurement],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Debian,
    PyPi,
    Npm,
    Crates,
}

enum Shown {
    Program(&'static str),
    /// A python3 of the peers can do this.
    Python(&'static str),
}

/// Those that lack them do without: a section says whom it compares.
const WANTED: &[Wanted] = &[
    debian(&["runit"], "runsvdir", &[Restart, Memory, Scale, Logs, Tree, Death, Twice, Singleton]),
    debian(&["s6"], "s6-svscan", &[Restart, Memory, Scale, Logs, Tree, Death, Twice, Singleton]),
    debian(&["wrk"], "wrk", &[Handover]),
    debian(&["nodejs"], "node", &[Handover, Status, Lateness]),
    debian(&["npm"], "npm", &[Restart, Handover, Scale, Status, Logs, Tree, Death, Twice]),
    debian(&["busybox-static"], "busybox", &[Lateness, Waiting]),
    debian(&["iproute2"], "ss", &[Who]),
    pypi(
        &["supervisor==4.3.0"],
        Shown::Program("supervisord"),
        &[Restart, Scale, Status, Logs, Tree, Death, Twice],
    ),
    pypi(&["circus==0.19.0"], Shown::Program("circusd"), &[Restart, Status, Logs, Tree, Death, Twice]),
    pypi(
        &["apscheduler==3.11.3"],
        Shown::Python("import apscheduler.schedulers.background"),
        &[Lateness, Waiting],
    ),
    pypi(
        &["pandas==3.1.1", "openpyxl==3.1.5", "polars==2.1.0", "fastexcel==0.21.0"],
        Shown::Python("import pandas, openpyxl, polars, fastexcel"),
        &[Market],
    ),
    Wanted {
        from: From::Npm,
        packages: &["pm2@7.0.4"],
        shown_by: Shown::Program("pm2"),
        by: &[Restart, Handover, Scale, Status, Logs, Tree, Death, Twice],
    },
    Wanted {
        from: From::Crates,
        packages: &["pitchfork-cli@2.33.0"],
        shown_by: Shown::Program("pitchfork"),
        by: &[Restart, Scale, Status, Tree, Death, Twice],
    },
];

const fn debian(
    packages: &'static [&'static str],
    program: &'static str,
    by: &'static [Measurement],
) -> Wanted {
    Wanted { from: From::Debian, packages, shown_by: Shown::Program(program), by }
}

const fn pypi(packages: &'static [&'static str], shown_by: Shown, by: &'static [Measurement]) -> Wanted {
    Wanted { from: From::PyPi, packages, shown_by, by }
}

/// Installs what the chosen measurements lack. What cannot be is told and left out.
pub fn all(is_chosen: impl Fn(Measurement) -> bool) {
    let missing = WANTED.iter().filter(|one| one.by.iter().any(|by| is_chosen(*by)) && !one.is_here());
    for one in missing {
        let words = one.packages.join(" ");
        eprintln!("installing {words}");
        if let Err(problem) = one.install() {
            eprintln!("SKIPPED: {words} cannot be installed: {problem:#}");
        }
    }
}

impl Wanted {
    fn is_here(&self) -> bool {
        match self.shown_by {
            Shown::Program(program) => find(program).is_some(),
            Shown::Python(words) => {
                let words = format!("{words}; print(1)");
                binaries::all("python3").any(|python| first_line(&python, &["-c", &words]).is_some())
            }
        }
    }

    fn install(&self) -> Result<()> {
        let name = self.packages[0].split(['=', '@']).next().unwrap_or_default();
        let folder = installed()?.join(name);
        let inside = |path: &str| folder.join(path);
        match self.from {
            From::Debian => {
                ensure!(geteuid().is_root(), "apt-get install {name} needs root");
                let mut command = Command::new("apt-get");
                command.args(["install", "-q", "-y", "--no-install-recommends", name]);
                run(command.env("DEBIAN_FRONTEND", "noninteractive"))
            }
            From::PyPi => {
                run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
                let mut command = Command::new(inside("bin/pip"));
                run(command.args(["install", "-q", "--disable-pip-version-check"]).args(self.packages))
            }
            From::Npm => {
                let mut command = Command::new("npm");
                command.args(["install", "--global", "--no-audit", "--no-fund", "--loglevel", "error"]);
                run(command.arg("--prefix").arg(&folder).args(self.packages))
            }
            From::Crates => {
                // Minutes; whoever works beside it comes first.
                let mut command = Command::new("nice");
                command.args(["cargo", "install", "--locked", "--quiet", "--no-default-features"]);
                run(command.arg("--root").arg(&folder).args(self.packages))
            }
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    let status = status.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(status.success(), "{} ended with {status}", command.get_program().display());
    Ok(())
}
