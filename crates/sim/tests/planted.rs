//! Every planted bug must be caught by the promise that it names: the simulator is doubted as the core is.

use std::path::Path;

use sim::plants;

#[test]
fn every_planted_bug_is_caught_by_the_promise_it_breaks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let plants = plants::read_all(&root).unwrap();
    assert!(plants.len() >= 35, "only {} plants", plants.len());
    let fates =
        plants::try_all(&root, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("planted"), plants).unwrap();
    let told: Vec<String> = fates.iter().map(ToString::to_string).collect();
    assert!(fates.iter().all(|fate| fate.seeds.is_ok()), "\n{}", told.join("\n"));
}
