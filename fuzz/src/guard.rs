//! What daemon and guard say to each other, and what a service says to its guard: anybody may be older, newer or somebody
//! else.

use std::fs::File;
use std::io::{Seek, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use soloist_os::guard::{
    Assignment, Charge, Notice, Order, Report, RunOrder, notice_of, read_report, take_run,
};
use soloist_os::link::MESSAGE_MAX;

/// A message of either direction: it survives a second telling, and what a newer one says beside it is passed over.
pub fn protocol(data: &[u8]) {
    let Some((kind, json)) = super::choose(data, 5) else { return };
    match kind {
        0 => told::<Order>(json),
        1 => {
            told::<Report>(json);
            if let Some(report) = read_report(json) {
                assert_eq!(read_report(&serde_json::to_vec(&report).expect("it can be told")), Some(report));
            }
        }
        2 => told::<RunOrder>(json),
        3 => told::<Assignment>(json),
        _ => told::<Charge>(json),
    }
}

fn told<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(json: &[u8]) {
    let Some(found) = super::survives::<T>(json) else { return };
    if let Ok(Value::Object(mut said)) = serde_json::to_value(&found) {
        said.insert("of a later version".to_owned(), serde_json::json!({"x": [1]}));
        assert_eq!(
            serde_json::from_value::<T>(Value::Object(said)).expect("what is unknown is passed over"),
            found
        );
    }
}

/// An order to start, with fewer, as many and more descriptors than it names: it is taken only if they are all there.
pub fn orders(data: &[u8]) {
    let Some((count, json)) = super::choose(data, 5) else { return };
    assert!(take_run(Vec::new()).is_err(), "it came without a program");
    let mut memory = tempfile::tempfile().expect("a file");
    memory.write_all(json).expect("room for an order");
    memory.rewind().expect("a file");
    let socket = || File::open("/dev/null").expect("a descriptor").into();
    let fds = [memory.into()].into_iter().chain((0..count).map(|_| socket())).collect();
    if let Ok((run, _, sockets)) = take_run(fds) {
        assert!(sockets.len() == count && run.sockets.len() == count);
        assert_eq!(serde_json::from_slice::<RunOrder>(json).ok(), Some(run));
    }
}

/// A message of sd_notify(3): what it adds up to fits into a report, can be shown, and is the same when it is said again.
pub fn notices(data: &[u8]) {
    let notice = notice_of(data);
    assert!(serde_json::to_vec(&notice).expect("it can be told").len() < MESSAGE_MAX - 1024);
    let answer = notice.answers.first();
    let texts = [&notice.status, &notice.state, &notice.progress].into_iter().flatten();
    for text in texts
        .chain(answer.map(|answer| &answer.tick))
        .chain(answer.and_then(|answer| answer.summary.as_ref()))
    {
        assert!(!text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control), "{text:?}");
    }
    let again = notice_of(said(&notice).as_bytes());
    assert_eq!(again, notice);
}

/// The words that come to such a notice.
fn said(notice: &Notice) -> String {
    let flags = [
        ("READY=1", notice.ready),
        ("RELOADING=1", notice.reloading),
        ("STOPPING=1", notice.stopping),
        ("WATCHDOG=1", notice.alive),
        ("WATCHDOG=trigger", notice.trigger),
    ];
    let mut said: Vec<String> =
        flags.into_iter().filter(|(_, is_said)| *is_said).map(|(word, _)| word.to_owned()).collect();
    let answer = notice.answers.first();
    let values = [
        ("STATUS", notice.status.clone()),
        ("X_SOLOIST_STATE", notice.state.clone()),
        ("X_SOLOIST_PROGRESS", notice.progress.clone()),
        ("WATCHDOG_USEC", notice.watchdog_usec.map(|usec| usec.to_string())),
        ("EXTEND_TIMEOUT_USEC", notice.extend_usec.map(|usec| usec.to_string())),
        ("X_SOLOIST_RUN", answer.map(|answer| answer.tick.clone())),
        ("X_SOLOIST_RESULT", answer.map(|answer| if answer.ok { "ok" } else { "error" }.to_owned())),
        ("X_SOLOIST_SUMMARY", answer.and_then(|answer| answer.summary.clone())),
    ];
    said.extend(values.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))));
    said.join("\n")
}
