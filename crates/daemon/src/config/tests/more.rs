//! What the keys beyond the first ones give: probes, limits, conditions, keyed instances, env files.

use std::fs;
use std::time::Duration;

use soloist_core::plan::{Condition, Need, OverMemory, Probe, Restart};
use soloist_os::guard::{Limits, OnDaemonExit};

use super::super::*;
use super::folder;

fn parse(root: &Path, text: &str) -> Config {
    Config::parse(text, root, FILE_NAME).unwrap_or_else(|error| panic!("{error}"))
}

/// One service `a` with these lines.
fn service(lines: &str) -> Declared {
    let folder = folder();
    let mut config = parse(folder.path(), &format!("[services.a]\ncommand = 'a'\n{lines}"));
    config.declared.remove(0)
}

#[test]
fn a_service_says_what_to_ask_it_and_how_often() {
    let a = service(
        r#"ports = [9000, 9001]
        startup = { log = 'listening on \d+', failure-threshold = 30, period-seconds = 0.5 }
        [services.a.readiness]
        http = "/health?deep=1"
        initial-delay-seconds = 2
        timeout-seconds = 1.5
        success-threshold = 2
        [services.a.liveness]
        exec = "./check 'a b'"
        period-seconds = 60
        "#,
    );
    let seconds = Duration::from_secs_f64;
    let standard = Probe::default();
    assert_eq!(a.plan.startup, Some(Probe { failure_threshold: 30, period: seconds(0.5), ..standard }));
    let rhythm =
        Probe { initial_delay: seconds(2.0), timeout: seconds(1.5), success_threshold: 2, ..standard };
    assert_eq!(a.plan.readiness, Some(rhythm));
    assert_eq!(a.plan.liveness, Some(Probe { period: seconds(60.0), ..standard }));
    assert!(!a.plan.notifies);
    let path = "/health?deep=1".to_owned();
    let expected = Checks {
        startup: Some(Check::Log { pattern: r"listening on \d+".to_owned() }),
        readiness: Some(Check::Http { host: "127.0.0.1".to_owned(), port: 9000, path, headers: Vec::new() }),
        liveness: Some(Check::Exec { argv: vec!["./check".to_owned(), "a b".to_owned()] }),
    };
    assert_eq!(a.program.checks, expected);
    let Some(Check::Exec { argv }) = &expected.liveness else { panic!("{expected:?}") };
    let [program, word] = &a.program.resolved(argv)[..] else { panic!("two words") };
    assert_eq!((program.as_str(), word.as_str()), (a.program.dir.join("check").to_str().unwrap(), "a b"));
}

#[test]
fn readiness_has_short_forms() {
    for lines in
        ["readiness = 'notify'", "readiness = { notify = true }", "[services.a.readiness]\nnotify = true"]
    {
        let a = service(lines);
        assert!(a.plan.notifies, "{lines}");
        assert_eq!((a.plan.readiness, &a.program.checks), (None, &Checks::default()), "{lines}");
    }
    let a = service("readiness = 'port'\nport = 1");
    assert_eq!((&a.plan, &a.program.checks), (&service("port = 1").plan, &Checks::default()));
}

#[test]
fn http_and_tcp_are_asked_where_the_file_says() {
    let check = |lines: &str| service(&format!("port = 7\nreadiness.{lines}")).program.checks.readiness;
    let http = |host: &str, port: u16, path: &str| {
        Some(Check::Http { host: host.to_owned(), port, path: path.to_owned(), headers: Vec::new() })
    };
    assert_eq!(check("http = 'http://localhost:80/a?b#c'"), http("localhost", 80, "/a?b"));
    assert_eq!(check("http = 'http://db'"), http("db", 80, "/"));
    assert_eq!(check("http = 'http://[::1]:9000/'"), http("::1", 9000, "/"));
    assert_eq!(check("http = {}"), http("127.0.0.1", 7, "/"));
    assert_eq!(check("http = { path = '/a', port = 8, host = '::1' }"), http("::1", 8, "/a"));
    let Some(Check::Http { headers, .. }) = check("http = { headers = { B = 'x', 'A-C' = 'y z' } }") else {
        panic!("not http")
    };
    assert_eq!(headers, [("B".to_owned(), "x".to_owned()), ("A-C".to_owned(), "y z".to_owned())]);

    let tcp = |host: &str, port: u16| Some(Check::Tcp { host: host.to_owned(), port });
    assert_eq!(check("tcp = 5432"), tcp("127.0.0.1", 5432));
    assert_eq!(check("tcp = 'db.local:5432'"), tcp("db.local", 5432));
    assert_eq!(check("tcp = '[::1]:5432'"), tcp("::1", 5432));
}

