//! The binaries under test, built once per test process, so that no test can use a stale one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where the built programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The program under test.
    pub soloist: PathBuf,
    /// The obedient and disobedient child.
    pub puppet: PathBuf,
    /// What a pipe tells it to do, it does.
    pub actor: PathBuf,
    /// The market-data app.
    pub market: PathBuf,
}

/// Names a folder where they were built already.
pub const BUILT: &str = "E2E_BINARIES";

/// Builds them into the target folder, and with the profile, of the running test; the second call
/// gives what the first one found.
#[track_caller]
pub fn binaries() -> &'static Binaries {
    static READY: OnceLock<Result<Binaries, String>> = OnceLock::new();
    match READY.get_or_init(found) {
        Ok(binaries) => binaries,
        Err(why) => panic!("the programs under test cannot be built: {why}"),
    }
}

fn found() -> Result<Binaries, String> {
    let Some(folder) = std::env::var_os(BUILT).map(PathBuf::from) else { return build() };
    let at = |name: &str| folder.join(name);
    Ok(Binaries { soloist: at("soloist"), puppet: at("puppet"), actor: at("actor"), market: at("market") })
}

/// The program under test with fail points, built the same way into a file of its own name.
#[track_caller]
pub fn with_fail_points() -> &'static Path {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let name = "soloist-fail-points";
    let arguments = ["-p", "soloist", "--bin", name, "--features", "soloist/fail-points"];
    match BUILT.get_or_init(|| cargo_builds(&arguments, &[name]).map(|mut built| built.remove(0))) {
        Ok(path) => path,
        Err(why) => panic!("the program with fail points cannot be built: {why}"),
    }
}

impl Binaries {
    /// Copies soloist, by a process of its own: what another test forks meanwhile would hold the copy open for writing, and
    /// it could not be executed (execve(2), ETXTBSY).
    pub fn copy_soloist(&self, to: &Path) {
        let copied = Command::new("cp").arg(&self.soloist).arg(to).status();
        assert!(copied.as_ref().is_ok_and(|status| status.success()), "cp to {}: {copied:?}", to.display());
    }
}

fn build() -> Result<Binaries, String> {
    let names = ["soloist", "puppet", "actor", "market"];
    let arguments = ["-p", "soloist", "-p", "market", "-p", "e2e", "--bins"];
    let built = cargo_builds(&arguments, &names)?;
    let [soloist, puppet, actor, market] = built.try_into().map_err(|_| "a program is missing")?;
    Ok(Binaries { soloist, puppet, actor, market })
}

/// Builds with these arguments; where the programs of these names are then.
fn cargo_builds(arguments: &[&str], names: &[&str]) -> Result<Vec<PathBuf>, String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let place = BuildPlace::of(&exe).ok_or_else(|| format!("{} is in no target folder", exe.display()))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.arg("build").args(arguments).args(["--message-format", "json-render-diagnostics"]);
    command.arg("--profile").arg(&place.profile).arg("--target-dir").arg(&place.target);
    if let Some(triple) = &place.triple {
        command.arg("--target").arg(triple);
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    let output = command.output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let built = |name: &str| {
        let messages = output.stdout.split(|byte| *byte == b'\n');
        let artifacts = messages.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
        let mut named = artifacts.filter(|message| message["target"]["name"] == name);
        let found = named.find_map(|message| message["executable"].as_str().map(PathBuf::from));
        found.ok_or_else(|| format!("cargo built no program `{name}`"))
    };
    names.iter().map(|name| built(name)).collect()
}

/// What the path of a test tells, `target[/triple]/folder of the profile/deps/test-hash`, or that of a program, which has
/// no `deps`.
struct BuildPlace {
    target: PathBuf,
    triple: Option<OsString>,
    profile: OsString,
}

impl BuildPlace {
    fn of(exe: &Path) -> Option<BuildPlace> {
        let beside = exe.parent()?;
        let folder = if beside.ends_with("deps") { beside.parent()? } else { beside };
        let profile = match folder.file_name()? {
            name if name == "debug" => OsString::from("dev"),
            name => name.to_owned(),
        };
        let above = folder.parent()?;
        // Cargo marks the top of a target folder; with `--target` there is a folder in between.
        if above.join("CACHEDIR.TAG").exists() || above.join(".rustc_info.json").exists() {
            return Some(BuildPlace { target: above.to_owned(), triple: None, profile });
        }
        Some(BuildPlace {
            target: above.parent()?.to_owned(),
            triple: Some(above.file_name()?.to_owned()),
            profile,
        })
    }
}
