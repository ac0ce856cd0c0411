//! What clients send: bodies, and the queries behind a path.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use soloist_api::history::{EventsQuery, HistoryQuery};
use soloist_api::request::{Change, Down, Instances, Up, Upgrade};
use soloist_api::schedule::{Clear, Edit, Override};
use soloist_api::watch::{LogsQuery, RunsQuery, Signal};
use soloist_daemon::inner::{read, wish};
use soloist_daemon::logs::{Position, Start};

/// A body: taken, it is the same when a client sends it again; refused, somebody is told what to do.
pub fn requests(data: &[u8]) {
    let Some((kind, body)) = super::choose(data, 8) else { return };
    match kind {
        0 => sent::<Change>(body),
        1 => sent::<Up>(body),
        2 => sent::<Instances>(body),
        3 => sent::<Upgrade>(body),
        4 => sent::<Down>(body),
        5 => sent::<Edit>(body),
        6 => sent::<Override>(body),
        _ => sent::<Signal>(body),
    }
}

fn sent<T: Serialize + DeserializeOwned + Default + PartialEq + Debug>(body: &[u8]) {
    match read::<T>(body) {
        Ok(found) => {
            let again = serde_json::to_vec(&found).expect("it can be sent");
            assert_eq!(read::<T>(&again).expect("it is taken again"), found);
        }
        Err(problem) => assert!(problem.to_string().starts_with("the body is ")),
    }
}

/// A query, or the id of the last event that a reader saw.
pub fn queries(data: &[u8]) {
    let Some((kind, text)) = super::choose(data, 6) else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    match kind {
        0 => {
            if let Some(query) = asked::<LogsQuery>(text)
                && let Ok(wish) = wish(&query)
            {
                assert_eq!(wish.grep.is_some(), query.grep.is_some());
                assert_eq!(wish.until.is_some(), query.until.is_some());
            }
        }
        1 => _ = asked::<RunsQuery>(text),
        2 => _ = asked::<HistoryQuery>(text),
        3 => _ = asked::<EventsQuery>(text),
        4 => _ = asked::<Clear>(text),
        _ => {
            if let Some(Start::At(Position { seq, offset })) = Start::parse(text) {
                let again = Start::parse(&format!("{offset}-{seq}"));
                assert_eq!(again, Some(Start::At(Position { seq, offset })));
            }
        }
    }
}

fn asked<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) -> Option<T> {
    let found: T = serde_urlencoded::from_str(text).ok()?;
    let again = serde_urlencoded::to_string(&found).expect("it can be asked");
    assert_eq!(serde_urlencoded::from_str::<T>(&again).expect("it is understood again"), found);
    Some(found)
}