#[test]
fn a_service_that_may_overlap_has_a_stand_in() {
    let text = "[services.a]\ncommand = 'a'\nlisten = '127.0.0.1:1'\npid-file = 'a.pid'\ndepends-on = ['b']\n\
                readiness = { log = 'up' }\nreload = 'overlap-safe'\n[services.b]\ncommand = 'b'\n\
                reload = 'stop-then-start'\n";
    let folder = folder();
    let config = parse(folder.path(), text);
    let names: Vec<&str> = config.declared.iter().map(|declared| declared.name.as_str()).collect();
    assert_eq!(names, ["a", "a~new", "b"]);
    let [base, stand_in] = [0, 1].map(|at| &config.declared[at]);
    assert_eq!(base.plan.stand_in.as_deref(), Some("a~new"));
    assert_eq!((stand_in.lane_of.as_deref(), stand_in.service.as_str()), (Some("a"), "a"));
    assert_eq!((&stand_in.plan, stand_in.plan.needs.len()), (&base.plan.of_stand_in(), 0));
    assert_eq!((&stand_in.program.sockets, &stand_in.program.pid_file), (&base.program.sockets, &None));
    assert_eq!(config.declared[2].plan.stand_in, None);
}

#[test]
fn soloist_listens_where_the_file_says() {
    let told = |lines: &str| {
        let a = service(lines);
        let sockets = a.program.sockets.iter().map(|socket| format!("{} {}", socket.name, socket.at));
        (a.plan.ports, sockets.collect::<Vec<_>>())
    };
    let all = |ports: &[u16], sockets: &[&str]| {
        (ports.to_vec(), sockets.iter().map(|socket| (*socket).to_owned()).collect())
    };
    assert_eq!(told("port = 7"), all(&[7], &[]));
    assert_eq!(told("ports = [7, 8]\nlisten = 'soloist'"), all(&[7, 8], &["7 127.0.0.1:7", "8 127.0.0.1:8"]));
    assert_eq!(
        told("port = 9\nlisten = ['0.0.0.0:7', '[::]:7', { name = 'admin', at = '127.0.0.1:8' }]"),
        all(&[9, 7, 8], &["7 0.0.0.0:7", "7 [::]:7", "admin 127.0.0.1:8"])
    );
    let folder = folder();
    let text = "[services.a]\ncommand = 'a'\ninstances = ['x']\nlisten = 'unix:./{instance}.v1.sock'";
    let Declared { program, .. } = parse(folder.path(), text).declared.remove(0);
    let at = soloist_os::handover::Address::Unix(folder.path().join("x.v1.sock"));
    assert_eq!(program.sockets, [Socket { name: "x.v1".to_owned(), at }]);
}

