//! `/readyz` and `/health`: whether what is wanted is so. What rests because its hours are over is as it should be; what
//! rests in its hours is not.

use axum::extract::State;
use axum::http::StatusCode;
use soloist_api::health::{Alive, Health, ServiceHealth};
use soloist_api::status::ServiceStatus;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::glance::Glance;
use super::{Answer, json, refuse};

pub(super) fn routes<S: Clone + Send + Sync + 'static>(glance: Glance) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .routes(routes!(health))
        .with_state(glance)
}

/// Whether the daemon answers.
#[utoipa::path(get, path = "/livez", security(()), responses((status = 200, body = Alive)))]
async fn livez() -> Answer {
    json(StatusCode::OK, "application/json", &Alive { status: "alive".to_owned() })
}

/// Who is not ready, if anybody is not.
#[utoipa::path(
    get,
    path = "/readyz",
    responses((status = 200, body = Health), (status = 503, body = Health))
)]
async fn readyz(State(glance): State<Glance>) -> Answer {
    tell(&glance, |mut services| {
        services.retain(|one| !one.ready);
        Health { ok: services.is_empty(), services }
    })
    .await
}

/// How each is.
#[utoipa::path(
    get,
    path = "/health",
    responses((status = 200, body = Health), (status = 503, body = Health))
)]
async fn health(State(glance): State<Glance>) -> Answer {
    tell(&glance, |services| Health { ok: services.iter().all(|one| one.healthy), services }).await
}

async fn tell(glance: &Glance, judge: impl FnOnce(Vec<ServiceHealth>) -> Health) -> Answer {
    match glance.look().await {
        Ok(seen) => {
            let found = judge(seen.status.services.iter().map(judged).collect());
            let code = if found.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            json(code, "application/json", &found)
        }
        Err(problem) => refuse(&problem),
    }
}

/// How one is judged.
pub(super) fn judged(service: &ServiceStatus) -> ServiceHealth {
    let schedule = service.schedule.as_ref();
    let is_paused = schedule.is_some_and(|schedule| schedule.paused);
    let is_open = schedule.and_then(|schedule| schedule.open) == Some(true);
    let (healthy, ready, reason) = match (service.state.as_str(), service.wanted.as_str()) {
        ("failed", _) => (false, false, "it failed, and is tried no more"),
        (_, "down") => (true, true, "it is not wanted"),
        ("ready", _) => (true, true, "it serves"),
        ("running", _) => (true, true, "its run is at work"),
        ("completed", _) => (true, true, "its work is done"),
        ("standby", _) => (true, true, "it runs elsewhere"),
        ("scheduled", _) if is_paused => (true, true, "its schedule is paused"),
        // A job rests between its runs, in its hours as well.
        ("scheduled", _) if is_open && service.kind == "service" => {
            (false, false, "it does not run in its hours")
        }
        ("scheduled", _) => (true, true, "it waits for its time"),
        ("claiming" | "starting", _) => (true, false, "it is about to start"),
        ("stopping", _) => (true, false, "its run is about to end"),
        ("unhealthy", _) => (false, false, "it runs and does not serve"),
        ("backoff", _) => (false, false, "it fell, and is tried again"),
        ("conflict", _) => (false, false, "somebody else is on its port"),
        _ => (false, false, "it does not run"),
    };
    let (name, state) = (service.name.clone(), service.state.clone());
    let reason = match &service.note {
        Some(note) if !healthy => format!("{reason}: {note}"),
        _ => reason.to_owned(),
    };
    ServiceHealth { name, healthy, ready, state, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(kind: &str, state: &str, wanted: &str, schedule: &str) -> ServiceStatus {
        let told = serde_json::json!({
            "name": "a", "kind": kind, "state": state, "wanted": wanted, "ready": state == "ready", "restarts": 0,
            "ports": [], "revision": 1, "command": [],
            "schedule": serde_json::from_str::<serde_json::Value>(schedule).unwrap(),
        });
        serde_json::from_value(told).unwrap()
    }

    #[track_caller]
    fn assert_judged(of: (&str, &str, &str, &str), healthy: bool, ready: bool) {
        let found = judged(&service(of.0, of.1, of.2, of.3));
        assert_eq!((found.healthy, found.ready), (healthy, ready), "{of:?}: {found:?}");
    }

    #[test]
    fn not_running_in_its_hours_is_unhealthy_and_outside_them_is_not() {
        assert_judged(("service", "scheduled", "up", r#"{"open": true}"#), false, false);
        assert_judged(("service", "scheduled", "up", r#"{"open": false}"#), true, true);
        assert_judged(("service", "scheduled", "up", r#"{"open": true, "paused": true}"#), true, true);
        assert_judged(("job", "scheduled", "up", r#"{"open": true}"#), true, true);
        assert_judged(("service", "backoff", "up", r#"{"open": true}"#), false, false);
    }

    #[test]
    fn ready_is_who_serves_or_rests_for_a_reason() {
        assert_judged(("service", "ready", "up", "null"), true, true);
        assert_judged(("job", "completed", "up", "null"), true, true);
        assert_judged(("service", "stopped", "down", "null"), true, true);
        assert_judged(("service", "starting", "up", "null"), true, false);
        assert_judged(("service", "unhealthy", "up", "null"), false, false);
        assert_judged(("job", "failed", "down", "null"), false, false);
        assert_judged(("service", "stopped", "up", "null"), false, false);
    }
}
