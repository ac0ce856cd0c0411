//! What a soloist.toml can name when it speaks of time: zones, calendars, windows. Each is read once, and shared by all
//! that name it.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use soloist_core::schedule::calendar::{Calendar, SessionKind};
use soloist_core::schedule::window::{Beyond, Window};
use soloist_core::schedule::zone::Zone;
use toml::de::DeTable;

use super::diagnostic::{Problems, harmless, plain, quoted};
use super::program::tidy;
use super::read::named;
use super::settings::unknown_key;
use super::tree::{Field, Value, fields};
use super::{OverrideChange, file, suggest, windows};
use crate::{calendars, zones};

pub(super) const CALENDAR_KEYS: &[&str] = &["file"];

/// Names, and what they stand for; nothing, if that was found to be wrong.
type Known<T> = BTreeMap<String, Option<Arc<T>>>;

/// All that was named so far.
#[derive(Default)]
pub(super) struct Almanac<'c> {
    calendars: RefCell<Known<Calendar>>,
    windows: RefCell<Known<Window>>,
    /// A name that is none has its help line instead.
    zones: RefCell<BTreeMap<String, Result<Arc<Zone>, String>>>,
    local: OnceCell<Arc<Zone>>,
    overrides: &'c [OverrideChange],
}

impl<'c> Almanac<'c> {
    /// Reads `[calendars]` and `[windows]`.
    pub(super) fn read(
        tree: &DeTable<'_>,
        root: &Path,
        overrides: &'c [OverrideChange],
        problems: &mut Problems<'_>,
    ) -> Almanac<'c> {
        let almanac = Almanac { overrides, ..Almanac::default() };
        if let Some(value) = section(tree, "calendars") {
            let value = value.example("[calendars.NAME]");
            for field in value.table(problems).unwrap_or_default() {
                named(&field, "calendar", problems);
                let name = field.key.to_owned();
                let found = calendar(field, root, problems).map(Arc::new);
                almanac.calendars.borrow_mut().insert(name, found);
            }
        }
        almanac.windows(tree, problems);
        almanac
    }

    fn windows(&self, tree: &DeTable<'_>, problems: &mut Problems<'_>) {
        let Some(value) = section(tree, "windows") else { return };
        for field in value.example("[windows.NAME]").table(problems).unwrap_or_default() {
            named(&field, "window", problems);
            let name = field.key;
            let window = windows::read(field, self, problems);
            self.keep(name, window);
        }
    }

    /// All windows: those of the file, and the calendars that are used as one.
    pub(super) fn into_windows(self) -> Vec<Arc<Window>> {
        self.windows.into_inner().into_values().flatten().collect()
    }

    fn keep(&self, name: &str, window: Option<Window>) -> Option<Arc<Window>> {
        let window = window.map(|window| Arc::new(windows::overridden(window, self.overrides)));
        self.windows.borrow_mut().insert(name.to_owned(), window.clone());
        window
    }

    /// A zone by its IANA name.
    pub(super) fn zone(&self, value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Arc<Zone>> {
        let name = value.string(problems)?;
        let mut known = self.zones.borrow_mut();
        let found = known
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| zones::named(name).ok_or_else(|| suggest::zone_help(name)));
        match found {
            Ok(zone) => Some(zone.clone()),
            Err(help) => {
                let message = format!("{} is no time zone", quoted(name));
                problems.add(value.span.clone(), message, help.as_str());
                None
            }
        }
    }

    /// The zone of this machine.
    pub(super) fn local(&self) -> Arc<Zone> {
        self.local.get_or_init(zones::local).clone()
    }

    /// A calendar of the file, else one that comes with soloist. What is wrong with one is told where it stands.
    pub(super) fn calendar(&self, value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Arc<Calendar>> {
        let name = value.string(problems)?;
        self.known_calendar(name).unwrap_or_else(|| {
            let calendars = self.calendars.borrow();
            let help = suggest::help(name, &calendar_names(&calendars));
            problems.add(value.span.clone(), format!("there is no calendar {}", quoted(name)), help);
            None
        })
    }

    /// A window of the file, else a calendar with its regular sessions.
    pub(super) fn window(&self, value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Arc<Window>> {
        let name = value.string(problems)?;
        if let Some(found) = self.windows.borrow().get(name) {
            return found.clone();
        }
        if let Some(calendar) = self.known_calendar(name) {
            let window =
                |calendar| windows::of_calendar(name, calendar, SessionKind::Regular, Beyond::Closed);
            return self.keep(name, calendar.map(window));
        }
        let (windows, calendars) = (self.windows.borrow(), self.calendars.borrow());
        let mut known: Vec<&str> = windows.keys().map(String::as_str).collect();
        known.extend(calendar_names(&calendars));
        let help = match known.is_empty() {
            true => format!("declare it: [windows.{}]", plain(name)),
            false => suggest::help(name, &known),
        };
        let message = format!("there is no window and no calendar {}", quoted(name));
        problems.add(value.span.clone(), message, help);
        None
    }

    /// None if there is no such calendar; nothing in it if something is wrong with it.
    fn known_calendar(&self, name: &str) -> Option<Option<Arc<Calendar>>> {
        if let Some(found) = self.calendars.borrow().get(name) {
            return Some(found.clone());
        }
        let found = Some(calendars::built_in(name)?);
        self.calendars.borrow_mut().insert(name.to_owned(), found.clone());
        Some(found)
    }
}

fn calendar_names(own: &Known<Calendar>) -> Vec<&str> {
    own.keys().map(String::as_str).chain(calendars::names()).collect()
}

fn section<'a>(tree: &'a DeTable<'a>, key: &str) -> Option<Value<'a>> {
    fields(tree).into_iter().find(|field| field.key == key).map(|field| field.value)
}

/// `[calendars.NAME]`: a file of the user's own.
fn calendar(field: Field<'_>, root: &Path, problems: &mut Problems<'_>) -> Option<Calendar> {
    let example = "file = \"holidays.toml\"";
    let (name, place) = (field.key, field.key_span);
    let mut found = None;
    let mut has_file = false;
    for Field { key, key_span, value } in field.value.example("[calendars.NAME]").table(problems)? {
        if key == "file" {
            has_file = true;
            found = calendar_in(name, &value.example(example), root, problems);
        } else {
            unknown_key("a calendar", key, key_span, CALENDAR_KEYS, problems);
        }
    }
    if !has_file {
        let message = format!("the calendar {} has no file", quoted(name));
        problems.add(place, message, format!("say where it stands: `{example}`"));
    }
    found
}

fn calendar_in(name: &str, value: &Value<'_>, root: &Path, problems: &mut Problems<'_>) -> Option<Calendar> {
    let path = value.word(problems)?;
    let whole = tidy(&root.join(path));
    let text = file::bytes(&whole)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not valid UTF-8".to_owned()));
    let text = match text {
        Ok(text) => text,
        Err(reason) => {
            let message = format!("the calendar file {} cannot be read: {reason}", quoted(path));
            let help = format!(
                "create {}, or correct the path; it is taken from the project's folder",
                whole.display()
            );
            problems.add(value.span.clone(), message, help);
            return None;
        }
    };
    match calendars::parse(name, text.strip_prefix('\u{feff}').unwrap_or(&text)) {
        Ok(calendar) => Some(calendar),
        Err(faults) => {
            for fault in faults {
                let help = format!("correct {}", whole.display());
                problems.add(value.span.clone(), harmless(&format!("{path}:{fault}")), help);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_core::schedule::civil::Date;
    use soloist_core::schedule::window::Rule;

    #[test]
    fn a_calendar_is_a_window_or_gives_one_its_hours() {
        let text = "[windows.late]\ncalendar = 'MINE'\nsession = 'post'\nbeyond = 'weekly-rule'\n\
                    [windows.late.dates]\n2026-12-25 = 'closed'\n[windows.hand]\nopen = '9:00'\nclose = '9:30'\n\
                    [windows.both]\ncalendar = 'MINE'\nopen = '9:00'\n[uses]\na = 'MINE'\nb = 'MINE'\nc = 'MIEN'\n";
        let calendar = Arc::new(Calendar {
            name: "MINE".to_owned(),
            zone: Arc::new(Zone::utc()),
            regimes: Vec::new(),
            exceptions: BTreeMap::new(),
            valid_through: Date(20_000),
        });
        let order = |of: &str| OverrideChange { of: of.to_owned(), until_ms: 5, ..OverrideChange::default() };
        let overrides = [order("MINE"), order("late"), order("hand")];
        let calendars = RefCell::new(BTreeMap::from([("MINE".to_owned(), Some(calendar.clone()))]));
        let almanac = Almanac { calendars, overrides: &overrides, ..Almanac::default() };
        let tree = DeTable::parse(text).expect("it is TOML");
        let mut problems = Problems::new(text);
        almanac.windows(tree.get_ref(), &mut problems);
        let uses =
            section(tree.get_ref(), "uses").and_then(|value| value.table(&mut problems)).expect("a table");
        let found: Vec<_> = uses.iter().map(|field| almanac.window(&field.value, &mut problems)).collect();
        let [Some(a), Some(b), None] = &found[..] else { panic!("{found:?}") };
        assert!(Arc::ptr_eq(a, b));
        assert_eq!((a.name.as_str(), a.beyond, a.overrides.len()), ("MINE", Beyond::Closed, 1));

        let told: Vec<_> =
            problems.finish().into_iter().map(|found| (found.line, found.message, found.help)).collect();
        let [both, unknown] = &told[..] else { panic!("{told:?}") };
        assert_eq!((both.0, both.1.as_str()), (12, "`calendar` and `open` are both declared"));
        assert_eq!((unknown.0, unknown.2.as_str()), (16, "did you mean `MINE`?"));

        let all = almanac.into_windows();
        let late = all.iter().find(|window| window.name == "late").expect("it is there");
        assert_eq!((late.beyond, late.overrides.len(), late.dates.len()), (Beyond::WeeklyRule, 2, 1));
        assert_eq!(late.rule, Rule::Calendar { calendar, session: SessionKind::Post });
        let meant = |name: &str| all.iter().filter(|window| windows::is_meant(window, name)).count();
        assert_eq!((meant("MINE"), meant("late"), meant("hand"), meant("NSE")), (2, 1, 1, 0));
    }
}