#[test]
fn a_service_has_its_limits() {
    let a = service(
        r#"memory-max = "1.5GiB"
        memory-action = "stop"
        cpu-max = "150%"
        rlimits = { nofile = 65536, core = "unlimited", nproc = { soft = 100, hard = 200 } }
        nice = -5
        umask = "027"
        watchdog = "30s"
        max-runtime = "2h"
        "#,
    );
    let rlimits = vec![
        ("core".to_owned(), u64::MAX, u64::MAX),
        ("nofile".to_owned(), 65536, 65536),
        ("nproc".to_owned(), 100, 200),
    ];
    let expected = Limits {
        memory_max: Some(3 << 29),
        cpu_max: Some(1.5),
        rlimits,
        nice: Some(-5),
        umask: Some(0o027),
        ..Limits::default()
    };
    assert_eq!(a.program.limits, expected);
    assert_eq!(a.plan.over_memory, OverMemory::Stop);
    assert_eq!(a.plan.watchdog, Some(Duration::from_secs(30)));
    assert_eq!(a.plan.max_runtime, Some(Duration::from_secs(7200)));
    for (size, bytes) in [("1KiB", 1024), ("10 MB", 10_000_000), ("0.5KB", 500), ("2GB", 2_000_000_000)] {
        assert_eq!(
            service(&format!("memory-max = '{size}'")).program.limits.memory_max,
            Some(bytes),
            "{size}"
        );
    }
    for (cpus, number) in [("2", 2.0), ("0.25", 0.25), ("'50%'", 0.5)] {
        assert_eq!(service(&format!("cpu-max = {cpus}")).program.limits.cpu_max, Some(number), "{cpus}");
    }
}

#[test]
fn every_restart_rule_has_its_word() {
    for (word, rule) in [
        ("no", Restart::No),
        ("on-failure", Restart::OnFailure(None)),
        ("on-failure:7", Restart::OnFailure(Some(7))),
        ("always", Restart::Always),
        ("unless-stopped", Restart::Always),
        ("on-success", Restart::OnSuccess),
        ("on-abnormal", Restart::OnAbnormal),
    ] {
        assert_eq!(service(&format!("restart = '{word}'")).plan.restart, rule, "{word}");
    }
    assert_eq!(service("restart-prevent-exit-codes = [78, 2]").plan.prevent_codes, [78, 2]);
}

#[test]
fn it_is_told_to_stop_and_to_reload_as_it_likes() {
    let a = service("stop-command = './drain now'\nreload-signal = 'USR1'\non-daemon-exit = 'stop'");
    assert_eq!(a.program.stop_command, Some(vec!["./drain".to_owned(), "now".to_owned()]));
    assert_eq!(a.program.on_daemon_exit, OnDaemonExit::Stop);
    assert_ne!(a.program.reload_signal, service("").program.reload_signal);
    assert_eq!(service("").program.reload_signal, 1);
    assert_eq!(service("").program.on_daemon_exit, OnDaemonExit::Keep);
}

#[test]
fn a_project_has_a_strategy() {
    let folder = folder();
    for (word, strategy) in [
        ("one-for-one", Strategy::OneForOne),
        ("rest-for-one", Strategy::RestForOne),
        ("one-for-all", Strategy::OneForAll),
    ] {
        let config = parse(folder.path(), &format!("[project]\nstrategy = '{word}'\n"));
        assert_eq!(config.strategy, strategy, "{word}");
    }
}

#[test]
fn a_need_has_its_condition_and_means_all_instances() {
    let folder = folder();
    let config = parse(
        folder.path(),
        r#"[services.db]
        command = "db"
        [jobs.migrate]
        command = "migrate"
        [services.feed]
        command = "feed"
        instances = ["x", "y"]
        depends-on = { db = "started", migrate = "completed-successfully" }
        [services.scan]
        command = "scan"
        instances = ["x"]
        depends-on = ["feed@{instance}"]
        [services.api]
        command = "api"
        depends-on = ["feed", "scan@x", "db"]
        "#,
    );
    let needs = |name: &str| {
        let declared = config.declared.iter().find(|declared| declared.name == name).expect(name);
        declared.plan.needs.iter().map(|need| (need.on.as_str(), need.until)).collect::<Vec<_>>()
    };
    let feed = [("db", Condition::Started), ("migrate", Condition::CompletedSuccessfully)];
    assert_eq!(needs("feed@x"), feed);
    assert_eq!(needs("feed@y"), feed);
    assert_eq!(needs("scan@x"), [("feed@x", Condition::Ready)]);
    let ready = |on| (on, Condition::Ready);
    assert_eq!(needs("api"), [ready("feed@x"), ready("feed@y"), ready("scan@x"), ready("db")]);
}

