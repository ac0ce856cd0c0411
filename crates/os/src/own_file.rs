//! Files of ours in a folder that came from elsewhere (a clone, an archive, another user): opened through no link, never
//! waiting for a pipe, and not written where what is written would stand under another name too.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// With the flags of all of ours; add how it is opened. NONBLOCK: a planted FIFO must not hang us (fifo(7)).
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    options
}

/// Opens a file to read it.
///
/// # Errors
/// As open(2); `InvalidInput` if it is no plain file.
pub fn open(path: &Path) -> io::Result<File> {
    let file = opened(options().read(true), path)?;
    if !file.metadata()?.is_file() {
        return Err(no_plain_file());
    }
    Ok(file)
}

/// Its bytes.
///
/// # Errors
/// As `open`.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file to append to it, and to read it; makes it (0600) if there is none.
///
/// # Errors
/// As open(2); `InvalidInput` if it is no plain file, or has another name.
pub fn append(path: &Path) -> io::Result<File> {
    opened(options().read(true).append(true).create(true), path).and_then(only_here)
}

/// Opens a file to write it anywhere, and to read it; makes it (0600) if there is none.
///
/// # Errors
/// As `append`.
pub fn write(path: &Path) -> io::Result<File> {
    opened(options().read(true).write(true).create(true), path).and_then(only_here)
}

/// A new file (0600) in the place of whatever had this name: that one loses the name and nothing else.
///
/// # Errors
/// As unlink(2) and open(2).
pub fn anew(path: &Path) -> io::Result<File> {
    match remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => options().append(true).read(true).create_new(true).open(path),
    }
}

/// Writes a file beside and renames it over `path`, with this mode less the umask: readers see the old or the new bytes.
///
/// # Errors
/// As `anew` and rename(2).
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    // No two threads of the machine have one number.
    name.push(format!(".{}.tmp", rustix::thread::gettid().as_raw_nonzero()));
    let beside = path.with_file_name(name);
    let _ = remove_file(&beside);
    let made = options().mode(mode).write(true).create_new(true).open(&beside);
    let done = made.and_then(|mut file| file.write_all(bytes)).and_then(|()| std::fs::rename(&beside, path));
    if done.is_err() {
        let _ = remove_file(&beside);
    }
    done
}

fn opened(options: &OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path).map_err(|e| match e.raw_os_error() {
        // What open(2) says of these is true, and tells nobody what lies there.
        Some(libc::ELOOP) => refusal("it is a link, and soloist follows none here; remove it"),
        Some(libc::ENXIO) => no_plain_file(),
        _ => e,
    })
}

fn only_here(file: File) -> io::Result<File> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(no_plain_file());
    }
    if found.nlink() > 1 {
        return Err(refusal(
            "it has another name (a hard link) under which it would be written too; remove it",
        ));
    }
    Ok(file)
}

fn no_plain_file() -> io::Error {
    refusal("it is not a regular file; move it away")
}

fn refusal(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// What may lie in the place of a file, and the file that it must not lead to.
    fn planted(folder: &Path) -> (Vec<PathBuf>, PathBuf) {
        let victim = folder.join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let [link, dangling, hard, fifo] = ["link", "dangling", "hard", "fifo"].map(|name| folder.join(name));
        symlink(&victim, &link).unwrap();
        symlink(folder.join("made"), &dangling).unwrap();
        std::fs::hard_link(&victim, &hard).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        (vec![link, dangling, hard, fifo], victim)
    }

    #[test]
    fn what_is_planted_is_refused_with_words_and_written_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (planted, victim) = planted(folder.path());
        for path in &planted {
            for open in [append, write] {
                let said = open(path).unwrap_err().to_string();
                let is_told = ["it is a link", "another name", "not a regular file"];
                assert!(is_told.iter().any(|words| said.contains(words)), "{}: {said}", path.display());
            }
            assert_eq!(read(path).is_ok(), path.ends_with("hard"), "{}", path.display());
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert!(!folder.path().join("made").exists());
    }

    #[test]
    fn a_new_file_takes_the_name_and_nothing_else() {
        for make in [
            (|path: &Path| anew(path).and_then(|mut file| file.write_all(b"ours"))) as fn(&Path) -> _,
            |path| replace(path, b"ours", 0o600),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (planted, victim) = planted(folder.path());
            for path in &planted {
                make(path).unwrap();
                let found = std::fs::symlink_metadata(path).unwrap();
                assert!(found.is_file() && found.mode() & 0o777 == 0o600, "{}", path.display());
                assert_eq!(std::fs::read_to_string(path).unwrap(), "ours");
            }
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
            assert!(!folder.path().join("made").exists());
        }
    }

    #[test]
    fn what_lies_at_the_name_beside_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (planted, victim) = planted(folder.path());
        let path = folder.path().join("ports.json");
        for one in planted {
            std::fs::rename(
                one,
                folder.path().join(format!("ports.json.{}.tmp", rustix::thread::gettid().as_raw_nonzero())),
            )
            .unwrap();
            replace(&path, b"ours", 0o600).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "ours");
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }
}
