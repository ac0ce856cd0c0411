//! The search of small worlds: what it covers finds nothing, and each planted bug is found.

use sim::check::{Fault, WORLDS, World};

/// So many steps are searched of each world here; `sim --check` searches all of it.
const STEPS: usize = 12_000;

fn world(name: &str) -> World {
    *WORLDS.iter().find(|world| world.name == name).unwrap()
}

#[test]
fn in_every_order_of_a_few_steps_each_instance_lives_once_and_comes_right() {
    for world in WORLDS {
        let found = world.search(None, Some(STEPS));
        assert!(found.broken.is_none(), "{}: {found}", world.name);
        assert!(found.states > STEPS / 10, "{}: too little was searched: {found}", world.name);
    }
}

/// Mostly by the calm, which looks ahead: two trees that will be are found before they are.
#[test]
fn every_planted_bug_is_found() {
    for (fault, name) in [
        (Fault::AGuardEndsWithItsMainProcess, "ports"),
        (Fault::ARunBeginsBeforeTheGrant, "shared"),
        (Fault::TheClaimIsNotShared, "start"),
        (Fault::NothingIsSwept, "start"),
    ] {
        let found = world(name).search(Some(fault), Some(200_000));
        assert!(found.broken.is_some(), "{fault:?} in {name}: {found}");
    }
}