const KEYED: &str = r#"[services.scraper]
command = "./scrape --world {instance} --as {\"x\":1}"
instances = ["antica", "bona"]
dir = "{instance}"
env = { WORLD = "{instance}!" }
env-file = ".env.{instance}"
pid-file = "{instance}.pid"
stop-command = ["stop", "{instance}"]
port = { antica = 8001, bona = 8002 }
readiness = { http = "/{instance}", period-seconds = 1 }
liveness = { exec = ["check", "{instance}"] }
startup = { log = "^{instance} is up$" }
[services.plain]
command = ["echo", "{instance}"]
"#;

fn keyed_folder() -> tempfile::TempDir {
    let folder = folder();
    for key in ["antica", "bona", "carl.x"] {
        fs::create_dir(folder.path().join(key)).expect("a folder of its own");
        fs::write(folder.path().join(format!(".env.{key}")), format!("KEY=of-{key}\n")).expect("a file");
    }
    fs::write(folder.path().join(FILE_NAME), KEYED).expect("a file");
    folder
}

#[test]
fn a_keyed_service_is_one_for_each_key() {
    let folder = keyed_folder();
    let config = Config::load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = config.declared.iter().map(|declared| declared.name.as_str()).collect();
    assert_eq!(names, ["scraper@antica", "scraper@bona", "plain"]);
    let [antica, bona] = config.instances_of("scraper").collect::<Vec<_>>()[..] else { panic!("{config:?}") };
    assert_eq!((antica.service.as_str(), antica.key.as_deref()), ("scraper", Some("antica")));
    assert_eq!(antica.program.argv, ["./scrape", "--world", "antica", "--as", "{x:1}"]);
    assert_eq!(antica.program.dir, config.root.join("antica"));
    let env: Vec<_> = antica.program.env.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(env, [("KEY", "of-antica"), ("WORLD", "antica!")]);
    assert_eq!(antica.program.pid_file, Some(config.root.join("antica.pid")));
    assert_eq!(antica.program.stop_command, Some(vec!["stop".to_owned(), "antica".to_owned()]));
    assert_eq!((&antica.plan.ports[..], &bona.plan.ports[..]), (&[8001][..], &[8002][..]));
    let Checks {
        startup: Some(Check::Log { pattern }),
        readiness: Some(Check::Http { port, path, .. }),
        liveness: Some(Check::Exec { argv }),
    } = &bona.program.checks
    else {
        panic!("{bona:?}")
    };
    assert_eq!((pattern.as_str(), *port, path.as_str()), ("^bona is up$", 8002, "/bona"));
    assert_eq!(argv, &["check", "bona"]);

    let [plain] = config.instances_of("plain").collect::<Vec<_>>()[..] else { panic!("{config:?}") };
    assert_eq!((plain.service.as_str(), &plain.key), ("plain", &None));
    assert_eq!(plain.program.argv, ["echo", "{instance}"], "without keys it is a text like any other");
}

