//! Events as they travel: one per change of an instance, carrying its whole status, so that a reader who missed some
//! still knows the truth; and one per line of the history. Server-sent events (WHATWG HTML, section 9.2) with one line of JSON each.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::history::Entry;
use crate::status::ServiceStatus;
use crate::watch::Samples;

/// What a reader of `/api/v1/events` gets. Each but the samples has an id, from which a reader that comes again can go
/// on (`Last-Event-ID`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// An instance changed.
    Service(Box<ServiceStatus>),
    /// An instance is no more: it is declared no more, and nothing of it lives.
    Removed {
        /// Its name.
        service: String,
    },
    /// One thing happened: a line of the history. Its id is 0 as long as it could not be written.
    History(Box<Entry>),
    /// What living instances use: only for who asked for samples.
    Samples(Samples),
    /// The reader was too slow, or away for too long, and has missed some: ask for the status.
    Resync,
}

/// Cuts a stream of server-sent events into their data. Bytes may arrive cut anywhere.
#[derive(Debug, Default)]
pub struct Cutter {
    rest: Vec<u8>,
    last_id: Option<String>,
}

impl Cutter {
    /// Takes more bytes and returns the events that are whole now, each with the last id there was; unknown ones are
    /// left out.
    pub fn take<T: DeserializeOwned>(&mut self, bytes: &[u8]) -> Vec<(T, Option<String>)> {
        // All before was looked through, but its last byte may be half an end.
        let mut looked = self.rest.len().saturating_sub(1);
        self.rest.extend_from_slice(bytes);
        let (mut events, mut begin) = (Vec::new(), 0);
        while let Some(end) = self.rest[looked..].windows(2).position(|pair| pair == b"\n\n") {
            let block = &self.rest[begin..looked + end];
            let field = |name: &[u8]| block.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(name));
            if let Some(id) = field(b"id:") {
                self.last_id = Some(String::from_utf8_lossy(id).trim().to_owned());
            }
            let data = field(b"data:").and_then(|json| serde_json::from_slice(json).ok());
            events.extend(data.map(|data| (data, self.last_id.clone())));
            looked += end + 2;
            begin = looked;
        }
        self.rest.drain(..begin);
        events
    }

    /// The last id there was.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let text =
            b": hello\n\nid: 1\n\ndata: {\"event\":\"resync\"}\nid: 2-7\n\ndata: {\"event\":\"unheard-of\"}\n\n: \n\n";
        for size in 1..text.len() {
            let mut cutter = Cutter::default();
            let events: Vec<(Event, Option<String>)> =
                text.chunks(size).flat_map(|bytes| cutter.take(bytes)).collect();
            assert_eq!(events, vec![(Event::Resync, Some("2-7".to_owned()))], "cut every {size} bytes");
        }
    }
}
