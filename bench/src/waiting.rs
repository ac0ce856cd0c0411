//! What a scheduler costs while its jobs wait for tomorrow: memory, and processor time and wake-ups over a time in which
//! nothing is due. A cron that looks every minute looks once.

use std::time::Duration;

use anyhow::Result;

use crate::binaries::Binaries;
use crate::machine;
use crate::outline;
use crate::report::Section;
use crate::schedulers::{Jobs, Rhythm, all_for};

/// After the start: what was only needed for it is over.
const SETTLE: Duration = Duration::from_secs(5);
/// So long nothing is due.
const IDLE: Duration = Duration::from_secs(30);

/// So many jobs under each scheduler in turn.
pub fn measure(binaries: &Binaries, jobs: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-waiting-").tempdir()?;
    let mut rows = Vec::new();
    for (at, scheduler) in all_for(binaries, Rhythm::Day).into_iter().enumerate() {
        eprintln!("waiting: {}", scheduler.name);
        let folder = scratch.path().join(at.to_string());
        std::fs::create_dir(&folder)?;
        let jobs = Jobs { count: jobs, rhythm: Rhythm::Day, stamp: &binaries.stamp, folder: &folder };
        let supervisor = scheduler.start(&jobs)?;
        std::thread::sleep(SETTLE);
        let own = outline::family(supervisor.pid);
        let before = outline::used(&own);
        std::thread::sleep(IDLE);
        let after = outline::used(&own);
        let pss: f64 = own.iter().filter_map(|pid| outline::pss_kib(*pid)).sum();
        let rss: f64 = own.iter().filter_map(|pid| outline::rss_kib(*pid)).sum();
        let mut row = vec![scheduler.name.clone(), own.len().to_string()];
        row.extend([pss, rss, pss / jobs.count as f64].map(|kib| format!("{kib:.1}")));
        row.push(format!("{:.1}", after.0.saturating_sub(before.0) as f64 / 1e6));
        row.push(after.1.saturating_sub(before.1).to_string());
        rows.push(row);
    }
    Ok(Section {
        name: "waiting",
        words: vec![
            machine::line(binaries, &["busybox-static"], scratch.path()),
            format!(
                "{jobs} jobs that are due tomorrow. All processes of the scheduler: how many, PSS and RSS in KiB, and \
                 over {} s in which nothing is due their processor time in ms and their context switches.",
                IDLE.as_secs()
            ),
        ],
        head: vec!["scheduler", "processes", "PSS KiB", "RSS KiB", "PSS a job", "CPU ms", "switches"],
        rows,
    })
}
