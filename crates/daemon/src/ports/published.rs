//! Where services are found, for programs that ask no daemon: `.soloist/ports.json` and `ports.env`. Each is replaced as a
//! whole, so that nobody reads half of one. What a dead daemon has left names its runs: a reader can see that they are over.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use soloist_api::status::ServiceStatus;
use soloist_api::watch::Served;
use soloist_os::layout::Layout;
use soloist_os::record::replace;

use crate::service::port_variables;

/// By the names of the services that are up.
pub type Table = BTreeMap<String, Served>;

/// The two files, and what they say.
#[derive(Debug)]
pub struct Published {
    json: PathBuf,
    env: PathBuf,
    told: Option<Table>,
}

impl Published {
    /// Of a project; nothing is written yet.
    pub fn new(layout: &Layout) -> Published {
        Published { json: layout.ports(), env: layout.ports_env(), told: None }
    }

    /// Whether the files say what was told last.
    pub fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// Whether they say this of an instance.
    pub fn says(&self, name: &str, served: Option<&Served>) -> bool {
        self.told.as_ref().is_some_and(|told| told.get(name) == served)
    }

    /// Writes them, if that is news. Without any service that listens there are none.
    ///
    /// # Errors
    /// If one could not be written; it is tried again with the next news.
    pub fn tell(&mut self, table: Table) -> io::Result<()> {
        let is_news = match &self.told {
            Some(told) => *told != table,
            None => !table.is_empty() || self.json.exists(),
        };
        self.told = None;
        if is_news {
            soloist_os::fail_point!("daemon.ports-due");
            replace(&self.json, format!("{:#}\n", json(&table)).as_bytes())?;
            soloist_os::fail_point!("daemon.ports-half-written");
            replace(&self.env, env(&table).as_bytes())?;
            soloist_os::fail_point!("daemon.ports-written");
        }
        self.told = Some(table);
        Ok(())
    }
}

/// Where services are found, from what is told of them.
pub fn served(services: &[ServiceStatus]) -> Table {
    let up = services.iter().filter(|service| service.state != "stopping");
    let served = up.filter_map(|service| {
        let served = Served::new(&service.ports, service.run_id.as_ref()?, service.pid?, service.ready)?;
        Some((service.name.clone(), served))
    });
    served.collect()
}

fn json(table: &Table) -> serde_json::Value {
    serde_json::json!({ "version": 1, "services": table })
}

/// For `.`, `env-file` and dotenv.
fn env(table: &Table) -> String {
    let mut text = String::from("# Written by soloist whenever a service starts, gets ready or ends.\n");
    for (name, served) in table {
        let ready = if served.ready { "ready" } else { "not ready" };
        let _ = writeln!(text, "# {name}: run {}, pid {}, {ready}", served.run_id, served.pid);
        for (variable, value) in port_variables(name, served.port) {
            let _ = writeln!(text, "{variable}={value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_files_say_what_is_up_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        let mut published = Published::new(&layout);
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        published.tell(Table::new()).unwrap();
        assert!(!layout.ports().exists(), "nothing listens, and nobody asks where");
        let served = Served::new(&[8003, 8004], "00ab", 7, true).unwrap();
        published.tell(Table::from([("gap-scanner@x".to_owned(), served.clone())])).unwrap();
        let told: serde_json::Value = serde_json::from_str(&read(layout.ports())).unwrap();
        assert_eq!((&told["version"], &told["services"]["gap-scanner@x"]["port"]), (&1.into(), &8003.into()));
        let entry = serde_json::from_value(told["services"]["gap-scanner@x"].clone());
        assert_eq!(entry.ok(), Some(served));
        let env = read(layout.ports_env());
        assert!(env.contains("# gap-scanner@x: run 00ab, pid 7, ready\n"), "{env}");
        assert!(env.contains("\nSOLOIST_PORT_GAP_SCANNER_X=8003\n"), "{env}");
        assert!(env.contains("\nSOLOIST_URL_GAP_SCANNER_X=http://127.0.0.1:8003\n"), "{env}");
        Published::new(&layout).tell(Table::new()).unwrap();
        assert!(!read(layout.ports()).contains("8003"), "what an earlier daemon left is over");
        assert!(!read(layout.ports_env()).contains("8003"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_shell_reads_the_variables_as_they_were_meant(
            table in prop::collection::btree_map("[a-zA-Z0-9_][a-zA-Z0-9._-]{0,8}(@[a-z0-9.-]{1,6})?", 1..=u16::MAX, 1..6),
        ) {
            let served = |port| Served::new(&[port], "00ab", 7, true).unwrap();
            let table: Table = table.into_iter().map(|(name, port)| (name, served(port))).collect();
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("ports.env"), env(&table)).unwrap();
            let mut shell = Command::new("/bin/sh");
            shell.args(["-ec", "set -a; . ./ports.env; exec env"]).env_clear().current_dir(folder.path());
            let output = shell.output().unwrap();
            prop_assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            let mut found: BTreeMap<String, String> =
                text.lines().filter_map(|line| line.split_once('=')).map(|(a, b)| (a.into(), b.into())).collect();
            found.retain(|name, _| name.starts_with("SOLOIST_"));
            let expected: BTreeMap<String, String> = table
                .iter()
                .flat_map(|(name, served)| port_variables(name, served.port))
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_could_not_be_written_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        let mut published = Published::new(&layout);
        let table =
            || Table::from_iter(Served::new(&[1], "1", 2, true).map(|served| ("a".to_owned(), served)));
        published.tell(table()).unwrap_err();
        layout.make().unwrap();
        published.tell(table()).unwrap();
        assert!(layout.ports().exists());
    }
}
