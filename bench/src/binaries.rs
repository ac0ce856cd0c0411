//! The programs that are measured: soloist and market, built with the bench's own profile so that no stale one is, and
//! the peers, where they are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The programs of this project.
#[derive(Debug)]
pub struct Binaries {
    /// The command line and the daemon.
    pub soloist: PathBuf,
    /// The workload.
    pub market: PathBuf,
    /// The child that says when it began.
    pub beacon: PathBuf,
    /// The job that writes down when it began and when it was due.
    pub stamp: PathBuf,
}

impl Binaries {
    /// Builds them beside the running bench.
    pub fn build() -> Result<Binaries> {
        let folder = std::env::current_exe()?.parent().context("the bench lies in no folder")?.to_owned();
        let target = folder.parent().filter(|above| above.join(".rustc_info.json").exists());
        if let (Some(target), Some(name)) = (target, folder.file_name()) {
            if name == "debug" {
                eprintln!(
                    "WARNING: this is a debug build; its figures mean nothing (cargo run --release -p bench)"
                );
            }
            let profile = if name == "debug" { "dev".as_ref() } else { name };
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let built = Command::new(cargo)
                .args([
                    "build",
                    "--quiet",
                    "-p",
                    "soloist",
                    "-p",
                    "market",
                    "-p",
                    "bench",
                    "--bins",
                    "--profile",
                ])
                .arg(profile)
                .arg("--target-dir")
                .arg(target)
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .stdin(Stdio::null())
                .status()
                .context("cannot run cargo")?;
            ensure!(built.success(), "soloist and market cannot be built: {built}");
        }
        let beside = |name: &str| match folder.join(name) {
            path if path.exists() => Ok(path),
            path => bail!("{} is missing; build the workspace", path.display()),
        };
        Ok(Binaries {
            soloist: beside("soloist")?,
            market: beside("market")?,
            beacon: beside("beacon")?,
            stamp: beside("stamp")?,
        })
    }

    /// Where they lie.
    pub fn folder(&self) -> Result<&Path> {
        self.beacon.parent().context("the programs lie in no folder")
    }
}

/// Where peers may lie that are not on the PATH: folders, separated as there.
const PEERS: &str = "SOLOIST_BENCH_PEERS";

/// Where the bench installs peers: `peers` beside the folder of its profile. Each has a folder with its `bin`.
pub fn installed() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.ancestors().nth(2).context("the bench lies in no target folder")?.join("peers"))
}

/// Finds a peer's program. One that is missing is skipped, loudly.
pub fn peer(program: &str, package: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        eprintln!(
            "SKIPPED: {program} of {package} is neither on the PATH nor in a folder of {PEERS} (cargo xtask bench \
             installs it)"
        );
    }
    found
}

/// The program in the folders of the peers, or on the PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    all(program).next()
}

/// The program wherever it is, in the order in which it is looked for.
pub fn all(program: &str) -> impl Iterator<Item = PathBuf> {
    let named = |name| {
        let paths = std::env::var_os(name).unwrap_or_default();
        std::env::split_paths(&paths).collect::<Vec<PathBuf>>()
    };
    let entries = installed().and_then(|folder| Ok(std::fs::read_dir(folder)?)).into_iter().flatten();
    let own = entries.flatten().map(|entry| entry.path().join("bin"));
    let folders = named(PEERS).into_iter().chain(own).chain(named("PATH"));
    folders.map(move |folder| folder.join(program)).filter(|path| path.is_file())
}

/// What a command prints in its first line; nothing if it cannot be run.
pub fn first_line(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
