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

/// Builds them into the target folder, and with the profile, of the running test; the second call
/// gives what the first one found.
#[track_caller]
pub fn binaries() -> &'static Binaries {
    static BUILT: OnceLock<Result<Binaries, String>> = OnceLock::new();
    match BUILT.get_or_init(build) {
        Ok(binaries) => binaries,
        Err(why) => panic!("the programs under test cannot be built: {why}"),
    }
}

fn build() -> Result<Binaries, String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let place = BuildPlace::of(&exe).ok_or_else(|| format!("{} is in no target folder", exe.display()))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "-p",
        "soloist",
        "-p",
        "market",
        "-p",
        "e2e",
        "--bins",
        "--message-format",
        "json-render-diagnostics",
    ]);
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
    Ok(Binaries {
        soloist: built("soloist")?,
        puppet: built("puppet")?,
        actor: built("actor")?,
        market: built("market")?,
    })
}

/// What the path of a test tells: `target[/triple]/folder of the profile/deps/test-hash`.
struct BuildPlace {
    target: PathBuf,
    triple: Option<OsString>,
    profile: OsString,
}

impl BuildPlace {
    fn of(exe: &Path) -> Option<BuildPlace> {
        let folder = exe.parent()?.parent()?;
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
