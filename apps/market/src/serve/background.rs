//! The processor as a background worker: whether it is on, how often it runs, and orders to change that. Soloist keeps
//! all of it; a change outlives this server.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use soloist_api::schedule::{Edit, ScheduleStatus};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Desk;
use super::problem::Problem;
use super::supervisor::{Changed, is_on, note};

/// Their routes.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(start))
        .routes(routes!(stop))
        .routes(routes!(interval))
}

/// The processor in the background.
#[derive(Debug, Serialize, ToSchema)]
struct BackgroundStatus {
    /// `success`.
    status: &'static str,
    data: Background,
}

/// How it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Background {
    /// It is wanted up, and neither paused nor failed.
    is_running: bool,
    /// Its window is open; none if nobody knows.
    is_market_hours: Option<bool>,
    /// Seconds from one run to the next; none if it has no such rhythm.
    process_interval: Option<f64>,
    /// When it last ended well.
    last_process_time: Option<Timestamp>,
    /// So many stocks had rows then.
    last_process_count: Option<i64>,
    /// A soloist answers.
    supervised: bool,
    /// What soloist says of it, in a word: `scheduled`, `running`, `stopped`, …
    state: Option<String>,
    /// When it runs next.
    next: Option<Timestamp>,
    /// When its window opens or closes.
    until: Option<Timestamp>,
    /// What there is to say: why it sleeps, and until when.
    note: Option<String>,
}

/// Looks at it.
pub async fn look(desk: &Desk) -> Background {
    let worker = desk.supervisor.look(&desk.processor).await;
    let success = desk.boards.current().await.ok().and_then(|board| board.success.clone());
    let status = worker.status();
    let schedule = status.and_then(|status| status.schedule.as_ref());
    Background {
        is_running: status.is_some_and(is_on),
        is_market_hours: status.and_then(|_| schedule.and_then(|s| s.open).or(Some(true))),
        process_interval: schedule.and_then(seconds),
        last_process_time: success.as_ref().and_then(|run| run.processed_at),
        last_process_count: success.map(|run| run.stocks_processed),
        supervised: worker.is_supervised(),
        state: status.map(|status| status.state.clone()),
        next: schedule.and_then(|schedule| schedule.next),
        until: schedule.and_then(|schedule| schedule.until),
        note: status.and_then(note),
    }
}

/// Of `every 1m 30s`.
fn seconds(schedule: &ScheduleStatus) -> Option<f64> {
    let every = schedule.triggers.iter().find_map(|trigger| trigger.strip_prefix("every "))?;
    every.parse::<SignedDuration>().ok().map(|every| every.as_secs_f64())
}

/// Whether it is on, how often it runs, and when it last did.
#[utoipa::path(get, path = "/api/v1/background/status", responses((status = 200, body = BackgroundStatus)))]
async fn status(State(desk): State<Arc<Desk>>) -> Json<BackgroundStatus> {
    Json(BackgroundStatus { status: "success", data: look(&desk).await })
}

/// Turns it on; so it stays.
#[utoipa::path(post, path = "/api/v1/background/start", responses((status = 200, body = Changed)))]
async fn start(State(desk): State<Arc<Desk>>) -> Result<Json<Changed>, Problem> {
    desk.supervisor.turn(&desk.processor, true).await?;
    Ok(Json(Changed::to("Background processor started")))
}

/// Turns it off; a run at work is stopped, and so it stays.
#[utoipa::path(post, path = "/api/v1/background/stop", responses((status = 200, body = Changed)))]
async fn stop(State(desk): State<Arc<Desk>>) -> Result<Json<Changed>, Problem> {
    desk.supervisor.turn(&desk.processor, false).await?;
    Ok(Json(Changed::to("Background processor stopped")))
}

/// Has it run so often from now on.
#[utoipa::path(
    put,
    path = "/api/v1/background/interval/{seconds}",
    params(("seconds" = i64, Path, minimum = 1)),
    responses((status = 200, body = Changed))
)]
async fn interval(
    State(desk): State<Arc<Desk>>,
    asked: Result<Path<String>, PathRejection>,
) -> Result<Json<Changed>, Problem> {
    let Path(asked) = asked?;
    let seconds = whole_seconds(&asked)?;
    let edit = Edit { every: Some(format!("{seconds}s")), ..Edit::default() };
    desk.supervisor.edit(&desk.processor, edit).await?;
    Ok(Json(Changed::to(format!("Process interval updated to {seconds} seconds"))))
}

fn whole_seconds(asked: &str) -> Result<u64, Problem> {
    let digits = asked.strip_prefix('-').unwrap_or(asked);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let said = format!("the interval {asked:?} is no whole number");
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-a-number", said);
        return Err(problem.hint("write whole seconds, such as 10"));
    }
    asked.parse().ok().filter(|seconds| *seconds >= 1).ok_or_else(|| {
        Problem::usage(format!("the interval {asked} cannot be")).hint("write whole seconds, at least 1")
    })
}

#[cfg(test)]
mod tests {
    use soloist_api::schedule::ScheduleStatus;

    use super::{seconds, whole_seconds};

    #[test]
    fn the_rhythm_is_read_from_the_words_of_the_schedule() {
        let of = |trigger: &str| {
            seconds(&ScheduleStatus { triggers: vec![trigger.to_owned()], ..ScheduleStatus::default() })
        };
        assert_eq!(of("every 6s"), Some(6.0));
        assert_eq!(of("every 1m 30s"), Some(90.0));
        assert_eq!(of("every 250ms"), Some(0.25));
        assert_eq!(of("at 09:15"), None);
    }

    #[test]
    fn an_interval_is_whole_seconds() {
        assert_eq!(whole_seconds("10").ok(), Some(10));
        for (asked, status) in [
            ("0", 400),
            ("-1", 400),
            ("99999999999999999999", 400),
            ("abc", 422),
            ("1e9", 422),
            ("1.5", 422),
            ("", 422),
            ("-", 422),
            ("+5", 422),
        ] {
            assert_eq!(whole_seconds(asked).err().map(|problem| problem.status), Some(status), "{asked}");
        }
    }
}
