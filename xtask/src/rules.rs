//! One rule, one file: each says why it is a rule and shows, in its tests, that it can fail. A new rule is a file here
//! and a line in the list.

mod arms;
mod evidence;
mod length;
mod links;
mod locked;
mod names;
mod opening;
mod output;
mod places;
mod purity;
mod rooms;
mod unfinished;
mod unsafety;
mod waits;

use crate::finding::Finding;
use crate::tree::Tree;

/// All of them.
const ALL: [fn(&Tree) -> Vec<Finding>; 14] = [
    rooms::check,
    purity::check,
    opening::check,
    output::check,
    unsafety::check,
    arms::check,
    names::check,
    length::check,
    unfinished::check,
    waits::check,
    places::check,
    links::check,
    evidence::check,
    locked::check,
];

/// Everything that is not tidy, in the order of files and lines.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found: Vec<Finding> = ALL.iter().flat_map(|rule| rule(tree)).collect();
    found.sort_by(|a, b| (&a.file, a.line, &a.what).cmp(&(&b.file, b.line, &b.what)));
    found
}
