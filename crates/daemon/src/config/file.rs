//! Reads a further file that soloist.toml names: never a pipe, which would be waited for, nor a device, which has no end.

use std::fs;
use std::path::Path;

/// Far more than an environment or a calendar can be.
const LONGEST: u64 = 1 << 20;

/// Its bytes, or why it cannot be read.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let found = fs::metadata(path).map_err(|reason| reason.to_string())?;
    if !found.is_file() {
        return Err("it is not a file".to_owned());
    }
    if found.len() > LONGEST {
        return Err(format!("it has {} bytes; {LONGEST} are the most", found.len()));
    }
    fs::read(path).map_err(|reason| reason.to_string())
}
