//! What every reader of soloist is fed with: bytes that nobody would write. Each target asks more than that nothing panics:
//! what was read says the same when it is written and read again, a quick look finds what a slow one does. The corpora
//! in `corpus/` are replayed by a plain test; `libfuzzer/` looks for more.

mod answers;
mod declaration;
mod guard;
mod init;
mod logs;
mod market;
mod mask;
mod proxy;
mod requests;
mod schedule;
mod state;
mod values;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// One reader, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its corpus.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 19] = [
    Target { name: "declaration", run: declaration::declaration },
    Target { name: "values", run: values::values },
    Target { name: "env_file", run: values::env_file },
    Target { name: "cron", run: schedule::cron },
    Target { name: "calendar", run: schedule::calendar },
    Target { name: "requests", run: requests::requests },
    Target { name: "queries", run: requests::queries },
    Target { name: "answers", run: answers::answers },
    Target { name: "protocol", run: guard::protocol },
    Target { name: "orders", run: guard::orders },
    Target { name: "notices", run: guard::notices },
    Target { name: "ledger", run: state::ledger },
    Target { name: "records", run: state::records },
    Target { name: "logs", run: logs::logs },
    Target { name: "mask", run: mask::mask },
    Target { name: "init", run: init::init },
    Target { name: "proxy", run: proxy::proxy },
    Target { name: "workbooks", run: market::workbooks },
    Target { name: "quotes", run: market::quotes },
];

/// The one of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// What was read is the same when it is written and read again.
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &[u8]) -> Option<T> {
    let found: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&found).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, found);
    Some(found)
}

/// The first byte chooses one of so many; the rest is what it is about.
fn choose(data: &[u8], of: usize) -> Option<(usize, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((usize::from(*first) % of, rest))
}
