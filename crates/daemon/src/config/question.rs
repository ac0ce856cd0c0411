//! Reads one question to a service: `http`, `tcp`, `exec` or `log`.
//! When and how often it is asked is read by `probes.rs`.

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use toml::de::DeValue;

use super::diagnostic::{Problems, Span, quoted};
use super::instances::Site;
use super::settings::{port, unknown_key};
use super::tree::{Field, Value};
use super::{Check, program};

/// Where a service is asked that names no host.
const HERE: &str = "127.0.0.1";
pub(super) const HTTP_KEYS: &[&str] = &["path", "port", "host", "headers"];

/// `kind` is one of those that a probe may ask.
pub(super) fn read(
    kind: &str,
    value: Value<'_>,
    first_port: Option<u16>,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) -> Option<Check> {
    match kind {
        "http" => http(&value.example("http = \"/health\""), first_port, site, problems),
        "tcp" => tcp(&value.example("tcp = 5432"), site, problems),
        "exec" => {
            let value = value.example("exec = [\"pg_isready\", \"-q\"]");
            program::argv(&value, site, problems).map(|argv| Check::Exec { argv })
        }
        _ => log(&value.example("log = \"listening on\""), site, problems),
    }
}

fn http(
    value: &Value<'_>,
    first_port: Option<u16>,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) -> Option<Check> {
    match value.tree {
        DeValue::String(text) if text.starts_with('/') => {
            let path = path(value, site, problems)?;
            let port = of_service(first_port, &value.span, problems)?;
            Some(Check::Http { host: HERE.to_owned(), port, path, headers: Vec::new() })
        }
        DeValue::String(text) => address(&site.fill(text), &value.span, problems),
        DeValue::Table(_) => parts(value, first_port, site, problems),
        _ => {
            value.wrong_type("a string or a table", problems);
            None
        }
    }
}

fn of_service(first_port: Option<u16>, span: &Span, problems: &mut Problems<'_>) -> Option<u16> {
    if first_port.is_none() {
        let help = "declare `port` for the service, or write `http = \"http://127.0.0.1:9000/health\"`";
        problems.add(span.clone(), "`http` has no port, and neither has the service", help);
    }
    first_port
}

fn path(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let path = site.fill(value.string(problems)?);
    let is_path = path.starts_with('/') && path.parse::<Uri>().is_ok();
    if !is_path {
        let help = "a path begins with `/` and has no blanks: `/health`";
        problems.add(value.span.clone(), format!("{} is no path", quoted(&path)), help);
    }
    is_path.then_some(path)
}

