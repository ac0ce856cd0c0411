//! What was changed at run time since soloist.toml was written: keys of keyed services, schedules, windows. Small files
//! beside the ledger, read with every soloist.toml; they outlive daemon and machine. Who changes keys is `keys.rs`, who
//! changes schedules `schedules.rs`.

use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use soloist_api::error::{Code, Problem};
use soloist_os::layout::Layout;
use soloist_os::own_file;
use soloist_os::record::replace;

use crate::config::{Changes, Config, ConfigError};

/// The project's configuration as it is now: its file, and what was changed since.
///
/// # Errors
/// A faulty soloist.toml, or a file of changes that is not readable.
pub fn config(layout: &Layout) -> Result<Config, ConfigError> {
    Config::load_with(&layout.root, &read(layout)?)
}

/// The same; a project without a soloist.toml declares nothing.
pub fn config_or_empty(layout: &Layout) -> Result<Config, Problem> {
    match config(layout) {
        Ok(config) => Ok(config),
        Err(e) if e.is_missing() => Ok(Config::empty(&layout.root)),
        Err(e) => Err(bad(&e)),
    }
}

/// All that was changed.
///
/// # Errors
/// A file that is there and cannot be read or understood, with what to do.
pub fn read(layout: &Layout) -> Result<Changes, ConfigError> {
    let changes: Changes = of(&layout.schedules())?;
    Ok(Changes { keys: of(&layout.keys())?, ..changes })
}

/// Reads the configuration with these changes and writes one kind of them down; what is refused leaves all as it was.
pub(crate) fn keep<T: Serialize>(
    layout: &Layout,
    changes: &Changes,
    path: &Path,
    kind: &T,
) -> Result<Config, Problem> {
    let config = Config::load_with(&layout.root, changes).map_err(|e| bad(&e))?;
    let bytes = serde_json::to_vec_pretty(kind).map_err(std::io::Error::other)?;
    replace(path, &bytes)?;
    Ok(config)
}

pub(crate) fn bad(error: &ConfigError) -> Problem {
    Problem::new(Code::BadConfig, error.to_string())
}

fn of<T: DeserializeOwned + Default>(path: &Path) -> Result<T, ConfigError> {
    let bytes = match own_file::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(T::default()),
        Err(e) => return Err(ConfigError::unreadable(path, &e)),
    };
    serde_json::from_slice(&bytes).map_err(|e| {
        let why = format!("{e}; remove it to go by soloist.toml alone");
        ConfigError::unreadable(path, &std::io::Error::new(ErrorKind::InvalidData, why))
    })
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
