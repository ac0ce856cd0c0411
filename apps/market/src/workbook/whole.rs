//! Files as they were at one instant. A look tells one state of a file from the next without reading it; both workbooks
//! are read whole into memory, and again if either changes while they are read.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::refusal::Refusal;

/// Both are held in memory at once; those of 20,000 stocks have six MiB each.
const MAX_FILE: u64 = 32 << 20;
/// A list of symbols is a few kilobytes.
const MAX_SMALL: u64 = 1 << 20;
const ATTEMPTS: usize = 3;
/// Clocks of file systems are coarse, up to two seconds; a file may change twice within one step of them.
const COARSE: Duration = Duration::from_secs(2);

/// What tells one state of a file from the next. Nobody can set the time of the last change of its inode (`ctime`), so a
/// rewrite in place that keeps size and modification time shows too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
    device: u64,
}

impl Look {
    /// Looks at a file; none if it is not there, or is no file.
    pub fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| Self::of(&metadata))
    }

    /// Whether a change after `looked_at` surely shows as another look: the last one is older than a step of the file's
    /// clock.
    pub fn is_settled(&self, looked_at: SystemTime) -> bool {
        let Ok(seconds) = u64::try_from(self.changed.0) else { return false };
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.saturating_add(1).min(1 << 40));
        looked_at.duration_since(changed).is_ok_and(|age| age >= COARSE)
    }

    /// Whether both are of one file, whatever is in it.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.inode, self.device) == (other.inode, other.device)
    }

    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        Self {
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            device: metadata.dev(),
        }
    }

    /// Elsewhere size and modification time must do while files are read, and a look is never settled.
    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let modified = modified.map_or((0, 0), |at| (at.as_secs() as i64, i64::from(at.subsec_nanos())));
        Self { size: metadata.len(), modified, changed: (-1, 0), inode: 0, device: 0 }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, modified, changed, inode, device } = self;
        write!(f, "{size}.{}.{}.{}.{}.{inode}.{device}", modified.0, modified.1, changed.0, changed.1)
    }
}

/// A workbook file as it was looked at.
#[derive(Debug)]
pub struct Whole {
    /// Where it is.
    pub path: PathBuf,
    /// How it looked.
    pub look: Look,
    /// What is in it; none if it looks as it is known.
    pub bytes: Option<Vec<u8>>,
}

/// Where `Historical.xlsx` and `Live.xlsx` are in `dir`.
pub fn paths(dir: &Path) -> [PathBuf; 2] {
    [dir.join("Historical.xlsx"), dir.join("Live.xlsx")]
}

/// Reads both workbooks in `dir` as they were at one instant; the first is not read if it looks as `known`.
pub fn read_pair(dir: &Path, known: Option<Look>) -> Result<[Whole; 2], Refusal> {
    if !dir.is_dir() {
        let why = if dir.exists() { "it is not a folder" } else { "there is no such folder" };
        return Err(Refusal::new(
            dir.display().to_string(),
            why,
            "name the folder of the workbooks by --dir",
        ));
    }
    let paths = paths(dir);
    for _ in 0..ATTEMPTS {
        let before = [look(&paths[0])?, look(&paths[1])?];
        let historical = if known == Some(before[0]) { None } else { Some(read(&paths[0])?) };
        let live = read(&paths[1])?;
        let after = [look(&paths[0])?, look(&paths[1])?];
        let is_whole = |bytes: &Vec<u8>, look: Look| bytes.len() as u64 == look.size;
        if before == after
            && historical.as_ref().is_none_or(|bytes| is_whole(bytes, before[0]))
            && is_whole(&live, before[1])
        {
            let [first, second] = paths;
            return Ok([
                Whole { path: first, look: before[0], bytes: historical },
                Whole { path: second, look: before[1], bytes: Some(live) },
            ]);
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
    Ok(Look::of(&metadata))
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
