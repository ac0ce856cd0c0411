//! What the server answers from: the store as it was at one instant, whole, in memory. A request takes the board that
//! there is; whether there is news is asked of the store at most ten times a second, off the server's thread.
//! What stands on the board is in `board/rows` and `board/quotes`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::store::{Location, Row, Store, Tables};
use crate::symbols::normalize;

pub mod quotes;
pub mod rows;

use quotes::{Quote, Scan};
use rows::{Issue, Run, Stock, Upload};

/// A board this young is taken without a look at the store.
const FRESH: Duration = Duration::from_millis(100);
/// A store that has not answered by then is not waited for; what it says later counts then.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store at one instant.
#[derive(Debug, Default)]
pub struct Board {
    /// Grows with each snapshot; 0 as long as there is none.
    pub revision: i64,
    /// By name.
    pub stocks: Vec<Stock>,
    /// Where the stock of these letters and digits is.
    letters: HashMap<String, usize>,
    /// The last run that was a success: the age of the rows.
    pub success: Option<Run>,
    /// The last run.
    pub last: Option<Run>,
    /// The first of the cells that were not what they should be.
    pub issues: Vec<Issue>,
    /// How many there are.
    pub issue_count: i64,
    /// By symbol.
    pub quotes: Vec<Quote>,
    /// The last scan.
    pub scan: Option<Scan>,
    /// The last scan that got all it wanted.
    pub whole_scan: Option<Scan>,
    /// The newest first.
    pub uploads: Vec<Upload>,
}

impl Board {
    /// Reads all of it within one transaction.
    fn read(tables: &mut dyn Tables) -> Result<Self> {
        let revision = tables.row("SELECT revision FROM snapshot_source", &[])?;
        let stocks = rows::stocks(tables)?;
        let mut letters = HashMap::with_capacity(stocks.len());
        for (at, stock) in stocks.iter().enumerate() {
            letters.entry(letters_of(&stock.name)).or_insert(at);
        }
        let (issues, issue_count) = rows::issues(tables)?;
        Ok(Self {
            revision: revision.map(|row| row.int(0)).transpose()?.unwrap_or(0),
            stocks,
            letters,
            success: rows::last_success(tables)?,
            last: rows::runs(tables, 1)?.pop(),
            issues,
            issue_count,
            quotes: quotes::quotes(tables)?,
            scan: quotes::last_scan(tables, false)?,
            whole_scan: quotes::last_scan(tables, true)?,
            uploads: rows::uploads(tables)?,
        })
    }

    /// The stock of this name, in any spelling with the same letters and digits.
    pub fn stock(&self, name: &str) -> Option<&Stock> {
        let exact = self.stocks.binary_search_by(|stock| stock.name.as_str().cmp(name)).ok();
        self.stocks.get(exact.or_else(|| self.letters.get(&letters_of(name)).copied())?)
    }

    /// The known name that a wrong one most likely means.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let wanted = letters_of(name);
        let likeness = |stock: &&Stock| strsim::jaro_winkler(&letters_of(&stock.name), &wanted);
        let best = self.stocks.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(&best) > 0.75).then_some(best.name.as_str())
    }
}

fn letters_of(name: &str) -> String {
    let mut out = String::new();
    normalize(name, &mut out);
    out
}

/// Where the board of the moment is found.
#[derive(Debug)]
pub struct Boards {
    location: Location,
    latest: Mutex<Latest>,
    looking: tokio::sync::Mutex<Looking>,
}

#[derive(Debug, Default)]
struct Latest {
    board: Option<Arc<Board>>,
    looked: Option<Instant>,
    trouble: Option<String>,
}

/// A look at the store that outlives the request that began it, should that be given up.
#[derive(Debug)]
enum Looking {
    Idle(Option<Looker>),
    /// Since then.
    Busy(Instant, JoinHandle<(Option<Looker>, Result<Option<Board>>)>),
}

/// The open store, and what it said when the board was made.
#[derive(Debug)]
struct Looker {
    store: Store,
    file: Option<u64>,
    seen: Option<Row>,
}

impl Boards {
    /// Boards of the store at this place, which may come later.
    pub fn new(location: Location) -> Self {
        let looking = tokio::sync::Mutex::new(Looking::Idle(None));
        Self { location, latest: Mutex::default(), looking }
    }

    /// Which store.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What is wrong with the store since its last good reading.
    pub fn trouble(&self) -> Option<String> {
        self.latest().trouble.clone()
    }

    /// The board of the moment; if the store cannot be read now, the last that could be.
    ///
    /// # Errors
    /// The store could never be read.
    pub async fn current(&self) -> Result<Arc<Board>> {
        let now = Instant::now();
        let least = now.checked_sub(FRESH).unwrap_or(now);
        if let Some(board) = self.since(least) {
            return Ok(board);
        }
        let known = self.latest().board.clone();
        let looking = match (self.looking.try_lock(), known) {
            (Ok(looking), _) => looking,
            // Somebody looks already.
            (Err(_), Some(board)) => return Ok(board),
            (Err(_), None) => self.looking.lock().await,
        };
        self.look(looking, least).await
    }