/// A whole address, as in RFC 9110, 4.2.1.
fn address(text: &str, span: &Span, problems: &mut Problems<'_>) -> Option<Check> {
    let mut refuse = |message: String, help: &str| {
        problems.add(span.clone(), message, help);
        None
    };
    if text.starts_with("https://") {
        let help = "ask by `exec = [\"curl\", \"-fsS\", \"https://…\"]`, or another port without TLS";
        return refuse(format!("{} asks for TLS, which probes do not speak", quoted(text)), help);
    }
    let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
    let Some((uri, authority)) = uri.as_ref().and_then(|uri| Some((uri, uri.authority()?))) else {
        let help = "write a path, `\"/health\"`, or an address, `\"http://127.0.0.1:9000/health\"`";
        return refuse(format!("{} is neither a path nor an address", quoted(text)), help);
    };
    if authority.as_str().contains('@') {
        let help =
            "write it as a header: `http = { path = \"/\", headers = { Authorization = \"Basic …\" } }`";
        return refuse("a password in an address is not sent".to_owned(), help);
    }
    let has_port = authority.as_str().len() > authority.host().len();
    let port = if has_port { uri.port_u16().unwrap_or_default() } else { 80 };
    if port == 0 {
        let help = "a port is a number from 1 to 65535";
        return refuse(format!("{} has no usable port", quoted(text)), help);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Some(Check::Http { host: bare(authority.host()).to_owned(), port, path, headers: Vec::new() })
}

fn parts(
    value: &Value<'_>,
    first_port: Option<u16>,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) -> Option<Check> {
    let (mut asked_path, mut asked_host) = (Some("/".to_owned()), Some(HERE.to_owned()));
    let mut asked_port = None;
    let mut asked_headers = Vec::new();
    for Field { key, key_span, value } in value.table(problems)? {
        match key {
            "path" => asked_path = path(&value.example("path = \"/health\""), site, problems),
            "host" => asked_host = host(&value.example("host = \"127.0.0.1\""), site, problems),
            "port" => asked_port = Some(port(&value.example("port = 9000"), problems)?),
            "headers" => {
                asked_headers =
                    headers(&value.example("headers = { Accept = \"text/plain\" }"), site, problems)?;
            }
            _ => unknown_key("http", key, key_span, HTTP_KEYS, problems),
        }
    }
    let port = match asked_port {
        Some(port) => port,
        None => of_service(first_port, &value.span, problems)?,
    };
    Some(Check::Http { host: asked_host?, port, path: asked_path?, headers: asked_headers })
}

fn host(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let host = site.fill(value.string(problems)?);
    named_host(&host, value, problems).then(|| bare(&host).to_owned())
}

fn named_host(host: &str, value: &Value<'_>, problems: &mut Problems<'_>) -> bool {
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let is_host = bare(host).parse::<std::net::IpAddr>().is_ok()
        || (!is_bracketed && !host.is_empty() && host.chars().all(is_name));
    if !is_host {
        let message = format!("{} is neither a name nor an address of a host", quoted(host));
        problems.add(value.span.clone(), message, format!("write it like `{}`", value.example));
    }
    is_host
}

/// Without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

fn headers(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for Field { key, key_span, value } in value.table(problems)? {
        if HeaderName::try_from(key).is_err() {
            let help = "a name has letters, digits and `-`: `headers = { Accept = \"text/plain\" }`";
            problems.add(key_span, format!("{} is no name of a header", quoted(key)), help);
            continue;
        }
        let value = value.example("headers = { Accept = \"text/plain\" }");
        let Some(text) = value.string(problems) else { continue };
        let text = site.fill(text);
        if HeaderValue::from_str(&text).is_err() {
            let message = format!("the header {} has a value that cannot be sent", quoted(key));
            problems.add(value.span, message, "write one line of text");
            continue;
        }
        headers.push((key.to_owned(), text));
    }
    Some(headers)
}

fn tcp(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<Check> {
    let DeValue::String(text) = value.tree else {
        return port(value, problems).map(|port| Check::Tcp { host: HERE.to_owned(), port });
    };
    let text = site.fill(text);
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = parts.filter(|(_, port)| *port > 0) else {
        let help = "write `tcp = 5432` or `tcp = \"host:5432\"`";
        problems.add(value.span.clone(), format!("{} names no port", quoted(&text)), help);
        return None;
    };
    named_host(host, value, problems).then(|| Check::Tcp { host: bare(host).to_owned(), port })
}

fn log(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<Check> {
    let text = value.string(problems)?;
    if text.is_empty() {
        let help = "write a part of the line that says so: `log = \"listening on\"`";
        problems.add(value.span.clone(), "`log` is empty: every line would match", help);
        return None;
    }
    let pattern = match site.key {
        // A key may contain a point, which would match any letter.
        Some(key) => Site { key: Some(&regex_lite::escape(key)), ..site }.fill(text),
        None => text.to_owned(),
    };
    if let Err(fault) = regex_lite::Regex::new(&pattern) {
        let message = format!("{} is no regular expression: {fault}", quoted(&pattern));
        let help = "put a `\\` before a sign that is meant as it is, and the whole in single quotes";
        problems.add(value.span.clone(), message, help);
        return None;
    }
    Some(Check::Log { pattern })
}
