//! The two workbooks of a cycle, read whole into memory and taken from one instant: if either changes while
//! they are read, both are read again.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::refusal::Refusal;

/// No workbook of this kind comes near it.
const MAX_FILE: u64 = 64 << 20;
/// A list of symbols is a few kilobytes.
const MAX_SMALL: u64 = 1 << 20;
const ATTEMPTS: usize = 3;

/// What tells one state of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    size: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

/// Reads `Historical.xlsx` and `Live.xlsx` in `dir` as they were at one instant.
pub fn read_pair(dir: &Path) -> Result<[(PathBuf, Vec<u8>); 2], Refusal> {
    if !dir.is_dir() {
        let why = if dir.exists() { "it is not a folder" } else { "there is no such folder" };
        return Err(Refusal::new(
            dir.display().to_string(),
            why,
            "name the folder of the workbooks by --dir",
        ));
    }
    let paths = [dir.join("Historical.xlsx"), dir.join("Live.xlsx")];
    for _ in 0..ATTEMPTS {
        let before = [look(&paths[0])?, look(&paths[1])?];
        let historical = read(&paths[0])?;
        let live = read(&paths[1])?;
        let after = [look(&paths[0])?, look(&paths[1])?];
        let is_whole = historical.len() as u64 == before[0].size && live.len() as u64 == before[1].size;
        if before == after && is_whole {
            let [first, second] = paths;
            return Ok([(first, historical), (second, live)]);
        }
    }
    Err(Refusal::new(
        format!("the workbooks in {}", dir.display()),
        format!("they changed under each of {ATTEMPTS} readings"),
        "try again when their producer is done, or let it rename finished files into place",
    ))
}

/// Reads a small file whole.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    read_at_most(path, MAX_SMALL)
}

fn look(path: &Path) -> Result<Look, Refusal> {
    let place = || path.display().to_string();
    let metadata = std::fs::metadata(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Refusal::new(
            place(),
            "there is no such file",
            "put the workbook there, or name its folder by --dir",
        ),
        _ => Refusal::new(place(), e.to_string(), "check the file and its rights"),
    })?;
    // Opening a pipe would wait for its writer.
    if !metadata.is_file() {
        return Err(Refusal::new(place(), "it is not a file", "put the workbook there"));
    }
    if metadata.len() > MAX_FILE {
        let why = format!("it has {} bytes, more than {MAX_FILE}", metadata.len());
        return Err(Refusal::new(place(), why, "check what was put there"));
    }
    Ok(Look { size: metadata.len(), modified: metadata.modified().ok(), inode: inode(&metadata) })
}

fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    read_at_most(path, MAX_FILE)
        .map_err(|e| Refusal::new(path.display().to_string(), e.to_string(), "check the file and its rights"))
}

fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Elsewhere size and time must do.
#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
