//! `reload = "overlap-safe"`: a restart tries the new run beside the old one, so that somebody serves at every moment of it,
//! and code that does not start changes nothing.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpStream};

use e2e::{Background, Crowd, LIMIT, Project, daemon, free_port, is_free, puppet, wait_until};

/// Its code says that it is ready as soon as a file with the name of its instance is there.
fn code() -> String {
    format!(
        "while [ ! -e go-$SOLOIST_SERVICE ]; do sleep 0.02; done\necho ready\nexec {}\n",
        puppet(&["--handed"]).iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
    )
}

struct Web {
    project: Project,
    port: u16,
}

impl Web {
    /// Up, and ready.
    fn new() -> Web {
        let port = free_port();
        let project = Project::new(&declaration(port));
        project.write("web.sh", &code());
        let web = Web { project, port };
        web.let_go("web");
        web.project.soloist(&["up", "-d"]).expect(0);
        web.hold("web");
        web
    }

    fn let_go(&self, instance: &str) {
        self.project.write(&format!("go-{instance}"), "");
    }

    fn hold(&self, instance: &str) {
        std::fs::remove_file(self.project.path(&format!("go-{instance}"))).unwrap();
    }

    /// Who answers.
    fn answers(&self) -> io::Result<u32> {
        ask(self.port)
    }

    /// The pid of an instance, if it runs.
    fn pid(&self, instance: &str) -> Option<u32> {
        self.project.status().services.iter().find(|service| service.name == instance)?.pid
    }

    fn wait_for(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        wait_until(what, LIMIT, || match is_so() {
            true => Ok(()),
            false => Err(format!("{:#?}\n{}", self.project.status().services, self.project.diary())),
        });
    }

    fn wait_for_no_stand_in(&self) {
        self.wait_for("the stand-in is gone", || self.pid("web~new").is_none());
    }

    /// A restart whose new run has been started, and waits to be let go.
    fn restart(&self) -> Background {
        let restart = self.project.spawn(&["restart", "web"]);
        self.wait_for("a new run is tried", || self.pid("web~new").is_some());
        restart
    }

    /// Lets the stand-in go, and waits until it alone serves while the instance starts.
    fn let_it_stand_in(&self, old: u32) {
        self.let_go("web~new");
        self.wait_for("the instance has a new run", || self.pid("web").is_some_and(|pid| pid != old));
    }

    /// What is told of it.
    fn note(&self) -> String {
        self.project.service("web").note.unwrap_or_default()
    }
}

fn declaration(port: u16) -> String {
    format!(
        "[services.web]\ncommand = ['sh', 'web.sh']\nport = {port}\nlisten = 'soloist'\nreload = 'overlap-safe'\n\
         readiness = {{ log = '^ready', period-seconds = 1 }}\nready-timeout = '40s'\n"
    )
}

fn ask(port: u16) -> io::Result<u32> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut line = String::new();
    stream.read_to_string(&mut line)?;
    let pid = line.trim().split_once(' ').and_then(|(_, pid)| pid.parse().ok());
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, format!("it said {line:?}")))
}

#[test]
fn somebody_serves_at_every_moment_of_a_restart() {
    const ROUNDS: usize = 3;
    let web = Web::new();
    let port = web.port;
    let crowd = Crowd::asking(move || ask(port).map(drop));
    for _ in 0..ROUNDS {
        let old = web.answers().unwrap();
        let mut restart = web.restart();
        crowd.wait_for_answers(20);
        assert_eq!((web.answers().unwrap(), web.pid("web")), (old, Some(old)), "{}", web.project.diary());
        assert!(web.note().contains("web~new is tried beside it"), "{}", web.note());
        web.let_it_stand_in(old);
        crowd.wait_for_answers(20);
        assert_eq!(web.answers().ok(), web.pid("web~new"), "{}", web.project.diary());
        assert!(web.note().contains("web~new serves meanwhile"), "{}", web.note());
        assert!(restart.ended().is_none(), "{}", restart.said());
        web.let_go("web");
        restart.wait(LIMIT).expect(0);
        web.wait_for_no_stand_in();
        let new = web.pid("web").unwrap();
        assert_eq!(web.answers().unwrap(), new);
        assert_ne!(new, old);
        web.hold("web~new");
        web.hold("web");
    }
    // Of the old run and of the stand-in, what they had accepted and not answered.
    crowd.is_content(2 * ROUNDS);
    web.project.soloist(&["down"]).expect(0);
    assert!(is_free(port));
}

