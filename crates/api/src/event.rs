//! Events as they travel: one per change of an instance, carrying its whole status, so that a reader who missed some
//! still knows the truth; and one per line of the history. Server-sent events (WHATWG HTML, section 9.2) with one line of JSON each.

use serde::{Deserialize, Serialize};

use crate::history::Entry;
use crate::status::ServiceStatus;

/// What a reader of `/api/v1/events` gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// An instance changed.
    Service(Box<ServiceStatus>),
    /// One thing happened: a line of the history. Its id is 0 as long as it could not be written.
    History(Box<Entry>),
    /// The reader was too slow and has missed some: ask for the status.
    Resync,
}

/// Cuts a stream of server-sent events into events. Bytes may arrive cut anywhere.
#[derive(Debug, Default)]
pub struct Cutter {
    rest: Vec<u8>,
}

impl Cutter {
    /// Takes more bytes and returns the events that are whole now; unknown ones are left out.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let data = block.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"data:"));
            events.extend(data.and_then(|json| serde_json::from_slice(json).ok()));
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let text = b": hello\n\nid: 1\ndata: {\"event\":\"resync\"}\n\ndata: {\"event\":\"unheard-of\"}\n\n";
        for size in 1..text.len() {
            let mut cutter = Cutter::default();
            let events: Vec<Event> = text.chunks(size).flat_map(|bytes| cutter.take(bytes)).collect();
            assert_eq!(events, vec![Event::Resync], "cut every {size} bytes");
        }
    }
}