#[test]
fn keys_come_and_go_beside_the_file() {
    let folder = keyed_folder();
    let changed = |added: &[&str], removed: &[&str]| {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        let change = KeyChanges { added: owned(added), removed: owned(removed) };
        let nobody = KeyChanges { added: vec!["x".to_owned()], removed: Vec::new() };
        let names = ["scraper", "plain", "gone"].map(str::to_owned);
        let keys = BTreeMap::from_iter(names.into_iter().zip([change, nobody.clone(), nobody]));
        let config = Config::load_with(folder.path(), &Changes { keys, ..Changes::default() });
        config.map(|config| config.declared.into_iter().map(|declared| declared.name).collect::<Vec<_>>())
    };
    let present =
        |added: &[&str], removed: &[&str]| changed(added, removed).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(present(&[], &["antica"]), ["scraper@bona", "plain"]);
    assert_eq!(present(&["bona"], &["unknown"]), ["scraper@antica", "scraper@bona", "plain"]);
    assert_eq!(present(&[], &["antica", "bona"]), ["plain"]);

    let text = KEYED.replace(
        "port = { antica = 8001, bona = 8002 }\n",
        "port = { antica = 8001, bona = 8002, 'carl.x' = 8003 }\n",
    );
    let refused = changed(&["carl.x"], &[]).unwrap_err().to_string();
    assert!(refused.contains("the instance `carl.x` has no port"), "{refused}");
    let refused = changed(&["a/b"], &[]).unwrap_err().to_string();
    assert!(refused.contains("`a/b` is no key of an instance: it contains `/`"), "{refused}");
    // The port of a key that is not there at present is a mistake only if the key was never declared.
    fs::write(folder.path().join(FILE_NAME), &text).expect("a file");
    assert_eq!(present(&["carl.x"], &[]), ["scraper@antica", "scraper@bona", "scraper@carl.x", "plain"]);
    let refused = changed(&[], &[]).unwrap_err().to_string();
    assert!(refused.contains("there is no instance `carl.x`"), "{refused}");
}

#[test]
fn a_key_in_a_pattern_stands_for_itself() {
    let folder = folder();
    let text = "[services.s]\ncommand = 's'\ninstances = ['a.b']\nreadiness.log = '^{instance} up'\n";
    let config = parse(folder.path(), text);
    let Some(Check::Log { pattern }) = &config.declared[0].program.checks.readiness else {
        panic!("{config:?}")
    };
    let pattern = regex_lite::Regex::new(pattern).expect("it was checked");
    assert!(pattern.is_match("a.b up") && !pattern.is_match("aXb up"));
}

#[test]
fn a_service_without_a_key_at_present_may_be_needed() {
    let folder = folder();
    let text =
        "[services.s]\ncommand = 's'\ninstances = ['a']\n[services.t]\ncommand = 't'\ndepends-on = ['s']\n";
    fs::write(folder.path().join(FILE_NAME), text).expect("a file");
    let change = KeyChanges { added: Vec::new(), removed: vec!["a".to_owned()] };
    let keys = BTreeMap::from([("s".to_owned(), change)]);
    let config = Config::load_with(folder.path(), &Changes { keys, ..Changes::default() });
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let [t] = &config.declared[..] else { panic!("{config:?}") };
    assert_eq!(t.plan.needs, Vec::<Need>::new());
}

#[test]
fn env_files_are_read_in_their_order_and_env_wins() {
    let folder = folder();
    let first = "\u{feff}# a remark\r\nA=1\r\nexport B='two words'\nC=\"x\n y\"\n\nD=${A}st # remark\nE=e\n";
    fs::write(folder.path().join(".env"), first).expect("a file");
    fs::write(folder.path().join("sub/local.env"), "E=local\nF=").expect("a file");
    let text = "[jobs.a]\ncommand = 'a'\nenv = { A = 'env' }\nenv-file = ['.env', 'sub/local.env']\n";
    let config = parse(folder.path(), text);
    let env: Vec<_> =
        config.declared[0].program.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        env,
        [("A", "env"), ("B", "two words"), ("C", "x\n y"), ("D", "1st"), ("E", "local"), ("F", "")]
    );
}

