//! Every file of the corpora, through its target, without any fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_input_that_was_ever_found_keeps_its_promises() {
    for target in TARGETS {
        for file in files(&corpora().join(target.name)) {
            let bytes = fs::read(&file).expect("a file");
            let run = std::panic::catch_unwind(|| (target.run)(&bytes));
            assert!(run.is_ok(), "{} breaks a promise", file.display());
        }
    }
}

#[test]
fn each_target_has_a_small_corpus_and_each_corpus_a_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let folders: BTreeSet<String> = files(&corpora())
        .iter()
        .map(|folder| folder.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(folders, names);
    for name in names {
        let found = files(&corpora().join(&name));
        let bytes: u64 = found.iter().map(|file| fs::metadata(file).expect("a file").len()).sum();
        assert!(
            (1..=80).contains(&found.len()) && bytes <= 200 << 10,
            "{name}: {} files, {bytes} bytes",
            found.len()
        );
    }
}
