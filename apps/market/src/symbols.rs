//! Which stocks are wanted, and how a name in a cell is matched to one.
//! Names are compared by letters and digits alone, so `M&M`, `m & m` and `MM` are one stock.

use std::collections::HashMap;
use std::path::Path;

use crate::refusal::Refusal;

/// Stands for all names with the same letters and digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub usize);

/// The stocks of a cycle, in the order in which their rows are stored.
#[derive(Debug)]
pub struct Roster {
    keys: HashMap<String, Key>,
    stocks: Vec<(String, Key)>,
    takes_new: bool,
    scratch: String,
    /// The last cell and its stock: rows of a stock follow each other.
    last: (String, Option<Key>),
}

impl Roster {
    /// Takes every stock the workbooks speak of.
    pub fn open() -> Self {
        Self {
            keys: HashMap::new(),
            stocks: Vec::new(),
            takes_new: true,
            scratch: String::new(),
            last: Default::default(),
        }
    }

    /// Takes the stocks of a list: one a line, blank lines and lines with `#` left out.
    pub fn listed(list: &str) -> Self {
        let mut roster = Self::open();
        for name in list.lines().map(str::trim).filter(|name| !name.is_empty() && !name.starts_with('#')) {
            let _ = roster.add(&name.to_uppercase());
        }
        roster.takes_new = false;
        roster
    }

    /// Reads the list in `path`.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let remedy = "give a list with one symbol a line by --symbols, or take --symbols away";
        let refuse = |why: String| Refusal::new(path.display().to_string(), why, remedy);
        let list = crate::workbook::whole::read_small(path).map_err(|e| refuse(e.to_string()))?;
        let list = String::from_utf8(list).map_err(|_| refuse("it is not UTF-8 text".to_owned()))?;
        let roster = Self::listed(list.trim_start_matches('\u{feff}'));
        if roster.stocks.is_empty() { Err(refuse("no symbol is in it".to_owned())) } else { Ok(roster) }
    }

    /// Whether stocks come from the workbooks and not from a list.
    pub fn is_open(&self) -> bool {
        self.takes_new
    }

    /// Finds the stock a cell names; an open roster learns it.
    pub fn find(&mut self, cell: &str) -> Option<Key> {
        if self.last.0 == cell && !cell.is_empty() {
            return self.last.1;
        }
        let found = self.look_up(cell);
        cell.clone_into(&mut self.last.0);
        self.last.1 = found;
        found
    }

    fn look_up(&mut self, cell: &str) -> Option<Key> {
        let mut scratch = std::mem::take(&mut self.scratch);
        normalize(cell, &mut scratch);
        let found = self.keys.get(scratch.as_str()).copied();
        self.scratch = scratch;
        if found.is_none() && self.takes_new { self.add(&cell.trim().to_uppercase()) } else { found }
    }

    /// Finds the stock without learning a new one.
    pub fn known(&self, cell: &str) -> Option<Key> {
        let mut wanted = String::new();
        normalize(cell, &mut wanted);
        self.keys.get(&wanted).copied()
    }

    /// The stocks with their keys: in the order of the list, or by name.
    pub fn stocks(&mut self) -> &[(String, Key)] {
        if self.takes_new {
            self.stocks.sort();
        }
        &self.stocks
    }

    /// The first name of a stock.
    pub fn name(&self, key: Key) -> &str {
        self.stocks.iter().find(|(_, known)| *known == key).map_or("", |(name, _)| name)
    }

    /// How many different stocks it knows.
    pub fn size(&self) -> usize {
        self.keys.len()
    }

    /// Forgets the stocks that an open roster has learned since it had this size.
    pub fn shrink_to(&mut self, size: usize) {
        if self.takes_new {
            self.last.0.clear();
            self.keys.retain(|_, key| key.0 < size);
            self.stocks.retain(|(_, key)| key.0 < size);
        }
    }

    /// A name without letters and digits would match every blank cell, so it is not taken.
    fn add(&mut self, name: &str) -> Option<Key> {
        let mut wanted = String::new();
        normalize(name, &mut wanted);
        if wanted.is_empty() {
            return None;
        }
        let next = Key(self.keys.len());
        let key = *self.keys.entry(wanted).or_insert(next);
        if key == next || !self.stocks.iter().any(|(known, _)| known == name) {
            self.stocks.push((name.to_owned(), key));
        }
        Some(key)
    }
}

/// The letters and digits of `name` in upper case.
pub fn normalize(name: &str, into: &mut String) {
    into.clear();
    if name.is_ascii() {
        into.extend(
            name.bytes().filter(u8::is_ascii_alphanumeric).map(|b| char::from(b.to_ascii_uppercase())),
        );
        return;
    }
    into.extend(name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase));
}

#[cfg(test)]
mod tests {
    use super::Roster;

    #[test]
    fn two_listed_spellings_share_a_key_and_keep_their_names() {
        let mut roster = Roster::listed("MM\nM&M\n\n# note\nM&M\n");
        assert_eq!(roster.find(" m & m "), roster.find("MM"));
        let names: Vec<_> = roster.stocks().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["MM", "M&M"]);
        assert_eq!(roster.find("LT"), None);
    }

    #[test]
    fn an_open_roster_learns_and_sorts() {
        let mut roster = Roster::open();
        assert!(roster.find("tcs").is_some());
        assert!(roster.find("ABB").is_some());
        assert_eq!(roster.find("--"), None);
        let names: Vec<_> = roster.stocks().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ABB", "TCS"]);
    }
}
