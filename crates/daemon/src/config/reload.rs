//! Reads `reload`: whether a restart tries the new run beside the old one. That takes sockets which both can have, and a
//! readiness by which the two can be told apart.

use super::Check;
use super::diagnostic::{Problems, quoted};
use super::draft::Draft;
use super::settings::choice;
use super::tree::Value;

/// What the stand-in of an instance is called, behind its name and `~`.
pub const STAND_IN: &str = "new";
const SAFE: &str = "overlap-safe";
const RELOADS: &[(&str, bool)] = &[("stop-then-start", false), (SAFE, true)];

/// After `listen` and the probes.
pub(super) fn read(draft: &mut Draft, value: &Value<'_>, problems: &mut Problems<'_>) {
    let value = value.clone().example("reload = \"overlap-safe\"");
    if choice(&value, "a way to restart", RELOADS, problems) != Some(true) {
        return;
    }
    let is_told_apart = match &draft.program.checks.readiness {
        Some(Check::Log { .. } | Check::Exec { .. }) => true,
        Some(Check::Http { .. } | Check::Tcp { .. }) => false,
        None => draft.plan.notifies,
    };
    if draft.sockets.is_empty() {
        let message = format!("{} needs sockets that two runs can have", quoted(SAFE));
        let help = "have soloist listen and hand them over: `listen = \"soloist\"`";
        problems.add(value.span.clone(), message, help);
    } else if !is_told_apart {
        let message = format!("{} needs a readiness that tells the new run from the old one", quoted(SAFE));
        let help = "both answer on the same sockets: declare `readiness = \"notify\"`, `{ log = \"…\" }` or `{ exec = … }`";
        problems.add(value.span.clone(), message, help);
    }
    draft.plan.stand_in = Some(format!("{}~{STAND_IN}", draft.name));
}
