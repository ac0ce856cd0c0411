//! Reads `[project] proxy`: the port on which services are found by their names.

use super::diagnostic::{Problems, Span};
use super::read::Document;
use super::settings::port;
use super::tree::Value;

pub(super) fn read(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<(u16, Span)> {
    port(value, problems).map(|port| (port, value.span.clone()))
}

/// Nobody else may want its port.
pub(super) fn apart(document: &Document, problems: &mut Problems<'_>) {
    let Some((port, span)) = &document.proxy else { return };
    let wants = |draft: &&super::draft::Draft| {
        draft.ports.iter().any(|(own, _)| own == port)
            || draft.spares.iter().any(|(_, (range, _))| range.contains(port))
    };
    let service = document.drafts.iter().find(wants).map(|draft| draft.name_span.clone());
    let http = document.listen.as_ref().filter(|(at, _)| at.port() == *port).map(|(_, at)| at.clone());
    if let Some(other) = service.or(http) {
        let message = format!("port {port} is wanted for `proxy` and for something else");
        let help = "only one can listen on it; give one of the two another port";
        problems.add(span.clone(), message, help).other(other, "wanted here too");
    }
}
