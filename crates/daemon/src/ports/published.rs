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
            replace(&self.json, format!("{:#}\n", json(&table)).as_bytes())?;
            replace(&self.env, env(&table).as_bytes())?;
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
