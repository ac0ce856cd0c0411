//! What supervisors of idle services hold in memory: proportional shares, so that pages which several processes share
//! count once. soloist's daemon, zygote and guards; runsvdir with its runsv; s6-svscan with its s6-supervise.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::binaries::{Binaries, peer};
use crate::figures::Figures;
use crate::report::Section;
use crate::supervisor::Supervisor;
use crate::{machine, outline};

const LIMIT: Duration = Duration::from_secs(60);
/// After the start: what was only needed for it is over.
const SETTLE: Duration = Duration::from_secs(2);

/// So many services that sleep, under each supervisor in turn.
pub fn measure(binaries: &Binaries, services: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-memory-").tempdir()?;
    let sleep = peer("sleep", "coreutils").context("without `sleep` there is nothing to supervise")?;
    let mut rows = Vec::new();
    for (program, package, end) in [("runsvdir", "runit", Signal::HUP), ("s6-svscan", "s6", Signal::TERM)] {
        let Some(path) = peer(program, package) else { continue };
        let folder = scratch.path().join(package);
        for at in 0..services {
            let service = folder.join(format!("s{at}"));
            std::fs::create_dir_all(&service)?;
            let run = service.join("run");
            std::fs::write(&run, format!("#!/bin/sh\nexec {} 100000\n", sleep.display()))?;
            std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755))?;
        }
        let mut command = Command::new(path);
        command.arg(&folder);
        let supervisor = Supervisor::start(command, end)?;
        let each = if package == "runit" { "runsv" } else { "s6-supervise" };
        rows.extend(look(&supervisor, services, program, &[each])?);
    }
    let folder = scratch.path().join("soloist");
    std::fs::create_dir(&folder)?;
    let one = |at: usize| format!("[services.s{at}]\ncommand = [{:?}, \"100000\"]\n", sleep);
    std::fs::write(folder.join("soloist.toml"), (0..services).map(one).collect::<String>())?;
    let supervisor = Supervisor::soloist(&binaries.soloist, &folder, &["up", "-d"])?;
    rows.extend(look(&supervisor, services, "soloist daemon", &["soloist-zygote", "soloist-guard"])?);
    Ok(Section {
        name: "memory",
        words: vec![
            machine::line(binaries, &["runit", "s6"], scratch.path()),
            format!("PSS in KiB with {services} services that sleep, {} s after all run.", SETTLE.as_secs()),
        ],
        head: vec!["process", "count", "median KiB", "min", "max", "sum", "a service"],
        rows,
    })
}

/// A row for each kind of process, and one for all of them.
fn look(supervisor: &Supervisor, services: usize, first: &str, others: &[&str]) -> Result<Vec<Vec<String>>> {
    let family = || outline::family(supervisor.pid);
    let all_run = || family().iter().filter(|pid| outline::name(**pid) == "sleep").count() == services;
    ensure!(machine::wait_until(LIMIT, all_run), "{first} does not start all services");
    std::thread::sleep(SETTLE);
    let mut kinds = vec![(first, vec![supervisor.pid])];
    for name in others {
        kinds.push((name, family().into_iter().filter(|pid| outline::name(*pid) == *name).collect()));
    }
    let (mut rows, mut count, mut total) = (Vec::new(), 0, 0.0);
    for (name, pids) in kinds {
        let (mut figures, mut sum) = (Figures::default(), 0.0);
        for pid in pids {
            let pss = outline::pss_kib(pid).with_context(|| format!("no share of {name} is told"))?;
            figures.add(pss);
            sum += pss;
        }
        count += figures.count();
        total += sum;
        let mut row = vec![name.to_owned(), figures.count().to_string()];
        row.extend(figures.cells(0));
        row.extend([format!("{sum:.0}"), "-".to_owned()]);
        rows.push(row);
    }
    let dash = || "-".to_owned();
    let a_service = format!("{:.0}", total / services as f64);
    let all = format!("**{first} in all**");
    rows.push(vec![all, count.to_string(), dash(), dash(), dash(), format!("{total:.0}"), a_service]);
    Ok(rows)
}
