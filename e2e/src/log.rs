//! What a service has written, as its files on disk tell it: read by their names and by nothing of soloist's own.

use std::io::Read;
use std::path::{Path, PathBuf};

/// One file of a log: its number (the current one has none), and where it is.
pub type LogPart = (Option<u64>, PathBuf);

/// The files of a log, oldest first, the current one last. One that is there plain and compressed is told once, plain.
pub fn parts(log: &Path) -> Vec<LogPart> {
    let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries =
        log.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let mut found: Vec<(u64, bool, PathBuf)> = entries
        .filter_map(|entry| {
            let file = entry.file_name().to_string_lossy().into_owned();
            let end = file.strip_prefix(&format!("{name}."))?;
            let (number, is_gz) = end.strip_suffix(".gz").map_or((end, false), |number| (number, true));
            Some((number.parse().ok()?, is_gz, entry.path()))
        })
        .collect();
    found.sort();
    found.dedup_by_key(|(number, ..)| *number);
    let rotated = found.into_iter().map(|(number, _, path)| (Some(number), path));
    rotated.chain(log.exists().then(|| (None, log.to_owned()))).collect()
}

/// All bytes of a log. Files that are rotated, compressed or removed meanwhile are looked for again.
pub fn bytes(log: &Path) -> Vec<u8> {
    loop {
        let before = parts(log);
        let read: Result<Vec<Vec<u8>>, _> = before.iter().map(|(_, path)| content(path)).collect();
        if let (Ok(read), true) = (read, parts(log) == before) {
            return read.concat();
        }
    }
}

/// What one file holds, unpacked.
pub fn content(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = std::fs::read(path)?;
    if path.extension().is_some_and(|end| end == "gz") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain)?;
        bytes = plain;
    }
    Ok(bytes)
}
