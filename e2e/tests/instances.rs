//! Keyed instances: each exactly once, one more and one less at run time, and a changed soloist.toml.

use e2e::{LIMIT, Project, puppet, quoted, wait_until};

fn scrapers() -> Project {
    let says = quoted(&["sh", "-c", "echo I am $SOLOIST_INSTANCE of {instance}; exec sleep 1000"]);
    Project::new(&format!("[services.scraper]\ncommand = {says}\ninstances = [\"antica\", \"bona\"]\n"))
}

fn up(project: &Project) -> Vec<String> {
    let status = project.status();
    let up = status.services.iter().filter(|s| s.state == "ready");
    up.map(|s| s.name.clone()).collect()
}

#[test]
fn each_key_has_its_own_instance_that_knows_it() {
    let project = scrapers();
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!(up(&project), ["scraper@antica", "scraper@bona"]);
    wait_until("both say who they are", LIMIT, || {
        let said = ["antica", "bona"].map(|key| project.log(&format!("scraper@{key}")));
        let expected = ["antica", "bona"].map(|key| format!("I am {key} of {key}\n").into_bytes());
        if said == expected { Ok(()) } else { Err(format!("{said:?}")) }
    });
    // The service's name stands for all of them.
    project.soloist(&["stop", "scraper"]).expect(0);
    assert!(up(&project).is_empty());
    project.soloist(&["start", "scraper@bona"]).expect(0);
    assert_eq!(up(&project), ["scraper@bona"]);
    project.soloist(&["down"]).expect(0);
}

#[test]
fn a_key_comes_and_goes_at_run_time_and_stays_so() {
    let project = scrapers();
    project.soloist(&["up", "-d"]).expect(0);
    let before = project.service("scraper@bona").pid;
    project.soloist(&["instances", "scraper", "--add", "celesta", "--remove", "antica"]).expect(0);
    assert_eq!(up(&project), ["scraper@bona", "scraper@celesta"]);
    assert!(project.status().services.iter().all(|s| s.name != "scraper@antica"));
    assert_eq!(project.service("scraper@bona").pid, before, "the others are left alone");
    project.soloist(&["down"]).expect(0);
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!(up(&project), ["scraper@bona", "scraper@celesta"]);
    project.soloist(&["instances", "scraper", "--remove", "nobody"]).expect(4);
    project.soloist(&["instances", "scraper", "--add", "no key"]).expect(2);
    project.soloist(&["instances", "ghost"]).expect(4);
    project.soloist(&["down"]).expect(0);
}

#[test]
fn up_takes_in_a_changed_file_and_touches_only_what_changed() {
    let sleeper = quoted(&puppet(&[] as &[&str]));
    let service = |name: &str, more: &str| format!("[services.{name}]\ncommand = {sleeper}\n{more}");
    let project = Project::new(&[service("same", ""), service("other", ""), service("gone", "")].concat());
    project.soloist(&["up", "-d"]).expect(0);
    let pid = |name: &str| project.service(name).pid;
    let (same, other) = (pid("same"), pid("other"));
    // A new restart policy is no reason for a new run, a new environment is; what is not there any more is stopped.
    let changed = [
        service("same", "restart = \"always\"\n"),
        service("other", "env = { COLOUR = \"red\" }\n"),
        service("new", ""),
    ];
    project.write("soloist.toml", &changed.concat());
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("what is gone is gone", LIMIT, || match up(&project) {
        up if up == ["same", "other", "new"] => Ok(()),
        up => Err(format!("{up:?}")),
    });
    assert_eq!(pid("same"), same);
    assert_ne!(pid("other"), other);
    project.soloist(&["down"]).expect(0);
    project.wait_until_nothing_lives(LIMIT);
}
