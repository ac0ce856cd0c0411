//! The terminal while `top` has it: raw and on its alternate screen, given back however `top` ends.

use std::io::{Error, Stdout};

use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::cursor::Show;
use ratatui_crossterm::crossterm::event::{Event, read};
use ratatui_crossterm::crossterm::execute;
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::sync::mpsc::{Receiver, channel};

use crate::printer::Printer;

/// The terminal, ours until this is dropped.
pub struct Screen {
    /// What is drawn on.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
    printer: Printer,
}

impl Screen {
    /// Takes it.
    ///
    /// # Errors
    /// If it is no terminal.
    pub fn take(printer: Printer) -> Result<Screen, Error> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back(&printer);
            before(panic);
        }));
        enable_raw_mode()?;
        // From here on it is given back, whatever fails.
        let screen = Screen { terminal: Terminal::new(CrosstermBackend::new(printer.screen()))?, printer };
        execute!(printer.screen(), EnterAlternateScreen)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back(&self.printer);
    }
}

/// As it was. There is nobody to tell that it is gone.
fn give_back(printer: &Printer) {
    let _ = execute!(printer.screen(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// Keys and changes of size, until the terminal is gone. To read blocks, so a thread does it.
pub fn typed() -> Receiver<Event> {
    let (sender, typed) = channel(64);
    std::thread::spawn(move || {
        while let Ok(event) = read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    typed
}