#[test]
fn the_print_of_a_declaration_is_the_same_in_every_version() {
    let print = |lines: &str| {
        let text = format!("[services.a]\ncommand = ['/bin/a', 'b c']\n{lines}");
        let config =
            Config::parse(&text, Path::new("/"), FILE_NAME).unwrap_or_else(|error| panic!("{error}"));
        config.declared[0].print().0
    };
    // Computed by another program from the text that is described in `fingerprint.rs`. Whoever must change one makes every running service of that kind restart.
    let pinned: [(&str, u64); 9] = [
        ("", 0xa2ae_e90d_1fd4_e0a1),
        ("env = { A = '1', B = '2' }", 0x2eca_755b_0980_662a),
        ("ports = [9000, 9001]", 0x4a3b_8530_6d0b_e054),
        ("stop-signal = 'INT'\nstop-command = 'a stop'", 0x15d4_fdf5_f68f_9d41),
        ("scope = 'machine'\npid-file = 'a.pid'", 0xed8e_aca3_a69b_22f0),
        ("readiness = 'notify'\nwatchdog = '30s'\non-daemon-exit = 'stop'", 0xa3f5_1e38_9716_e3e5),
        (
            "memory-max = '1GiB'\ncpu-max = 1.5\nnice = 5\numask = '027'\nrlimits = { nofile = 9, core = 0 }",
            0xfd4c_adfd_13b8_75f2,
        ),
        ("trigger = 'stdin'\nevery = '6s'", 0xa969_436c_b93b_6732),
        ("port = 9000\nlisten = 'soloist'", 0x0d64_2c10_8d80_50c3),
    ];
    for (lines, expected) in pinned {
        assert_eq!(print(lines), expected, "{lines}: {:016x}", print(lines));
    }
    let same = [
        "restart = 'always'\nrestart-prevent-exit-codes = [3]\nsuccess-exit-codes = [0, 1]",
        "backoff = { first = '3s' }\nrestart-limit = { count = 3 }",
        "stop-grace = '9s'\nready-timeout = '9s'\nmax-runtime = '9h'\nreload-signal = 'USR1'",
        "readiness = { tcp = 1 }\nliveness = { exec = 'x' }\nstartup = { log = 'x' }",
        "log = { size = '1MiB', split = true, on-full = 'block' }",
        "stop-signal = 'TERM'\nscope = 'project'\non-daemon-exit = 'keep'",
        "window = 'w'\non-close = 'finish'\n[windows.w]\nopen = '9:00'\nclose = '9:30'",
        "[services.b]\ncommand = 'b'\ndepends-on = ['a']",
        "depends-on = ['b']\n[services.b]\ncommand = 'b'",
    ];
    for lines in same {
        assert_eq!(print(lines), print(""), "{lines}");
    }
}

#[test]
fn the_place_over_tcp_is_any_free_port_another_or_none() {
    let folder = folder();
    for (text, expected) in [
        ("", Some("127.0.0.1:0")),
        ("[http]\n", Some("127.0.0.1:0")),
        ("[http]\nlisten = '[::1]:8700'\n", Some("[::1]:8700")),
        ("[http]\nlisten = false\n", None),
    ] {
        let config = Config::parse(text, folder.path(), FILE_NAME).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.listen.map(|address| address.to_string()).as_deref(), expected, "{text}");
    }
}

#[test]
fn a_port_that_may_move() {
    let folder = folder();
    let text = "[services.a]\ncommand = 'a {port}'\nports = [{ prefer = 8001, else = '8002-8010' }, 9000]\n\
                [services.b]\ncommand = 'b'\nport = { prefer = 8011, else = 8002 }\n\
                [services.c]\ncommand = 'c'\ninstances = ['x', 'y']\n\
                port = { x = 1, y = { prefer = 2, else = '8002' } }\n";
    let config = parse(folder.path(), text);
    let ports: Vec<_> = config
        .declared
        .iter()
        .map(|declared| (&declared.plan.ports[..], &declared.plan.spares[..]))
        .collect();
    assert_eq!(
        ports,
        [
            (&[8001, 9000][..], &[(8001, 8002..=8010)][..]),
            (&[8011], &[(8011, 8002..=8002)]),
            (&[1], &[]),
            (&[2], &[(2, 8002..=8002)])
        ]
    );
    let fixed = parse(folder.path(), &text.replace("{ prefer = 8001, else = '8002-8010' }", "8001"));
    assert_eq!(fixed.declared[0].print(), config.declared[0].print(), "where it may move restarts nothing");
}
