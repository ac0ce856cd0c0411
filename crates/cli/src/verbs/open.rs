//! `soloist open`: a link that lets one browser in, and the browser.

use std::process::{Command, Stdio};

use soloist_api::error::Problem;

use crate::printer::Printer;
use crate::project::{Project, with_daemon};

/// Prints the link; opens it too, if that was not all and somebody sits before a display.
pub async fn open(project: &Project, printer: &Printer, only_print: bool) -> Result<i32, Problem> {
    let login = with_daemon(project, |client| async move { client.login().await }).await?;
    printer.line(&login.url);
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let is_opened = !only_print && has_display && start_browser(&login.url);
    if !is_opened {
        printer.remark(&format!("open it within {} s; it works once", login.seconds));
    }
    Ok(0)
}

/// The browser is whatever the desktop says; it lives on without us.
fn start_browser(url: &str) -> bool {
    let mut command = Command::new("xdg-open");
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
