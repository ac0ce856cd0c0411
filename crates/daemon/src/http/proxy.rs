//! The name proxy: `http://api.localhost:8080/` is the service `api`, wherever that listens at the moment. It listens on this
//! machine's own addresses only, asks for each request where to pass it, and passes streams and WebSockets on.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, UPGRADE};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode, client, server, upgrade};
use hyper_util::rt::{TokioIo, TokioTimer};
use soloist_api::status::ServiceStatus;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::glance::Glance;
use crate::serve::Log;

/// What comes after the name (RFC 6761, 6.3: such names are this machine's).
const SUFFIX: &str = ".localhost";
/// So many connections at a time.
const MOST: usize = 512;
/// The head of a request takes no longer, nor does a connection to a service.
const LIMIT: Duration = Duration::from_secs(30);
/// A daemon before us may still have the port.
const TRY_AGAIN: Duration = Duration::from_secs(1);

type Reply = Response<Either<Incoming, Full<Bytes>>>;

/// Passes requests on for as long as it is polled.
pub(super) async fn serve(port: u16, glance: Glance, log: Log) {
    let room = Arc::new(Semaphore::new(MOST));
    let on = |address: IpAddr| listen(address, port, glance.clone(), room.clone(), &log);
    // Browsers take either address for such a name.
    tokio::join!(on(Ipv4Addr::LOCALHOST.into()), on(Ipv6Addr::LOCALHOST.into()));
}

async fn listen(address: IpAddr, port: u16, glance: Glance, room: Arc<Semaphore>, log: &Log) {
    let mut is_said = false;
    let listener = loop {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => break listener,
            // A machine without IPv6.
            Err(e) if address.is_ipv6() && e.kind() == io::ErrorKind::AddrNotAvailable => return,
            Err(e) => {
                if !std::mem::replace(&mut is_said, true) {
                    log.say(&format!("the proxy cannot listen on {address} port {port} yet: {e}"));
                }
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
    };
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely.
            tokio::time::sleep(TRY_AGAIN).await;
            continue;
        };
        let glance = glance.clone();
        let service = service_fn(move |request| {
            let glance = glance.clone();
            async move { Ok::<_, Infallible>(answer(request, &glance).await) }
        });
        let mut http = server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(LIMIT);
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::spawn(async move {
            let _seat = seat;
            // What goes wrong in a connection is the other's end of the story.
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>, glance: &Glance) -> Reply {
    let seen = match glance.look().await {
        Ok(seen) => seen,
        Err(problem) => return say(StatusCode::SERVICE_UNAVAILABLE, &problem.to_string()),
    };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Some(found) = named(host, &seen.status.services) else {
        let known = seen.status.services.iter().filter(|service| !service.ports.is_empty());
        let names: Vec<String> =
            known.map(|service| format!("\n  {}{SUFFIX}", label(&service.name))).collect();
        return say(
            StatusCode::NOT_FOUND,
            &format!("nobody is called `{host}` here; there are:{}", names.concat()),
        );
    };
    let name = &found.name;
    let Some(port) = found.ports.first().filter(|_| found.ready) else {
        let note = found.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
        let why = if found.ports.is_empty() {
            "has no port".to_owned()
        } else {
            format!("is {}{note}", found.state)
        };
        return say(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("{name} {why}; `soloist why {name}` tells more"),
        );
    };
    match pass(request, *port).await {
        Ok(reply) => reply.map(Either::Left),
        Err(why) => say(StatusCode::BAD_GATEWAY, &format!("{name} on port {port} does not answer: {why}")),
    }
}

/// The service that a host stands for. Hosts have no case.
pub fn named<'a>(host: &str, services: &'a [ServiceStatus]) -> Option<&'a ServiceStatus> {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    let wanted = host.strip_suffix(SUFFIX)?;
    services.iter().find(|service| label(&service.name) == wanted)
}

/// `antica.scraper` of `scraper@antica`: a host has no `@`.
pub fn label(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.split_once('@').map_or_else(|| name.clone(), |(service, key)| format!("{key}.{service}"))
}

/// The head as it is passed on: without what is said between two ends of a connection only (RFC 9110, 7.6.1). Says whether
/// it asks for another protocol.
pub fn forwarded(headers: &mut HeaderMap) -> bool {
    let is_upgrade = headers.contains_key(UPGRADE);
    let named =
        headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let named: Vec<HeaderName> =
        named.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect();
    let known = ["keep-alive", "proxy-connection", "te"].map(HeaderName::from_static);
    let is_kept = |name: &HeaderName| *name == HOST || is_upgrade && *name == UPGRADE;
    for name in named.iter().chain(&known).filter(|name| !is_kept(name)) {
        headers.remove(name);
    }
    if let Some(host) = headers.get(HOST).cloned() {
        headers.insert(HeaderName::from_static("x-forwarded-host"), host);
    }
    let connection = if is_upgrade { "upgrade" } else { "close" };
    headers.insert(CONNECTION, HeaderValue::from_static(connection));
    is_upgrade
}

/// Passes a request on as it is, but for what concerns this connection alone.
async fn pass(mut request: Request<Incoming>, port: u16) -> Result<Response<Incoming>, String> {
    let connect = async {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            Err(_) => TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await,
            connected => connected,
        }
    };
    let stream =
        tokio::time::timeout(LIMIT, connect).await.map_err(|_| "no connection in time".to_owned())?;
    let stream = stream.map_err(|e| e.to_string())?;
    let (mut sender, connection) =
        client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection.with_upgrades());
    let is_upgrade = forwarded(request.headers_mut());
    let caller = is_upgrade.then(|| upgrade::on(&mut request));
    let mut reply = sender.send_request(request).await.map_err(|e| e.to_string())?;
    if let Some(caller) = caller.filter(|_| reply.status() == StatusCode::SWITCHING_PROTOCOLS) {
        let service = upgrade::on(&mut reply);
        tokio::spawn(async move {
            if let (Ok(caller), Ok(service)) = (caller.await, service.await) {
                let (mut caller, mut service) = (TokioIo::new(caller), TokioIo::new(service));
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut service).await;
            }
        });
    } else {
        // How long this connection lives is said to the caller by ourselves.
        reply.headers_mut().remove(CONNECTION);
    }
    Ok(reply)
}

fn say(status: StatusCode, text: &str) -> Reply {
    let mut reply = Response::new(Either::Right(Full::from(format!("{text}\n"))));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{CONNECTION, HOST, HeaderValue};

    use super::{forwarded, label};

    #[test]
    fn what_the_caller_says_of_its_own_connection_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "api.localhost"),
            ("connection", "close, X-Own"),
            ("connection", "host,te"),
            ("x-own", "1"),
            ("te", "trailers"),
            ("x-other", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert!(!forwarded(&mut headers));
        let mut left: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["connection", "host", "x-forwarded-host", "x-other"]);
        assert_eq!(
            (&headers[CONNECTION], &headers[HOST]),
            (&"close".parse().unwrap(), &"api.localhost".parse().unwrap())
        );
    }

    #[test]
    fn an_instance_is_found_by_its_key_before_its_service() {
        assert_eq!(label("Api"), "api");
        assert_eq!(label("scraper@antica"), "antica.scraper");
    }
}
