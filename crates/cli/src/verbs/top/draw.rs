//! Puts the model on the screen, whatever its size: the less room, the fewer columns.

use jiff::Timestamp;
use ratatui_core::layout::{Constraint, Layout, Rect};
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::terminal::Frame;
use ratatui_core::text::{Line, Text};
use ratatui_widgets::block::Block;
use ratatui_widgets::borders::Borders;
use ratatui_widgets::clear::Clear;
use ratatui_widgets::paragraph::Paragraph;
use ratatui_widgets::table::{Row, Table, TableState};
use soloist_api::status::ServiceStatus;

use super::keys::KEYS;
use super::model::{Mode, Model};
use super::tail::Tail;
use crate::printer::Tone;
use crate::text::wrap;
use crate::verbs::history::size;
use crate::verbs::status::{ago, last};

const HINTS: &str = "s start  x stop  r restart  n run  p pause  ⏎ log  / filter  ? help  q quit";
/// The longest message takes so many lines.
const SAID: usize = 3;

/// Draws all of it.
pub fn draw(model: &Model, tail: &Tail, now: Timestamp, frame: &mut Frame<'_>) {
    let area = frame.area();
    let width = usize::from(area.width);
    let notice = model.view.notice.as_deref().map_or_else(Vec::new, |notice| wrap(notice, width));
    let foot = foot(model, width);
    let [head, below, middle, log, end] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(lines(&notice)),
        Constraint::Fill(1),
        if model.has_log { Constraint::Fill(1) } else { Constraint::Length(0) },
        Constraint::Length(lines(&foot)),
    ])
    .areas(area);
    frame.render_widget(Line::styled(title(model, now), Modifier::BOLD), head);
    frame.render_widget(Paragraph::new(text(notice)).style(of(Tone::Busy)), below);
    services(model, now, middle, frame);
    if model.has_log {
        written(model, tail, log, frame);
    }
    frame.render_widget(Paragraph::new(text(foot)), end);
    if model.mode == Mode::Help {
        help(area, frame);
    }
}

fn title(model: &Model, now: Timestamp) -> String {
    let services = &model.view.status.services;
    let ready = services.iter().filter(|service| Tone::of(&service.state) == Tone::Good).count();
    let daemon = match &model.view.status.daemon {
        Some(daemon) => format!("daemon pid {}, up {}", daemon.pid, ago(daemon.since, now)),
        None => "no daemon".to_owned(),
    };
    format!("soloist  {ready} of {} well  {daemon}", services.len())
}

/// What is typed or asked, else what came of an order, else the keys.
fn foot(model: &Model, width: usize) -> Vec<String> {
    match (&model.mode, &model.said) {
        (Mode::Asked(name), _) => vec![format!("stop {name}? y/n")],
        (Mode::Filter, _) => vec![format!("/{}▏", model.filter)],
        (_, Some(said)) => wrap(said, width).into_iter().take(SAID).collect(),
        (_, None) if model.filter.is_empty() => vec![HINTS.to_owned()],
        (_, None) => vec![format!("only with `{}`; Esc shows all", model.filter)],
    }
}

