//! One cycle within its transaction: what is read again, what is parsed again, and what is written again.
//! The looks of the files are taken before they are read, so a change in between is seen by the next cycle at the latest.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use anyhow::Result;
use jiff::civil::Date;

use super::Order;
use crate::clock;
use crate::historical::Historical;
use crate::live::Live;
use crate::refusal::Refusal;
use crate::snapshot::{self, Run, Source};
use crate::store::Tables;
use crate::symbols::{Roster, normalize};
use crate::workbook::bounds::{self, Fingerprint};
use crate::workbook::whole::{self, Look};
use crate::workbook::{Workbook, guarded};

/// Raise it when the same workbooks give other rows than before.
const RULES: u32 = 2;

/// What one cycle leaves to the next.
#[derive(Debug, Default)]
pub struct Kept {
    history: Option<History>,
    /// The last refusal, and how the files looked that were refused.
    refused: Option<(String, Refusal)>,
}

/// Historical.xlsx, which changes once a day, as it was read.
#[derive(Debug)]
struct History {
    /// None if it may change without looking different.
    look: Option<Look>,
    print: u64,
    day: Date,
    list_print: u64,
    roster: Roster,
    /// The size of the roster before Live is read.
    roster_size: usize,
    sheet: String,
    historical: Historical,
}

/// What is read of the files.
struct Input {
    roster: Roster,
    list_print: u64,
    /// Historical and Live, as in messages.
    places: [String; 2],
    /// How Historical looks; none if it may change without looking different.
    look: Option<Look>,
    /// Historical and Live; nothing of Historical if it looks as it is known.
    bytes: [Option<Vec<u8>>; 2],
}

/// One cycle.
pub struct Cycle<'a> {
    order: &'a Order,
    day: Date,
    list: Option<PathBuf>,
    /// How the files look; none if that is not enough to know them again.
    sight: Option<String>,
    run: Run<'a>,
}

/// A refusal is written to the history; a failing database cannot be.
enum Failure {
    Refused(Refusal),
    Store(anyhow::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Store(error)
    }
}

impl<'a> Cycle<'a> {
    /// Looks at the files.
    pub fn of(order: &'a Order, run_id: Option<&'a str>, began: Instant) -> Self {
        let day = order.today.unwrap_or_else(clock::today_in_mumbai);
        let looked_at = SystemTime::now();
        let list = order.symbols.clone().unwrap_or_else(|| order.dir.join("symbols.txt"));
        let list_look = Look::at(&list);
        let has_list = list_look.is_some() || order.symbols.is_some() || list.exists();
        let [historical, live] = whole::paths(&order.dir).map(|path| Look::at(&path));
        let list_look = has_list.then_some(list_look);
        let sight = sight(day, looked_at, [Some(historical), Some(live), list_look]);
        Self { order, day, list: has_list.then_some(list), sight, run: Run::of(run_id, began) }
    }

    /// What is stored, if it was made of the files that are there, and the history needs no line about it.
    pub fn look(&self, tables: &mut dyn Tables) -> Result<Option<Source>> {
        let Some(source) = self.seen(tables)? else { return Ok(None) };
        let is_due = snapshot::is_due(tables, &self.run.with(&source))?;
        Ok((!is_due).then_some(source))
    }

    /// Brings the rows up to date; returns what they are made of, and whether they have changed. A refusal is written to
    /// the history, so it ends the transaction well.
    pub fn run(&self, tables: &mut dyn Tables, kept: &mut Kept) -> Result<Result<(Source, bool), String>> {
        match self.update(tables, kept) {
            Ok(done) => Ok(Ok(done)),
            Err(Failure::Store(error)) => Err(error),
            Err(Failure::Refused(refusal)) => {
                let message = format!("{refusal}; the last good rows stay");
                let run = Run { status: "error", message: &message, ..self.run };
                if snapshot::is_due(tables, &run)? {
                    snapshot::record(tables, &run)?;
                }
                Ok(Err(message))
            }
        }
    }

    /// What is stored, if the files look as those it was made of.
    fn seen(&self, tables: &mut dyn Tables) -> Result<Option<Source>> {
        let Some(sight) = &self.sight else { return Ok(None) };
        Ok(snapshot::source(tables)?.filter(|source| source.sight == *sight))
    }

    /// With the write lock held: otherwise another could read newer files and store their rows earlier.
    fn update(&self, tables: &mut dyn Tables, kept: &mut Kept) -> Result<(Source, bool), Failure> {
        if let Some(source) = self.seen(tables)? {
            self.repeat(tables, &source)?;
            return Ok((source, false));
        }
        if let (Some(sight), Some((refused, refusal))) = (&self.sight, &kept.refused)
            && sight == refused
        {
            return Err(refusal.clone().into());
        }

        let input = self.read(kept)?;
        let done = self.store(tables, kept, input);
        if let Err(Failure::Refused(refusal)) = &done {
            kept.refused = self.sight.clone().map(|sight| (sight, refusal.clone()));
        }
        done
    }

