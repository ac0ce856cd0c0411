//! Workbooks on their way in: received into a folder beside the real one, on its file system; put in place by two renames,
//! and taken back if the second fails.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use axum::http::StatusCode;
use serde::Serialize;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use utoipa::ToSchema;

use super::super::problem::Problem;
use crate::clock;
use crate::store::{Location, Tables};

/// As much as the processor reads.
const FILE_MOST: u64 = 64 << 20;
/// A form that is not there by then is not waited for.
const LIMIT: Duration = Duration::from_secs(120);
/// What an upload has left that was ended in the middle.
const STALE: Duration = Duration::from_secs(3600);
const PREFIX: &str = ".upload-";

/// The form's field, what is stored of it, and the name it gets.
const KINDS: [(&str, &str, &str); 2] =
    [("historical_file", "Historical", "Historical.xlsx"), ("live_file", "Live", "Live.xlsx")];

/// A workbook that was sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Sent {
    /// As its sender calls it.
    filename: String,
    size_bytes: u64,
    /// Where it lies now.
    saved_as: String,
}

/// What one request brought.
pub struct Parcel {
    target: PathBuf,
    room: TempDir,
    sent: [Option<Sent>; 2],
    placed: [bool; 2],
}

impl Parcel {
    /// An empty one for this folder, which is made if need be.
    pub fn new(target: &Path) -> Result<Self> {
        let room = || {
            fs::create_dir_all(target)?;
            sweep(target);
            tempfile::Builder::new().prefix(PREFIX).tempdir_in(target)
        };
        let room = room().with_context(|| format!("cannot put anything into {}", target.display()))?;
        Ok(Self { target: target.to_owned(), room, sent: [None, None], placed: [false, false] })
    }

    /// Where it lies as long as it is not in place.
    pub fn folder(&self) -> &Path {
        self.room.path()
    }

    /// A database that goes with it.
    pub fn scratch(&self) -> Location {
        Location::File(self.folder().join("scratch.db"))
    }

    /// What was sent: Historical and Live.
    pub fn sent(self) -> [Option<Sent>; 2] {
        self.sent
    }

    /// What was said of its folder, said of the real one.
    pub fn in_words_of_the_folder(&self, said: &str) -> String {
        said.replace(&*self.folder().to_string_lossy(), &self.target.to_string_lossy())
    }