#[test]
fn code_that_does_not_start_changes_nothing_and_is_kept_in_sight() {
    let web = Web::new();
    let old = web.answers().unwrap();
    web.project.write("web.sh", "echo Traceback of web.sh >&2\nexit 3\n");
    for _ in 0..2 {
        let said = web.project.soloist(&["restart", "web"]).expect(7);
        assert!(said.all().contains("the new run did not get ready: ended with exit code 3"), "{said}");
    }
    web.wait_for_no_stand_in();
    let service = web.project.service("web");
    assert_eq!((service.state.as_str(), service.pid, web.answers().unwrap()), ("ready", Some(old), old));
    assert!(web.note().contains("did not get ready"), "{}", web.note());
    assert_eq!(service.tail, ["Traceback of web.sh"]);
    let past = web.project.soloist(&["history", "web"]).expect(0);
    assert!(past.all().contains("kept"), "{past}");
    // A start wants nothing new.
    web.project.soloist(&["start", "web"]).expect(0);
    web.project.write("web.sh", &code());
    web.let_go("web");
    web.let_go("web~new");
    web.project.soloist(&["restart", "web"]).expect(0);
    assert_ne!(web.answers().unwrap(), old);
    assert_eq!(web.note(), "");
}

#[test]
fn a_daemon_that_dies_leaves_no_stand_in_behind() {
    let web = Web::new();
    let old = web.answers().unwrap();
    drop(web.restart());
    let dead = daemon::kill(&web.project);
    daemon::wait_for_another(&web.project, dead, LIMIT);
    // Nobody knows of the restart any more.
    web.wait_for_no_stand_in();
    assert_eq!((web.answers().unwrap(), web.pid("web")), (old, Some(old)), "{}", web.project.diary());
    drop(web.restart());
    web.let_it_stand_in(old);
    let dead = daemon::kill(&web.project);
    daemon::wait_for_another(&web.project, dead, LIMIT);
    assert_eq!(web.answers().ok(), web.pid("web~new"), "{}", web.project.diary());
    web.let_go("web");
    web.wait_for_no_stand_in();
    assert_eq!(web.answers().ok(), web.pid("web"), "{}", web.project.diary());
}

#[test]
fn a_stop_ends_both_and_nobody_starts_a_stand_in() {
    let web = Web::new();
    drop(web.restart());
    web.project.soloist(&["stop", "web"]).expect(0);
    web.wait_for_no_stand_in();
    assert!(is_free(web.port));
    let said = web.project.soloist(&["start", "web~new"]).expect(2);
    assert!(said.all().contains("only stands in for web"), "{said}");
    // Nor does `up`.
    web.let_go("web");
    web.project.soloist(&["up", "-d"]).expect(0);
    assert_eq!((web.answers().ok(), web.pid("web~new")), (web.pid("web"), None));
}

#[test]
fn what_listens_elsewhere_from_now_on_is_restarted_the_plain_way() {
    let web = Web::new();
    let port = free_port();
    web.project.write("soloist.toml", &declaration(port));
    web.let_go("web");
    web.project.soloist(&["up", "-d"]).expect(0);
    wait_until("it answers there", LIMIT, || ask(port).map(drop));
    assert!(is_free(web.port));
    assert!(web.project.log("web~new").is_empty());
}
