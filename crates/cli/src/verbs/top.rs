//! `soloist top`: the services on the whole terminal, live, with keys that steer them. What is shown is `top/model.rs`, how
//! `top/draw.rs`, what keys mean `top/keys.rs`; the log is `top/tail.rs`, the terminal `top/screen.rs`.

mod draw;
mod keys;
mod model;
mod screen;
mod tail;

use std::pin::pin;
use std::time::Duration;

use jiff::Timestamp;
use ratatui_crossterm::crossterm::event::{Event, KeyEventKind};
use soloist_api::error::{Code, Problem};
use soloist_api::request::Change;
use soloist_api::schedule::Edit;
use soloist_daemon::{Layout, serve};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use soloist_daemon::config::Config;
use soloist_daemon::logs::instance_of;
use soloist_daemon::logs::mask::Mask;

use self::model::{Model, Wish};
use self::screen::{Screen, typed};
use self::tail::Tail;
use crate::feed::{follow, pipe};
use crate::interrupts::Interrupts;
use crate::printer::Printer;
use crate::project::{Project, again, who};
use crate::verbs::services::one_line;

/// How often the log is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How old a time on the screen may be, in looks: `12s`.
const LOOKS: u32 = 10;

/// Exit code 0, when somebody quits.
///
/// # Errors
/// If there is no terminal, or the configuration is faulty and no daemon runs.
pub async fn top(project: &Project, printer: &Printer) -> Result<i32, Problem> {
    if !printer.is_terminal() {
        let hint = "`soloist status --watch` goes through a pipe";
        return Err(Problem::new(Code::Usage, "`soloist top` needs a terminal").hint(hint));
    }
    project.status().await?;
    let mut interrupts = Interrupts::new()?;
    let mut screen = Screen::take(*printer)?;
    let (sender, mut news) = pipe();
    let mut feed = pin!(follow(project, sender, true));
    let (told, mut answers) = unbounded_channel();
    let (mut typed, mut looks) = (typed(), tokio::time::interval(LOOK_AGAIN));
    let (mut model, mut tail, mut left) = (Model::new(), Tail::default(), 0);
    let config = project.config_or_empty().ok();
    loop {
        choose_log(&model, &mut tail, config.as_ref());
        screen.terminal.draw(|frame| draw::draw(&model, &tail, Timestamp::now(), frame))?;
        tokio::select! {
            never = &mut feed => match never {},
            Some(one) = news.recv() => {
                model.take(one, Timestamp::now());
                // What comes at once is drawn at once.
                while let Ok(one) = news.try_recv() {
                    model.take(one, Timestamp::now());
                }
            }
            event = typed.recv() => match event.map(|event| wish(&mut model, event)) {
                // Without keys there is no terminal any more.
                None | Some(Some(Wish::Quit)) => return Ok(0),
                Some(Some(Wish::Redraw)) => screen.terminal.clear()?,
                Some(Some(Wish::Order(verb, name))) => {
                    model.said = Some(format!("{verb} {name} …"));
                    tokio::spawn(answer(project.layout.clone(), verb, name, told.clone()));
                }
                Some(None) => {}
            },
            Some(said) = answers.recv() => model.said = Some(said),
            () = next_look(&mut looks, &mut tail, &mut left, model.has_log) => {}
            () = interrupts.next() => return Ok(0),
        }
    }
}

/// Returns when there is something new: lines of the log, or a time that is no longer true.
async fn next_look(looks: &mut tokio::time::Interval, tail: &mut Tail, left: &mut u32, has_log: bool) {
    loop {
        looks.tick().await;
        *left = left.checked_sub(1).unwrap_or(LOOKS);
        if *left == 0 || has_log && tail.look() {
            return;
        }
    }
}

/// The log is that of the chosen one.
fn choose_log(model: &Model, tail: &mut Tail, config: Option<&Config>) {
    let chosen = model.chosen().and_then(|service| Some((service, service.log.as_deref()?)));
    let path = chosen.map_or("", |(_, path)| path);
    if model.has_log && tail.path() != path {
        let instance = chosen.map_or("", |(service, _)| instance_of(&service.name));
        *tail = Tail::of(path, Mask::of(config, instance));
    }
}

fn wish(model: &mut Model, event: Event) -> Option<Wish> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => model.act(keys::action(&model.mode, key)?),
        _ => None,
    }
}

/// Has an order done, beside the screen, and tells what came of it.
async fn answer(layout: Layout, verb: &'static str, name: String, told: UnboundedSender<String>) {
    let done = perform(&layout, verb, &name).await;
    let _ = told.send(done.unwrap_or_else(|problem| problem.to_string()));
}

async fn perform(layout: &Layout, verb: &'static str, name: &str) -> Result<String, Problem> {
    let change = &Change { who: Some(who("top")), ..Change::default() };
    match verb {
        // Asked once: a second time would be a second run.
        "run" => Ok(serve::ensure(layout).await?.0.run_now(name, change).await?.text),
        "pause" | "resume" => {
            let edit = &Edit { paused: Some(verb == "pause"), who: change.who.clone(), ..Edit::default() };
            let done = again(|| async { serve::ensure(layout).await?.0.reschedule(name, edit).await });
            Ok(done.await?.text)
        }
        _ => {
            let done = again(|| async { serve::ensure(layout).await?.0.change(name, verb, change).await });
            Ok(one_line(&done.await?))
        }
    }
}
