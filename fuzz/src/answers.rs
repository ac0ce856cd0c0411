//! What a client is told, by a daemon that may be older or newer: answers, and streams of events that arrive cut anywhere.

use soloist_api::error::Problem;
use soloist_api::event::{Cutter, Event};
use soloist_api::health::Health;
use soloist_api::history::{History, Why};
use soloist_api::request::{DownAnswer, UpAnswer};
use soloist_api::schedule::{Named, Schedules};
use soloist_api::status::Status;
use soloist_api::watch::{Config, LogEvent, Ports, Runs, Tree};

/// An answer survives a second telling; a stream is the same however it was cut.
pub fn answers(data: &[u8]) {
    let Some((kind, rest)) = super::choose(data, 16) else { return };
    match kind {
        0 => _ = super::survives::<Status>(rest),
        1 => _ = super::survives::<Health>(rest),
        2 => _ = super::survives::<History>(rest),
        3 => _ = super::survives::<Why>(rest),
        4 => _ = super::survives::<UpAnswer>(rest),
        5 => _ = super::survives::<DownAnswer>(rest),
        6 => _ = super::survives::<Schedules>(rest),
        7 => _ = super::survives::<Named>(rest),
        8 => _ = super::survives::<Config>(rest),
        9 => _ = super::survives::<LogEvent>(rest),
        10 => _ = super::survives::<Ports>(rest),
        11 => _ = super::survives::<Runs>(rest),
        12 => _ = super::survives::<Tree>(rest),
        13 => {
            if let Some(problem) = super::survives::<Problem>(rest) {
                assert!((1..=255).contains(&problem.code.exit_code()));
            }
        }
        14 => _ = super::survives::<Event>(rest),
        _ => stream(rest),
    }
}

fn stream(data: &[u8]) {
    let Some((size, bytes)) = super::choose(data, 256) else { return };
    let mut whole = Cutter::default();
    let expected: Vec<(Event, Option<String>)> = whole.take(bytes);
    let mut cut = Cutter::default();
    let found: Vec<(Event, Option<String>)> =
        bytes.chunks(size + 1).flat_map(|bytes| cut.take(bytes)).collect();
    assert_eq!(found, expected);
    assert_eq!(cut.last_id(), whole.last_id());
}