/// A column: its name, its width, and whether numbers stand in it.
type Column = (&'static str, u16, bool);

/// All but the name, the most important first.
const COLUMNS: [Column; 8] = [
    ("STATE", 9, false),
    ("FOR", 5, true),
    ("PID", 7, true),
    ("PORT", 5, true),
    ("CPU%", 5, true),
    ("MEMORY", 9, true),
    ("NEXT OR LAST", 13, false),
    ("RESTARTS", 8, true),
];
/// Those that only a daemon which tells them fills.
const USAGE: std::ops::RangeInclusive<usize> = 4..=5;

fn services(model: &Model, now: Timestamp, area: Rect, frame: &mut Frame<'_>) {
    let services = model.services();
    let longest = services.iter().map(|service| service.name.chars().count()).max().unwrap_or(0);
    let name = u16::try_from(longest.clamp(4, 30)).unwrap_or(4).min(area.width);
    let mut left = area.width - name;
    let has_usage = !model.view.usage.is_empty();
    let mut columns: Vec<(usize, Column)> = COLUMNS.into_iter().enumerate().collect();
    columns.retain(|(at, (_, width, _))| {
        let rest = left.checked_sub(width + 2).filter(|_| has_usage || !USAGE.contains(at));
        left = rest.unwrap_or(left);
        rest.is_some()
    });
    let head = columns.iter().map(|(_, column)| padded(column.0, *column));
    let head = Row::new(std::iter::once("NAME".to_owned()).chain(head)).style(of(Tone::Faint));
    let none = || "-".to_owned();
    let usage = |service: &ServiceStatus| model.view.usage.get(&service.name);
    let rows = services.iter().map(|service| {
        let cells = [
            service.state.clone(),
            service.since.map_or_else(none, |since| ago(since, now)),
            service.pid.map_or_else(none, |pid| pid.to_string()),
            service.ports.first().map_or_else(none, u16::to_string),
            usage(service).and_then(|usage| usage.cpu_percent).map_or_else(none, |cpu| format!("{cpu:.0}")),
            usage(service).map_or_else(none, |usage| size(usage.rss_kib)),
            last(service, now),
            service.restarts.to_string(),
        ];
        let cells = columns.iter().map(|(at, column)| padded(&cells[*at], *column));
        let row = std::iter::once(service.name.clone()).chain(cells).map(Text::raw);
        let tone = of(Tone::of(&service.state));
        Row::new(row.enumerate().map(|(at, cell)| if at == 1 { cell.style(tone) } else { cell }))
    });
    let widths = std::iter::once(name).chain(columns.iter().map(|(_, (_, width, _))| *width));
    let table = Table::new(rows, widths.map(Constraint::Length).collect::<Vec<_>>())
        .header(head)
        .column_spacing(2)
        .row_highlight_style(Modifier::REVERSED);
    let chosen = (!services.is_empty()).then(|| model.row());
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(chosen));
    if services.is_empty() {
        let middle = Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area };
        let why = if model.filter.is_empty() { "no services" } else { "no service is like that" };
        frame.render_widget(Paragraph::new(why), middle);
    }
}

fn padded(text: &str, (_, width, is_number): Column) -> String {
    let width = usize::from(width);
    if is_number { format!("{text:>width$}") } else { text.to_owned() }
}

/// The end of the log, as much as there is room for.
fn written(model: &Model, tail: &Tail, area: Rect, frame: &mut Frame<'_>) {
    let name = model.chosen().map_or("", |service| &service.name);
    let block = Block::new().borders(Borders::TOP).title(format!(" log of {name} "));
    let room = usize::from(block.inner(area).height);
    let first = tail.lines().len().saturating_sub(room);
    let lines: Vec<Line<'_>> = tail.lines().range(first..).map(|line| Line::raw(line.as_str())).collect();
    let text = if tail.lines().is_empty() { vec![Line::raw("nothing is written yet")] } else { lines };
    frame.render_widget(Paragraph::new(text).block(block), area);
}

fn help(area: Rect, frame: &mut Frame<'_>) {
    let (width, height) = (66.min(area.width), (KEYS.len() as u16 + 2).min(area.height));
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let lines = KEYS.iter().map(|(keys, what)| Line::raw(format!(" {keys:<13}  {what}")));
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(lines.collect::<Vec<_>>()).block(Block::bordered().title(" keys ")),
        place,
    );
}

fn text(lines: Vec<String>) -> Text<'static> {
    lines.into_iter().map(Line::raw).collect()
}

fn lines(of: &[String]) -> u16 {
    u16::try_from(of.len()).unwrap_or(u16::MAX)
}

/// Colours that are readable on light and on dark terminals.
fn of(tone: Tone) -> Style {
    match tone {
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Busy => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        Tone::Faint => Style::new().add_modifier(Modifier::DIM),
    }
}

#[cfg(test)]
mod tests {
    use ratatui_core::backend::TestBackend;
    use ratatui_core::terminal::Terminal;
    use soloist_api::watch::{Sample, Samples};

    use super::super::model::Action;
    use super::*;
    use crate::feed::News;
    use crate::feed::tests::{all, service};

    fn now() -> Timestamp {
        "2026-11-22T14:05:00Z".parse().unwrap()
    }