    /// Reads the form to its end.
    pub async fn receive(&mut self, mut form: Multipart) -> Result<(), Problem> {
        let all = async {
            while let Some(field) = form.next_field().await.map_err(broken)? {
                self.take(field).await?;
            }
            Ok(())
        };
        let in_time = tokio::time::timeout(LIMIT, all).await;
        in_time.unwrap_or_else(|_| {
            let said = format!("the files did not come within {} s", LIMIT.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", said))
        })?;
        if self.sent.iter().all(Option::is_none) {
            return Err(Problem::usage("no file was sent").hint("send historical_file, live_file, or both"));
        }
        Ok(())
    }

    async fn take(&mut self, mut field: Field<'_>) -> Result<(), Problem> {
        let part = field.name().unwrap_or("").to_owned();
        let Some(at) = KINDS.iter().position(|(name, ..)| *name == part) else {
            return Err(Problem::usage(format!("the form has a part {part:?}"))
                .hint("it may have historical_file and live_file"));
        };
        if self.sent[at].is_some() {
            return Err(Problem::usage(format!("the form has {part} twice")));
        }
        let filename = field.file_name().unwrap_or("").to_owned();
        check_name(&part, &filename)?;
        let name = KINDS[at].2;
        let kept = |e: io::Error| anyhow::Error::new(e).context(format!("cannot store {part}"));
        let mut file = tokio::fs::File::create(self.folder().join(name)).await.map_err(kept)?;
        let mut size_bytes = 0;
        while let Some(chunk) = field.chunk().await.map_err(broken)? {
            size_bytes += chunk.len() as u64;
            if size_bytes > FILE_MOST {
                let said = format!("{part} has more than {FILE_MOST} bytes");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", said));
            }
            file.write_all(&chunk).await.map_err(kept)?;
        }
        file.sync_all().await.map_err(kept)?;
        let saved_as = self.target.join(name).display().to_string();
        self.sent[at] = Some(Sent { filename, size_bytes, saved_as });
        Ok(())
    }

    /// Adds what lies in place and was not sent, so that the pair can be checked.
    pub fn complete(&self) -> Result<(), Problem> {
        for (sent, (part, _, name)) in self.sent.iter().zip(KINDS) {
            if sent.is_none() && !self.borrow(name)? {
                return Err(Problem::usage(format!("{part} was not sent, and no {name} lies in place"))
                    .hint("send both files"));
            }
        }
        self.borrow("symbols.txt")?;
        Ok(())
    }

    /// Has a file of the target here too; false if there is none.
    fn borrow(&self, name: &str) -> Result<bool> {
        let (from, to) = (self.target.join(name), self.folder().join(name));
        if !from.is_file() {
            return Ok(false);
        }
        also_at(&from, &to).with_context(|| format!("cannot read {}", from.display()))?;
        Ok(true)
    }

    /// Writes down what was sent.
    pub fn record(&self, tables: &mut dyn Tables) -> Result<()> {
        let now = &clock::utc_now();
        let statement = "INSERT INTO uploaded_files (file_type, file_name, file_size, uploaded_at, created_at, updated_at) \
                         VALUES ($1, $2, $3, $4, $4, $4)";
        for (sent, (_, kind, _)) in self.sent.iter().zip(KINDS) {
            let Some(sent) = sent else { continue };
            let size = i64::try_from(sent.size_bytes).unwrap_or(i64::MAX);
            tables.execute(statement, &[kind.into(), (&sent.filename).into(), size.into(), now.into()])?;
        }
        Ok(())
    }

    /// Puts what was sent in place; what lay there is kept until this is dropped.
    pub fn put_in_place(&mut self) -> Result<()> {
        let kinds = KINDS.into_iter().enumerate();
        for (at, (_, _, name)) in kinds.filter(|(at, _)| self.sent[*at].is_some()) {
            let (here, there) = (self.folder().join(name), self.target.join(name));
            if there.exists() {
                also_at(&there, &kept(&self.room, name))
                    .with_context(|| format!("cannot keep {}", there.display()))?;
            }
            fs::rename(&here, &there).with_context(|| format!("cannot replace {}", there.display()))?;
            self.placed[at] = true;
        }
        // The new names are on the disk, or the error is told.
        let synced = File::open(&self.target).and_then(|folder| folder.sync_all());
        synced.with_context(|| format!("cannot write {}", self.target.display()))
    }

    /// Puts back what lay there before.
    pub fn take_back(&mut self) {
        for (is_placed, (_, _, name)) in self.placed.iter_mut().zip(KINDS) {
            if std::mem::take(is_placed) {
                let (kept, there) = (kept(&self.room, name), self.target.join(name));
                let _ = if kept.exists() { fs::rename(kept, there) } else { fs::remove_file(there) };
            }
        }
    }
}

/// What lay there before.
fn kept(room: &TempDir, name: &str) -> PathBuf {
    room.path().join(format!("before-{name}"))
}

/// Not every file system has links.
fn also_at(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

fn check_name(part: &str, filename: &str) -> Result<(), Problem> {
    let lower = filename.to_lowercase();
    if lower.ends_with(".xlsx") {
        return Ok(());
    }
    let said = format!("{part} is the file {filename:?}");
    Err(if lower.ends_with(".xls") {
        Problem::usage(format!("{said}, in the format of before 2007, which is not read"))
            .hint("save it as .xlsx; a new name alone does not do")
    } else {
        Problem::usage(said).hint("its name must end in .xlsx")
    })
}

fn broken(error: MultipartError) -> Problem {
    let (code, status) = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", StatusCode::PAYLOAD_TOO_LARGE),
        _ => ("usage", StatusCode::BAD_REQUEST),
    };
    Problem::new(status, code, format!("the form cannot be read: {}", error.body_text()))
}

/// Removes what ended uploads have left. What cannot be removed is tried again next time.
fn sweep(target: &Path) {
    let Ok(entries) = fs::read_dir(target) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_stale =
            modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > STALE));
        if is_stale {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
