//! `stock_cache.json`: the stored quotes as one file for those who read no database. Whoever opens it finds a whole one:
//! it is written aside in the same folder, brought to the disk, and renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use crate::board::quotes::Quote;

/// The whole file.
#[derive(Debug, Serialize)]
pub struct Cache<'a> {
    /// When it was written, in UTC.
    pub updated_at: String,
    /// What the exchange did then.
    pub session: &'a str,
    /// How the last scan went: `whole`, `partial`, `failed`.
    pub status: &'a str,
    /// One line about it.
    pub message: &'a str,
    /// How many quotes there are.
    pub count: usize,
    /// By symbol; each says when it was fetched, and how old it was when this was written.
    pub stocks: &'a [Quote],
}

impl<'a> Cache<'a> {
    /// Of these quotes, now.
    pub fn of(stocks: &'a [Quote], session: &'a str, status: &'a str, message: &'a str) -> Self {
        let updated_at = Timestamp::now().to_string();
        Self { updated_at, session, status, message, count: stocks.len(), stocks }
    }

    /// Puts it in the place of the file.
    ///
    /// # Errors
    /// The folder is not there, may not be written to, or is full; the file is as it was then.
    pub fn write(&self, path: &Path) -> Result<()> {
        let why =
            || format!("cannot write {}; check its folder, or name another file by --cache", path.display());
        let bytes = serde_json::to_vec(self)?;
        replace(path, &bytes).with_context(why)
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::other("it is no name of a file"))?;
    let aside = folder.join(format!(".{}.new", name.display()));
    let mut file = alone(&aside)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(folder)?.sync_all()
}

/// The file aside, locked. One name for all, so that writers who are killed leave one behind at most; who waited for the
/// lock finds it renamed away, and begins anew.
fn alone(aside: &PathBuf) -> io::Result<File> {
    loop {
        let file = File::options().write(true).create(true).truncate(false).open(aside)?;
        file.lock()?;
        if is_still(&file, aside)? {
            return Ok(file);
        }
    }
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let known = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (known.dev(), known.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Elsewhere an open file is not renamed away.
#[cfg(not(unix))]
fn is_still(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}
