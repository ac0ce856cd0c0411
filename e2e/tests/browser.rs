//! The dashboard in a real browser, beside real daemons: the programs in `e2e/browser/` look at it and press its buttons,
//! and fail on any error of its console, any request to another host and any barrier that axe-core finds serious.

use std::io::Write;
use std::net::TcpListener;

use e2e::browser::Browser;
use e2e::{Project, free_port, puppet, quoted};

/// Says on its notify socket how far it is, and writes a line for each step.
const SCRAPER: &str = r#"
import os, socket, time
talk = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
talk.connect(os.environ["NOTIFY_SOCKET"])
step = 0
while True:
    step = step % 50 + 1
    talk.send(f"STATUS=reading page {step}\nX_SOLOIST_STATE=scraping\nX_SOLOIST_PROGRESS={step}/50".encode())
    print(f"page {step}: 40 rows, {step % 7} new", flush=True)
    time.sleep(1)
"#;

#[test]
fn the_page_shows_and_steers_what_lives() {
    let Some(browser) = Browser::installed() else { return };
    let (api, web) = (free_port(), free_port());
    let _stranger = TcpListener::bind(("127.0.0.1", web)).unwrap();
    let project = Project::empty();
    project.write("scraper.py", SCRAPER);
    let listens = |port: u16| quoted(&puppet(&["--listen", &port.to_string()]));
    project.write(
        "soloist.toml",
        &format!(
            "[services.api]\ncommand = {}\nport = {api}\n\
             [services.web]\ncommand = {}\nport = {web}\n\
             [services.scraper]\ncommand = [\"python3\", \"scraper.py\"]\n\
             [services.feed]\ninstances = [\"eu\", \"us\"]\ncommand = [\"sleep\", \"1000\"]\nwindow = \"always\"\n\
             [services.auction]\ncommand = [\"sleep\", \"1000\"]\nwindow = \"never\"\n\
             [services.importer]\ncommand = [\"sh\", \"-c\", \"echo cannot open prices.csv; exit 3\"]\nrestart = \"no\"\n\
             [jobs.scan]\ncommand = [\"sh\", \"-c\", \"echo ran\"]\nevery = \"1h\"\nrun-on-start = false\n\
             [windows.always]\ntimezone = \"UTC\"\ndays = \"mon-sun\"\nopen = \"00:00\"\nclose = \"24:00\"\n\
             [windows.never]\ntimezone = \"UTC\"\ndays = \"mon-sun\"\nopen = \"00:00\"\nclose = \"00:01\"\n",
            listens(api),
            listens(web),
        ),
    );
    project.soloist(&["up", "-d", "api", "scraper", "feed", "auction", "scan"]).expect(0);
    // The pictures of the documents are taken when somebody names a folder for them, such as docs/images.
    if std::env::var_os("E2E_PICTURES").is_some() {
        browser.play("pictures.mjs", &project, &[]);
    }
    browser.play("living.mjs", &project, &[]);
}

/// Ten thousand lines a second for five seconds, and a last one.
const FLOOD: &str = r#"
import time
begin = time.monotonic()
for hundred in range(500):
    print("\n".join(f"line {hundred * 100 + one} of a flood" for one in range(100)), flush=True)
    time.sleep(max(0, begin + hundred / 100 - time.monotonic()))
print("the end", flush=True)
time.sleep(1000)
"#;

#[test]
fn a_flood_of_lines_is_followed_to_its_end() {
    let Some(browser) = Browser::installed() else { return };
    let project = Project::new(
        "[services.flood]\ncommand = [\"python3\", \"flood.py\"]\n[services.api]\ncommand = [\"sleep\", \"1000\"]\n",
    );
    project.write("flood.py", FLOOD);
    project.soloist(&["up", "-d", "api"]).expect(0);
    report(&browser.play("flood.mjs", &project, &[]));
}

#[test]
fn the_page_of_a_thousand_services_stays_smooth() {
    let Some(browser) = Browser::installed() else { return };
    let mut toml = String::new();
    for number in 0..980 {
        toml += &format!("[services.s{number:03}]\ncommand = [\"sleep\", \"1000\"]\n");
    }
    // What changes every second.
    for number in 0..20 {
        toml += &format!("[jobs.j{number:02}]\ncommand = [\"true\"]\nevery = \"1s\"\n");
    }
    let project = Project::new(&toml);
    let jobs: Vec<String> = (0..20).map(|number| format!("j{number:02}")).collect();
    let mut up = vec!["up".to_owned(), "-d".to_owned()];
    up.extend(jobs);
    project.soloist(&up).expect(0);
    report(&browser.play("thousand.mjs", &project, &[]));
}

/// Written directly: the output of a test that passes is not shown.
fn report(measured: &str) {
    let _ = write!(std::io::stderr().lock(), "{measured}");
}
