//! A declaration as it is told over the API: what it says and no secret of it. Of variables and of headers only the names
//! are told, of a path nothing behind its `?`.

use std::time::Duration;

use soloist_api::schedule::ScheduleStatus;
use soloist_api::watch::{Config, ProbeConfig};
use soloist_core::plan::{Condition, Kind, Need, Probe, Restart};

use crate::config::{Check, Declared, Scope};
use crate::convert::command_line;

/// What a declaration says.
pub fn told(declared: &Declared, schedule: Option<ScheduleStatus>) -> Config {
    let Declared { plan, program, .. } = declared;
    let probes = [
        ("startup", plan.startup, &program.checks.startup),
        ("readiness", plan.readiness, &program.checks.readiness),
        ("liveness", plan.liveness, &program.checks.liveness),
    ];
    let probes = probes.into_iter().filter_map(|(kind, probe, check)| {
        let (rhythm, check) = (rhythm(&probe?), question(check.as_ref()?));
        Some(ProbeConfig { kind: kind.to_owned(), check, rhythm })
    });
    let kind = match plan.kind {
        Kind::Service => "service",
        Kind::Job => "job",
    };
    let scope = match program.scope {
        Scope::Project => "project",
        Scope::Machine => "machine",
    };
    Config {
        name: declared.name.clone(),
        service: declared.service.clone(),
        key: declared.key.clone(),
        kind: kind.to_owned(),
        command: program.argv.clone(),
        dir: program.dir.display().to_string(),
        env: program.env.keys().cloned().collect(),
        ports: plan.ports.clone(),
        listen: program.sockets.iter().map(|socket| socket.at.to_string()).collect(),
        scope: scope.to_owned(),
        needs: plan.needs.iter().map(need).collect(),
        restart: restart(plan.restart),
        backoff: format!(
            "{} to {}, from the start again after {}",
            words(plan.backoff.first),
            words(plan.backoff.max),
            words(plan.backoff.reset_after)
        ),
        restart_limit: format!("{} in {}", plan.limit.count, words(plan.limit.period)),
        stop_grace: words(plan.stop_grace),
        stop_command: program.stop_command.clone(),
        ready_timeout: words(plan.ready_timeout),
        notify: plan.notifies,
        watchdog: plan.watchdog.map(words),
        max_runtime: plan.max_runtime.map(words),
        memory_max: program.limits.memory_max,
        cpu_max: program.limits.cpu_max.map(|cpus| cpus.to_string()),
        probes: probes.collect(),
        schedule,
        mask: program.log.mask.clone(),
    }
}

fn words(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}

fn restart(restart: Restart) -> String {
    match restart {
        Restart::No => "no".to_owned(),
        Restart::OnFailure(None) => "on-failure".to_owned(),
        Restart::OnFailure(Some(times)) => format!("on-failure:{times}"),
        Restart::Always => "always".to_owned(),
        Restart::OnSuccess => "on-success".to_owned(),
        Restart::OnAbnormal => "on-abnormal".to_owned(),
    }
}

fn need(need: &Need) -> String {
    let until = match need.until {
        Condition::Started => "started",
        Condition::Ready => "ready",
        Condition::Completed => "completed",
        Condition::CompletedSuccessfully => "completed-successfully",
    };
    format!("{} until {until}", need.on)
}

fn question(check: &Check) -> String {
    let at = |host: &str, port: &u16| match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    match check {
        Check::Http { host, port, path, headers } => {
            let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
            let with = if names.is_empty() {
                String::new()
            } else {
                format!(" with the headers {}", names.join(", "))
            };
            let path = path.split_once('?').map_or(path.clone(), |(path, _)| format!("{path}?…"));
            format!("GET http://{}{path}{with}", at(host, port))
        }
        Check::Tcp { host, port } => format!("connect to {}", at(host, port)),
        Check::Exec { argv } => format!("run `{}`", command_line(argv)),
        Check::Log { pattern } => format!("a line of its log matches `{pattern}`"),
    }
}

fn rhythm(probe: &Probe) -> String {
    let mut said = format!("every {}, each at most {}", words(probe.period), words(probe.timeout));
    if probe.success_threshold > 1 {
        said += &format!(", passed after {}", probe.success_threshold);
    }
    said + &format!(", failed after {}", probe.failure_threshold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config as File;

    #[test]
    fn a_declaration_is_told_without_values_of_variables_and_headers() {
        let folder = tempfile::tempdir().unwrap();
        let toml = "[services.api]\ncommand = \"server --fast\"\nport = 8000\nlisten = \"soloist\"\ndepends-on = [\"db\"]\n\
             env = { TOKEN = \"hunter2\", MODE = \"hunter2\" }\nrestart = \"on-failure:3\"\nmemory-max = \"1MiB\"\n\
             watchdog = \"10s\"\nscope = \"machine\"\n\
             [services.api.readiness]\n\
             http = { path = \"/health?key=hunter2\", headers = { Authorization = \"hunter2\" } }\n\
             [services.api.liveness]\ntcp = 8000\nsuccess-threshold = 1\n\
             [services.db]\ncommand = \"db\"\n";
        std::fs::write(folder.path().join("soloist.toml"), toml).unwrap();
        let file = File::load(folder.path()).unwrap();
        let api = file.declared.iter().find(|declared| declared.name == "api").unwrap();
        let config = told(api, None);
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"), "{config:?}");
        assert_eq!(config.env, ["MODE", "TOKEN"]);
        assert_eq!(config.command, ["server", "--fast"]);
        assert_eq!(config.listen, ["127.0.0.1:8000"]);
        assert_eq!((config.restart.as_str(), config.scope.as_str()), ("on-failure:3", "machine"));
        assert_eq!(
            (config.ports, config.memory_max, config.watchdog),
            (vec![8000], Some(1 << 20), Some("10s".into()))
        );
        assert_eq!(config.needs, ["db until ready"]);
        let checks: Vec<(&str, &str)> =
            config.probes.iter().map(|probe| (probe.kind.as_str(), probe.check.as_str())).collect();
        let readiness = "GET http://127.0.0.1:8000/health?… with the headers Authorization";
        assert_eq!(checks, [("readiness", readiness), ("liveness", "connect to 127.0.0.1:8000")]);
        assert_eq!(config.probes[0].rhythm, "every 10s, each at most 1s, failed after 3");
    }
}
