//! Real programs: uvicorn, gunicorn, Flask, Celery, npm, as `e2e/real/install` installs them, and the small services
//! in `e2e/real/services` that run on them. `stage.rs` has what must be true of each of them.

pub mod http;
pub mod stage;

use std::path::{Path, PathBuf};

use crate::project::Project;
use crate::skip::{program, skip_loudly};

/// The installed programs.
#[derive(Clone, Debug)]
pub struct Real {
    place: PathBuf,
}

impl Real {
    /// What is installed; where nothing is, the test is skipped, loudly.
    #[track_caller]
    pub fn installed() -> Option<Real> {
        let standard = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/real");
        let place = std::env::var_os("E2E_REAL").map_or(standard, PathBuf::from);
        match place.canonicalize().ok().filter(|place| place.join("stamp").exists()) {
            Some(place) => Some(Real { place }),
            None => {
                skip_loudly(&format!("nothing is installed in {}; run e2e/real/install", place.display()));
                None
            }
        }
    }

    /// A program of the virtual environment: `python`, `uvicorn`, `flask`.
    pub fn python(&self, name: &str) -> String {
        self.place.join("venv/bin").join(name).display().to_string()
    }

    /// npm, as it lies on the PATH.
    #[track_caller]
    pub fn npm(&self) -> String {
        program("npm").expect("e2e/real/install installs npm").display().to_string()
    }

    /// A new project with copies of these services; the Node packages are found in it.
    #[track_caller]
    pub fn project(&self, services: &[&str]) -> Project {
        let project = Project::empty();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("real/services");
        for name in services {
            let text = std::fs::read_to_string(source.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
            project.write(name, &text);
        }
        let packages = self.place.join("node/node_modules");
        std::os::unix::fs::symlink(packages, project.folder().join("node_modules"))
            .unwrap_or_else(|e| panic!("node_modules: {e}"));
        project
    }
}