    /// A server, a fallen worker, and a job that waits for its time.
    fn model() -> Model {
        let mut api = service("api", "ready", 1);
        (api.pid, api.ports, api.since) = (Some(4242), vec![9000], "2026-11-22T14:02:30Z".parse().ok());
        let mut worker = service("scanner", "failed", 1);
        worker.restarts = 10;
        worker.exit = Some(soloist_api::status::ExitStatus { code: Some(3), signal: None });
        let mut scan = service("scan", "scheduled", 1);
        scan.next = "2026-11-22T14:05:06Z".parse().ok();
        let mut model = Model::new();
        model.take(all(true, vec![api, worker, scan]), now());
        let sample = Sample { service: "api".to_owned(), cpu_percent: Some(12.6), rss_kib: 49_664 };
        model.take(News::Usage(Samples { at: now(), samples: vec![sample] }), now());
        model
    }

    fn drawn(model: &Model, tail: &Tail, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(model, tail, now(), frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    fn log() -> Tail {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, (0..100).map(|n| format!("line {n}\n")).collect::<String>()).unwrap();
        Tail::of(path.to_str().unwrap(), Default::default())
    }

    #[test]
    fn eighty_columns_show_everything() {
        let seen = drawn(&model(), &Tail::default(), 80, 24);
        let expected = [
            "soloist  2 of 3 well  daemon pid 7, up 5m",
            "NAME     STATE        FOR      PID   PORT   CPU%     MEMORY  NEXT OR LAST",
            "api      ready         2m     4242   9000     13   48.5 MiB",
            "scanner  failed         -        -      -      -          -  exit 3",
            "scan     scheduled      -        -      -      -          -  next in 6s",
        ];
        assert_eq!(seen[..5], expected);
        assert!(seen[5..23].iter().all(String::is_empty), "{seen:#?}");
        assert_eq!(seen[23], HINTS);
    }

    #[test]
    fn forty_columns_leave_out_what_matters_less() {
        let expected = [
            "soloist  2 of 3 well  daemon pid 7, up 5",
            "NAME     STATE        FOR      PID",
            "api      ready         2m     4242",
            "scanner  failed         -        -",
            "scan     scheduled      -        -",
        ];
        assert_eq!(drawn(&model(), &Tail::default(), 40, 10)[..5], expected);
    }

    #[test]
    fn a_large_screen_shows_the_log_below() {
        let mut model = model();
        model.act(Action::Log);
        let seen = drawn(&model, &log(), 200, 60);
        let bar = seen.iter().position(|line| line.contains(" log of api ")).expect("a bar");
        assert_eq!((bar, seen[bar + 1].as_str(), seen[58].as_str()), (30, "line 72", "line 99"), "{seen:#?}");
    }

    #[test]
    fn what_is_asked_stands_below_and_the_help_above_all() {
        let mut model = model();
        model.act(Action::AskToStop);
        assert_eq!(drawn(&model, &Tail::default(), 80, 24)[23], "stop api? y/n");
        model.act(Action::Cancel);
        model.act(Action::Filter);
        model.act(Action::Type('x'));
        let seen = drawn(&model, &Tail::default(), 80, 24);
        assert_eq!((seen[2].as_str(), seen[23].as_str()), ("no service is like that", "/x▏"));
        model.act(Action::Accept);
        model.act(Action::Help);
        let seen = drawn(&model, &Tail::default(), 80, 24).join("\n");
        assert!(KEYS.iter().all(|(keys, what)| seen.contains(keys) && seen.contains(what)), "{seen}");
    }

    #[test]
    fn the_chosen_one_is_on_the_screen_among_a_thousand() {
        let mut model = Model::new();
        let services = (0..1_000).map(|n| service(&format!("worker@{n}"), "ready", 1)).collect();
        model.take(all(true, services), now());
        model.act(Action::Move(700));
        assert!(drawn(&model, &Tail::default(), 80, 24).iter().any(|line| line.starts_with("worker@700 ")));
    }

    #[test]
    fn no_size_is_too_small() {
        let tail = log();
        let mut model = model();
        model.take(News::Gone, now());
        model.said = Some("a long word about what went wrong ".repeat(20));
        let sizes =
            [(1, 1), (1, 24), (80, 1), (2, 2), (3, 3), (5, 4), (4, 5), (8, 6), (21, 3), (13, 8), (40, 2)];
        for (width, height) in sizes {
            for mode in [Mode::List, Mode::Filter, Mode::Asked("api".to_owned()), Mode::Help] {
                model.mode = mode;
                model.has_log = !model.has_log;
                drawn(&model, &tail, width, height);
            }
            model.has_log = !model.has_log;
        }
    }
}