    /// Reads the files. What hinders it may pass without a change of theirs.
    fn read(&self, kept: &Kept) -> Result<Input, Refusal> {
        let mut roster = match &self.list {
            Some(path) => Roster::read(path)?,
            None => Roster::open(),
        };
        let list_print = list_print(&mut roster);
        let known = kept.history.as_ref();
        let known = known.filter(|known| known.day == self.day && known.list_print == list_print);
        let looked_at = SystemTime::now();
        let [historical, live] = whole::read_pair(&self.order.dir, known.and_then(|known| known.look))?;
        let look = Some(historical.look).filter(|look| look.is_settled(looked_at));
        let places = [&historical, &live].map(|file| file.path.display().to_string());
        let bytes = [historical.bytes, live.bytes];
        Ok(Input { roster, list_print, places, look, bytes })
    }

    /// Makes rows of what was read, and stores those that are not there.
    fn store(
        &self,
        tables: &mut dyn Tables,
        kept: &mut Kept,
        input: Input,
    ) -> Result<(Source, bool), Failure> {
        let Input { roster, list_print, places: [place, live_place], look, bytes: [bytes, live_bytes] } =
            input;
        let live_bytes = live_bytes.unwrap_or_default();
        let known = kept.history.take();
        let print = match (&bytes, &known) {
            (None, Some(known)) => known.print,
            _ => guarded(&place, || bounds::check(&place, bytes.as_deref().unwrap_or_default()))?,
        };
        let live_print = guarded(&live_place, || bounds::check(&live_place, &live_bytes))?;
        let mut known =
            known.filter(|known| (known.day, known.list_print, known.print) == (self.day, list_print, print));
        if let Some(known) = &mut known {
            known.look = look;
        }

        let history_print = format!("{}-{list_print:016x}-{print:016x}", self.day);
        let fingerprint = format!("{history_print}-{live_print:016x}");
        let stored = snapshot::source(tables)?;
        if let Some(source) = stored.as_ref().filter(|source| source.fingerprint == fingerprint) {
            kept.history = known;
            if let Some(sight) = &self.sight {
                snapshot::remember_sight(tables, sight)?;
            }
            self.repeat(tables, source)?;
            return Ok((source.clone(), false));
        }

        let history = match known {
            Some(known) => known,
            None => {
                let mut roster = roster;
                let (sheet, historical) = self
                    .sheet(&place, bytes.unwrap_or_default(), |book| Historical::read(book, &mut roster))?;
                let (day, roster_size) = (self.day, roster.size());
                History { look, print, day, list_print, roster, roster_size, sheet, historical }
            }
        };
        let History { roster, roster_size, sheet, historical, .. } = kept.history.insert(history);
        roster.shrink_to(*roster_size);
        let (live_sheet, live) =
            self.sheet(&live_place, live_bytes, |book| Live::read(book, roster, historical))?;

        let is_same_history = |source: &Source| source.fingerprint.starts_with(&history_print);
        if !stored.as_ref().is_some_and(is_same_history) {
            snapshot::replace_historical(tables, historical, roster.stocks())?;
        }
        snapshot::replace_live(tables, &live, roster.stocks())?;
        let issues = historical.issues.joined(&live.issues);
        snapshot::replace_issues(tables, &issues)?;
        let (stocks_processed, row_count) = snapshot::counts(historical, &live, roster);
        let stocks_total = count(roster.stocks().len());
        let words = issues.words();
        let source = Source {
            fingerprint,
            sight: self.sight.clone().unwrap_or_default(),
            row_count,
            stocks_processed,
            stocks_total,
            issues: count(issues.count()),
            historical_sheet: sheet.clone(),
            live_sheet,
            message: format!("Processed {stocks_processed}/{stocks_total} stocks successfully{words}"),
        };
        snapshot::remember(tables, &source)?;
        snapshot::record(tables, &self.run.with(&source))?;
        Ok((source, true))
    }

    /// Reads the sheet of the day; returns its name and what `read` makes of it.
    fn sheet<T>(
        &self,
        place: &str,
        bytes: Vec<u8>,
        read: impl FnOnce(&mut Workbook) -> Result<T, Refusal>,
    ) -> Result<(String, T), Refusal> {
        guarded(place, || {
            let mut book = Workbook::open(place, bytes, self.day)?;
            let made = read(&mut book)?;
            Ok((book.sheet().to_owned(), made))
        })
    }

    /// A cycle without news is told now and then.
    fn repeat(&self, tables: &mut dyn Tables, source: &Source) -> Result<()> {
        let run = self.run.with(source);
        if snapshot::is_due(tables, &run)? {
            let message = format!("{} (workbooks unchanged)", source.message);
            snapshot::record(tables, &Run { message: &message, ..run })?;
        }
        Ok(())
    }
}

/// Names the state of all files that are wanted; none if one is missing or may change without looking different.
fn sight(day: Date, looked_at: SystemTime, looks: [Option<Option<Look>>; 3]) -> Option<String> {
    let mut sight = format!("{RULES} {day}");
    for look in looks.into_iter().flatten() {
        let look = look.filter(|look| look.is_settled(looked_at))?;
        // Writing into a string cannot fail.
        let _ = write!(sight, " {look}");
    }
    Some(sight)
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

/// Equal for two lists that give the same rows.
fn list_print(roster: &mut Roster) -> u64 {
    let mut print = Fingerprint::default();
    print.take(&RULES.to_le_bytes());
    print.take(&[u8::from(roster.is_open())]);
    let mut letters = String::new();
    for (name, _) in roster.stocks() {
        normalize(name, &mut letters);
        print.take(name.as_bytes());
        print.take(letters.as_bytes());
    }
    print.0
}
