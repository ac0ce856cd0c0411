//! An order whose daemon is gone before the guard has read it.

use std::time::Duration;

use soloist_os::guard::Revival;

use super::guarded::{Guarded, SIGNAL_CONTINUE};

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn an_order_of_a_daemon_that_is_gone_starts_nothing_and_brings_the_daemon_back() {
    let mut guarded = Guarded::new();
    let guard = guarded.freeze();
    let revived = guarded.folder().join("revived");
    let revival = Revival {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), format!("echo revived >>{}", revived.display())],
        lock: guarded.folder().join("start.lock"),
    };
    guarded.spawn("echo ran >ran", |run| run.revival = Some(revival));
    guarded.part();
    guard.signal(SIGNAL_CONTINUE).unwrap();
    guarded.lines("revived", 1);
    assert_eq!(guarded.read("ran"), "", "a run of which nobody knows");
    // It would go on trying for half a minute.
    guard.signal(9).unwrap();
    guard.wait(LIMIT).unwrap();
}
