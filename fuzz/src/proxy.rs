//! The head of a request: its path, the service that its host stands for, and what of it is passed on.

use hyper::HeaderMap;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, UPGRADE};
use soloist_api::status::ServiceStatus;
use soloist_daemon::config::is_name;
use soloist_daemon::inner::{forwarded, is_plain, label, named};

/// Lines: a path, a host, names of services, an empty line, headers.
pub fn proxy(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let text =
        |line: Option<&[u8]>| line.and_then(|line| str::from_utf8(line).ok()).unwrap_or_default().to_owned();
    let (path, host) = (text(lines.next()), text(lines.next()));
    if is_plain(&path) {
        let parts = path.split('/').count();
        let decoded: Vec<u8> = decoded(path.as_bytes());
        assert_eq!(decoded.split(|byte| *byte == b'/').count(), parts, "{path} has no hidden slash");
        assert!(decoded.split(|byte| *byte == b'/').all(|part| part != b".." && part != b"."), "{path}");
    }
    let names = lines.by_ref().take_while(|line| !line.is_empty()).map(|line| text(Some(line)));
    let services: Vec<ServiceStatus> =
        names.filter(|name| is_name(name).is_ok()).map(|name| service(&name)).collect();
    let slow = services.iter().find(|service| {
        let plain = format!("{}.localhost", label(&service.name));
        let without_port = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host);
        without_port.eq_ignore_ascii_case(&plain)
    });
    let found = named(&host, &services);
    assert_eq!(found.map(|service| &service.name), slow.map(|service| &service.name), "{host}");
    headers(lines);
}

/// Whatever concerns the caller's connection alone is not passed on (RFC 9110, 7.6.1); all else is.
fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) {
    let mut given = HeaderMap::new();
    for line in lines.take(64) {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            given.append(name, value);
        }
    }
    let options: Vec<String> = given
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .split(',')
                .map(|word| word.trim().to_ascii_lowercase())
                .collect::<Vec<_>>()
        })
        .collect();
    let mut passed = given.clone();
    let is_upgrade = forwarded(&mut passed);
    assert_eq!(passed.get_all(CONNECTION).iter().count(), 1);
    let ours = ["connection", "x-forwarded-host"];
    for name in given.keys() {
        let is_asked = options.iter().any(|option| option == name.as_str())
            && name != HOST
            && !(is_upgrade && name == UPGRADE);
        let is_hop = is_asked || ["keep-alive", "proxy-connection", "te"].contains(&name.as_str());
        if is_hop && !ours.contains(&name.as_str()) {
            assert!(!passed.contains_key(name), "{name} is passed on although Connection names it");
        } else if !ours.contains(&name.as_str()) {
            assert!(given.get_all(name).iter().eq(passed.get_all(name).iter()), "{name} is passed on");
        }
    }
    assert_eq!(passed.get("x-forwarded-host").filter(|_| given.contains_key(HOST)), given.get(HOST));
}

fn service(name: &str) -> ServiceStatus {
    serde_json::from_value(serde_json::json!({
        "name": name, "kind": "service", "state": "ready", "wanted": "up", "ready": true, "restarts": 0, "ports": [1],
        "revision": 1, "command": []
    }))
    .expect("a status")
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let hex = |at: usize| {
        text.get(at..at + 2).and_then(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok())
    };
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        match hex(at + 1).filter(|_| text[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}