    /// A board that has all that was in the store before this call.
    ///
    /// # Errors
    /// The store could never be read.
    pub async fn anew(&self) -> Result<Arc<Board>> {
        let least = Instant::now();
        self.look(self.looking.lock().await, least).await
    }

    /// Looks until the board is of `least` or later. A request that is given up leaves its look to the next.
    async fn look(
        &self,
        mut looking: tokio::sync::MutexGuard<'_, Looking>,
        least: Instant,
    ) -> Result<Arc<Board>> {
        loop {
            if let Some(board) = self.since(least) {
                return Ok(board);
            }
            if let Looking::Idle(looker) = &mut *looking {
                let (location, looker) = (self.location.clone(), looker.take());
                *looking = Looking::Busy(Instant::now(), spawn_blocking(move || look(&location, looker)));
            }
            let Looking::Busy(began, busy) = &mut *looking else { continue };
            let began = *began;
            let ended = tokio::time::timeout(PATIENCE.saturating_sub(began.elapsed()), busy).await;
            let found = match ended {
                Ok(ended) => {
                    let (looker, found) =
                        ended.unwrap_or_else(|e| (None, Err(anyhow!("the reading broke off: {e}"))));
                    *looking = Looking::Idle(looker);
                    found
                }
                Err(_) => Err(anyhow!("the database {} does not answer", self.location)),
            };
            let is_late = matches!(*looking, Looking::Busy(..));
            let board = self.take(found, began)?;
            if is_late {
                return Ok(board);
            }
        }
    }

    /// Reads something that is not on the board; none without a store.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Tables) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let location = self.location.clone();
        let reading =
            spawn_blocking(move || Store::look(&location)?.map(|mut store| store.read(read)).transpose());
        let in_time = tokio::time::timeout(PATIENCE, reading).await;
        in_time.with_context(|| format!("the database {} does not answer", self.location))??
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The board, if the store was looked at then or later.
    fn since(&self, least: Instant) -> Option<Arc<Board>> {
        let latest = self.latest();
        let is_fresh = latest.looked.is_some_and(|looked| looked >= least);
        latest.board.clone().filter(|_| is_fresh)
    }

    fn take(&self, found: Result<Option<Board>>, looked: Instant) -> Result<Arc<Board>> {
        let mut latest = self.latest();
        match found {
            Ok(news) => {
                (latest.looked, latest.trouble) = (Some(looked), None);
                if let Some(board) = news {
                    latest.board = Some(Arc::new(board));
                }
                Ok(latest.board.get_or_insert_default().clone())
            }
            Err(error) => {
                latest.trouble = Some(format!("{error:#}"));
                // Not asked again with every request.
                latest.looked = Some(looked);
                latest.board.clone().ok_or(error)
            }
        }
    }
}

/// Looks for news: a new board, or none if the one before still holds.
fn look(location: &Location, looker: Option<Looker>) -> (Option<Looker>, Result<Option<Board>>) {
    // Another file may lie at the path by now.
    let kept = looker.filter(|looker| looker.file == file_at(location));
    let mut looker = match kept.map_or_else(|| open(location), |looker| Ok(Some(looker))) {
        Ok(Some(looker)) => looker,
        Ok(None) => return (None, Ok(Some(Board::default()))),
        Err(error) => return (None, Err(error)),
    };
    let seen = looker.seen.take();
    let found = looker.store.read(|tables| {
        let now = tables.row(NEWS, &[])?;
        let board = if now == seen { None } else { Some(Board::read(tables)?) };
        Ok((now, board))
    });
    match found {
        Ok((now, board)) => (Some(Looker { seen: now, ..looker }), Ok(board)),
        Err(error) => (None, Err(error)),
    }
}

/// Changes with everything that stands on the board.
const NEWS: &str = "SELECT (SELECT revision FROM snapshot_source), (SELECT max(id) FROM processing_metadata), \
                    (SELECT max(id) FROM scans), (SELECT max(finished_at) FROM scans), \
                    (SELECT max(id) FROM uploaded_files)";

fn open(location: &Location) -> Result<Option<Looker>> {
    let file = file_at(location);
    Ok(Store::look(location)?.map(|store| Looker { store, file, seen: None }))
}

/// What tells a file from another at the same path.
fn file_at(location: &Location) -> Option<u64> {
    match location {
        #[cfg(unix)]
        Location::File(path) => {
            std::fs::metadata(path).ok().map(|found| std::os::unix::fs::MetadataExt::ino(&found))
        }
        #[cfg(not(unix))]
        Location::File(_) => None,
        Location::Server(_) => None,
    }
}
