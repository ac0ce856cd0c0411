//! `/metrics`: what is counted, and how all instances are now, as OpenMetrics text. The driver is asked for one status.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use soloist_api::error::{Code, Problem};
use soloist_api::schedule::ScheduleStatus;
use soloist_api::status::{ServiceStatus, Status};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::health::judged;
use super::past::Past;
use super::{Answer, refuse};
use crate::tally::Tally;

/// Of the OpenMetrics specification, 1.0.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes<S: Clone + Send + Sync + 'static>(past: Past) -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(metrics)).with_state(past)
}

/// Counters and gauges, as OpenMetrics text.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
async fn metrics(State(past): State<Past>) -> Answer {
    match past.glance.look().await {
        Ok(seen) => match text(&past.tally, Arc::clone(&seen.status)) {
            Ok(text) => ([(header::CONTENT_TYPE, KIND)], text).into_response(),
            Err(e) => refuse(&Problem::new(Code::Error, format!("the metrics cannot be written: {e}"))),
        },
        Err(problem) => refuse(&problem),
    }
}

fn text(tally: &Tally, status: Arc<Status>) -> Result<String, std::fmt::Error> {
    let mut now = Registry::with_prefix("soloist");
    now.register_collector(Box::new(Seen(status)));
    let mut out = String::new();
    encode_registry(&mut out, &now)?;
    tally.write(&mut out)?;
    encode_eof(&mut out)?;
    Ok(out)
}

/// How all is at this moment.
#[derive(Debug)]
struct Seen(Arc<Status>);

impl Collector for Seen {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        if let Some(daemon) = &self.0.daemon {
            let labels = [("version", daemon.version.as_str())];
            let mut info = encoder.encode_descriptor("daemon", "soloist's daemon", None, MetricType::Info)?;
            info.encode_info(&labels)?;
            let name = "daemon_start_time_seconds";
            let started = encoder.encode_descriptor(name, "Since when it lives", None, MetricType::Gauge)?;
            ConstGauge::new(daemon.since.as_second()).encode(started)?;
        }
        let mut gauge = |name: &str, what: &str, value: fn(&ServiceStatus) -> Option<i64>| {
            let mut family = encoder.encode_descriptor(name, what, None, MetricType::Gauge)?;
            for one in &self.0.services {
                if let Some(value) = value(one) {
                    let labels = [("service", one.name.as_str())];
                    ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
                }
            }
            Ok::<(), std::fmt::Error>(())
        };
        gauge("service_up", "Its main process lives", |one| Some(i64::from(one.pid.is_some())))?;
        gauge("service_ready", "It serves", |one| Some(i64::from(one.ready)))?;
        gauge("service_wanted", "It is wanted up", |one| Some(i64::from(one.wanted == "up")))?;
        gauge("service_healthy", "As /health judges", |one| Some(i64::from(judged(one).healthy)))?;
        gauge("service_instances", "Living copies that are known; never above 1", |one| {
            Some(instances(one))
        })?;
        gauge("service_start_time_seconds", "Since when its run runs", |one| {
            one.pid.and(one.since).map(|at| at.as_second())
        })?;
        gauge("schedule_open", "Its window is open", |one| of(one).and_then(|one| one.open).map(i64::from))?;
        gauge("schedule_paused", "Nothing is due by itself", |one| of(one).map(|one| i64::from(one.paused)))?;
        gauge("schedule_queued", "Runs that wait for the one at work", |one| {
            of(one).map(|one| i64::try_from(one.queued).unwrap_or(i64::MAX))
        })?;
        gauge("schedule_next_run_time_seconds", "When the next run is due", |one| {
            of(one).and_then(|one| one.next).map(|at| at.as_second())
        })?;
        let mut states = encoder.encode_descriptor(
            "service_state",
            "1 for the state it is in",
            None,
            MetricType::Gauge,
        )?;
        for one in &self.0.services {
            let labels = [("service", one.name.as_str()), ("state", one.state.as_str())];
            ConstGauge::new(1i64).encode(states.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn of(service: &ServiceStatus) -> Option<&ScheduleStatus> {
    service.schedule.as_ref()
}

/// The main process of ours, and that of whoever else holds its claim.
fn instances(service: &ServiceStatus) -> i64 {
    let elsewhere = service.holder.as_ref().filter(|holder| holder.pid != holder.guard).and_then(|h| h.pid);
    i64::from(service.pid.is_some()) + i64::from(elsewhere.is_some() && elsewhere != service.pid)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use soloist_core::event::{Note, What};

    use super::*;

    fn service(name: &str, more: &str) -> ServiceStatus {
        let mut told = serde_json::json!({
            "name": name, "kind": "service", "state": "ready", "wanted": "up", "ready": true, "restarts": 0,
            "ports": [], "revision": 1, "command": [], "pid": 17, "since": "2026-11-20T09:15:00Z",
        });
        let more: serde_json::Value = serde_json::from_str(more).unwrap();
        told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(told).unwrap()
    }

    fn note(what: What, reason: &'static str, count: Option<u64>) -> Note {
        Note {
            what,
            run: None,
            cause: None,
            exit: None,
            span: None,
            count,
            reason: Some(reason),
            words: None,
        }
    }

    #[test]
    fn each_line_of_the_history_is_counted_where_it_belongs() {
        let tally = Tally::new();
        tally.note("a", &note(What::Restarting, "signal", None));
        tally.note("a", &note(What::Restarting, "signal", None));
        tally.note("a", &note(What::Skipped, "closed", Some(7)));
        tally.note("a", &note(What::Answered, "error", None));
        tally.note("a", &note(What::Refused, "need", None));
        tally.note("a", &note(What::Standby, "claim", None));
        tally.stop("a", Duration::from_millis(700), true);
        let text = text(&tally, Arc::new(Status { daemon: None, services: Vec::new() })).unwrap();
        for line in [
            r#"soloist_service_restarts_total{service="a",reason="signal"} 2"#,
            r#"soloist_schedule_skipped_total{service="a",reason="closed"} 7"#,
            r#"soloist_schedule_runs_total{service="a",result="error"} 1"#,
            r#"soloist_duplicate_starts_prevented_total{service="a",reason="claim"} 1"#,
            r#"soloist_stop_duration_seconds_bucket{le="0.5"} 0"#,
            r#"soloist_stop_duration_seconds_bucket{le="1.0"} 1"#,
            r#"soloist_stop_escalations_total{service="a"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
        assert!(
            !text.contains(r#"reason="need""#),
            "a start that misses what it needs is no duplicate:\n{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn how_all_is_now_is_told_of_each() {
        let open = r#"{"state": "scheduled", "ready": false, "pid": null, "schedule": {"open": true}}"#;
        let held = r#"{"holder": {"kind": "run", "pid": 18, "guard": 19, "command": [], "project": ""}}"#;
        let services = vec![service("a\"b", "{}"), service("rests", open), service("twice", held)];
        let text = text(&Tally::new(), Arc::new(Status { daemon: None, services })).unwrap();
        for line in [
            r#"soloist_service_up{service="a\"b"} 1"#,
            r#"soloist_service_state{service="rests",state="scheduled"} 1"#,
            r#"soloist_service_instances{service="rests"} 0"#,
            r#"soloist_service_instances{service="twice"} 2"#,
            r#"soloist_service_healthy{service="rests"} 0"#,
            r#"soloist_schedule_open{service="rests"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }
}
