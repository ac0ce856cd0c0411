//! A real browser, and the programs in `e2e/browser/` that drive it beside a project.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Background, Project, binaries, program, skip_loudly};

const LIMIT: Duration = Duration::from_secs(240);

/// What a browser needs.
#[derive(Debug)]
pub struct Browser {
    packages: PathBuf,
    chromium: PathBuf,
    node: PathBuf,
}

impl Browser {
    /// What is installed; where something is missing, the test is skipped, loudly.
    #[track_caller]
    pub fn installed() -> Option<Browser> {
        let standard = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/browser");
        let place = std::env::var_os("E2E_BROWSER").map_or(standard, PathBuf::from);
        let packages = place.canonicalize().ok().filter(|place| place.join("stamp").exists());
        match (packages, program("chromium"), program("node")) {
            (Some(packages), Some(chromium), Some(node)) => Some(Browser { packages, chromium, node }),
            _ => {
                skip_loudly("no browser is installed; run e2e/browser/install");
                None
            }
        }
    }

    /// Runs one of the programs beside a project, with more in its environment, to its end, and gives what it measured.
    #[track_caller]
    pub fn play(&self, name: &str, project: &Project, more: &[(&str, &str)]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser").join(name);
        let mut command = Command::new(&self.node);
        project.dress(command.arg(script));
        command
            .env("E2E_BROWSER", &self.packages)
            .env("CHROMIUM", &self.chromium)
            .env("SOLOIST", &binaries().soloist)
            .env("PROJECT", project.folder())
            .envs(more.iter().copied());
        let mut played = Background::start(&mut command, name, &project.folder().join(name));
        played.wait(LIMIT).expect(0).stdout
    }
}
