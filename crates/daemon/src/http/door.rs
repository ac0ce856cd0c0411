//! The doors: takes in connections of both listeners, bounds how many there are and how long each may take to say what it
//! wants, and ends them politely with the daemon. Who may ask for what is `access.rs`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use soloist_api::error::{Code, Problem};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::refuse;

/// So many connections over TCP at once.
const CONNECTIONS_MOST: usize = 256;
/// So many of them may be streams, which have no end.
const STREAMS_MOST: usize = 64;
/// What stands before the body may have so many bytes,
const HEAD_MOST: usize = 16 * 1024;
/// and take so long.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// After a connection could not be taken in: most likely there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// The address at which a connection over TCP came in.
#[derive(Clone, Copy)]
pub(super) struct CameTo(pub(super) SocketAddr);

/// Answers on both until told to end; answers that are under way are still given.
pub(super) async fn serve(
    unix: (UnixListener, Router),
    tcp: Option<(TcpListener, Router)>,
    (mut end, open): (oneshot::Receiver<()>, watch::Sender<()>),
) {
    let farewell = GracefulShutdown::new();
    let (tcp, tcp_routes) = tcp.unzip();
    let tcp_routes = tcp_routes.unwrap_or_default();
    let seats = Arc::new(Seats::default());
    loop {
        let taken = tokio::select! {
            _ = &mut end => break,
            came = unix.0.accept() => came.map(|(stream, _)| {
                // The folder keeps others out already; should it ever not, they are let go without a word.
                let is_ours = stream.peer_cred().is_ok_and(|peer| peer.uid() == soloist_os::identity::my_uid());
                if is_ours {
                    converse(TokioIo::new(stream), unix.1.clone(), None, None, farewell.watcher());
                }
            }),
            came = accept(tcp.as_ref()) => came.map(|(stream, _)| {
                if let (Ok(to), Some(seat)) = (stream.local_addr(), Seats::take(&seats)) {
                    // Small answers leave at once.
                    let _ = stream.set_nodelay(true);
                    converse(TokioIo::new(stream), tcp_routes.clone(), Some(to), Some(seat), farewell.watcher());
                }
            }),
        };
        if taken.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    drop((unix, tcp, open));
    farewell.shutdown().await;
}

async fn accept(tcp: Option<&TcpListener>) -> std::io::Result<(tokio::net::TcpStream, SocketAddr)> {
    match tcp {
        Some(tcp) => tcp.accept().await,
        None => std::future::pending().await,
    }
}

/// Answers one connection to its end.
fn converse<I>(io: I, routes: Router, to: Option<SocketAddr>, taken: Option<Taken>, farewell: Watcher)
where
    I: Read + Write + Unpin + Send + 'static,
{
    let seat = taken.as_ref().map(|taken| taken.seat.clone());
    let leave = taken.as_ref().map(|taken| taken.seat.leave.clone());
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(to) = to {
            request.extensions_mut().insert(CameTo(to));
        }
        let answer = routes.call(request);
        let seat = seat.clone();
        async move {
            let busy = seat.as_ref().map(Seat::at_work);
            let answer = answer.await?;
            Ok::<_, std::convert::Infallible>(match (seat, busy) {
                (Some(seat), Some(busy)) if is_stream(&answer) => seat.stream(answer, busy),
                _ => answer,
            })
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_header_size(HEAD_MOST);
    let connection = farewell.watch(http.serve_connection(io, service));
    tokio::spawn(async move {
        // With it the seat is free again.
        let _taken = taken;
        tokio::select! {
            // What goes wrong in a connection is the other's end of the story.
            _ = connection => {}
            () = told(leave) => {}
        }
    });
}

async fn told(leave: Option<Arc<Notify>>) {
    match leave {
        Some(leave) => leave.notified().await,
        None => std::future::pending().await,
    }
}

fn is_stream(answer: &Response<Body>) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// The connections over TCP, oldest first.
struct Seats {
    taken: Mutex<Vec<Seat>>,
    streams: Arc<Semaphore>,
}

impl Default for Seats {
    fn default() -> Seats {
        Seats { taken: Mutex::default(), streams: Arc::new(Semaphore::new(STREAMS_MOST)) }
    }
}

/// One connection's.
#[derive(Clone)]
struct Seat {
    /// Requests under way in it.
    at_work: Arc<AtomicUsize>,
    leave: Arc<Notify>,
    streams: Arc<Semaphore>,
}

/// A seat that is given back when this is dropped.
struct Taken {
    seats: Arc<Seats>,
    seat: Seat,
}

impl Seats {
    /// A seat for one more. If there is none, whoever was longest there without asking for anything has to go: who
    /// holds connections open only to fill the room shuts nobody out. `None` if all are at work.
    fn take(seats: &Arc<Seats>) -> Option<Taken> {
        let mut taken = seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= CONNECTIONS_MOST {
            let idle = taken.iter().position(|seat| seat.at_work.load(Ordering::Relaxed) == 0)?;
            taken.remove(idle).leave.notify_one();
        }
        let seat = Seat { at_work: Arc::default(), leave: Arc::default(), streams: seats.streams.clone() };
        taken.push(seat.clone());
        Some(Taken { seats: seats.clone(), seat })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|seat| !Arc::ptr_eq(&seat.leave, &self.seat.leave));
    }
}

/// A request is under way as long as this is kept.
struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seat {
    fn at_work(&self) -> AtWork {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(self.at_work.clone())
    }

    /// A stream is at work as long as it is read; there are only so many.
    fn stream(&self, answer: Response<Body>, busy: AtWork) -> Response<Body> {
        let Ok(one) = self.streams.clone().try_acquire_owned() else {
            let said = format!("{STREAMS_MOST} streams are open already");
            return refuse(&Problem::new(Code::Busy, said).hint("close one; a page needs one of each"));
        };
        let kept: (AtWork, OwnedSemaphorePermit) = (busy, one);
        answer.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _ = &kept;
                frame
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_room_lets_the_longest_idle_go_and_never_one_at_work() {
        let seats = Arc::new(Seats::default());
        let mut all: Vec<_> = (0..CONNECTIONS_MOST).map(|_| Seats::take(&seats).unwrap()).collect();
        let busy = all[0].seat.at_work();
        let late = Seats::take(&seats).unwrap();
        let is_there = |one: &Taken| {
            let taken = seats.taken.lock().unwrap();
            taken.iter().any(|seat| Arc::ptr_eq(&seat.leave, &one.seat.leave))
        };
        assert!(is_there(&all[0]) && !is_there(&all[1]) && is_there(&all[2]) && is_there(&late));
        let works: Vec<_> = all.iter().chain([&late]).map(|one| one.seat.at_work()).collect();
        assert!(Seats::take(&seats).is_none());
        drop(works);
        all.truncate(1);
        drop(busy);
        assert_eq!(seats.taken.lock().unwrap().len(), 2);
    }
}
