//! The project's own rules as code. `tree` is what they look at, `finding` what they say, `rules` has one file for each,
//! `docs` writes the pages that are generated from code, `lines` counts.

pub mod docs;
pub mod finding;
pub mod lines;
pub mod rules;
pub mod source;
pub mod tree;

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
