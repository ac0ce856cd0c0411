//! What was changed at run time since soloist.toml was written: keys of keyed services, schedules, windows. Small files
//! beside the ledger, read with every soloist.toml; they outlive daemon and machine. Who changes keys is `keys.rs`, who
//! changes schedules `schedules.rs`.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use soloist_api::error::{Code, Problem};
use soloist_os::layout::{Layout, named};
use soloist_os::record::replace;

use crate::config::{Changes, Config, ConfigError};

/// The project's configuration as it is now: its file, and what was changed since.
///
/// # Errors
/// A faulty soloist.toml, or a file of changes that is not readable.
pub fn config(layout: &Layout) -> Result<Config, ConfigError> {
    match read(layout) {
        Ok(changes) => Config::load_with(&layout.root, &changes),
        Err(e) => Err(ConfigError::unreadable(&layout.state(), &e)),
    }
}

/// The same; a project without a soloist.toml declares nothing.
pub fn config_or_empty(layout: &Layout) -> Result<Config, Problem> {
    match config(layout) {
        Ok(config) => Ok(config),
        Err(e) if e.is_missing() => Ok(Config::empty(&layout.root)),
        Err(e) => Err(Problem::new(Code::BadConfig, e.to_string())),
    }
}

/// All that was changed.
pub(crate) fn read(layout: &Layout) -> io::Result<Changes> {
    let changes: Changes = of(&layout.schedules())?;
    Ok(Changes { keys: of(&layout.keys())?, ..changes })
}

/// Checks the configuration with these changes, and writes one kind of them down; what is refused leaves all as it was.
pub(crate) fn keep<T: Serialize>(
    layout: &Layout,
    changes: &Changes,
    path: &Path,
    kind: &T,
) -> Result<Config, Problem> {
    let config = Config::load_with(&layout.root, changes)
        .map_err(|e| Problem::new(Code::BadConfig, e.to_string()))?;
    let bytes = serde_json::to_vec_pretty(kind).map_err(io::Error::other)?;
    replace(path, &bytes)?;
    Ok(config)
}

fn of<T: DeserializeOwned + Default>(path: &Path) -> io::Result<T> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
            let why = format!("{e}; remove it to go by soloist.toml alone");
            named(io::Error::new(io::ErrorKind::InvalidData, why), "cannot understand", path)
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(e) => Err(named(e, "cannot read", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_understood_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("soloist.toml"), "").unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        for path in [layout.keys(), layout.schedules()] {
            std::fs::write(&path, "{").unwrap();
            let said = config(&layout).unwrap_err().to_string();
            let name = path.file_name().unwrap().to_string_lossy();
            assert!(said.contains(&*name) && said.contains("remove it"), "{said}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
