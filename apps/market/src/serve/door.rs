//! The door: takes connections in, bounds how many there are and how long each may take to say what it wants, and lets
//! them end what they are at when the server ends.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// So many connections at once; further ones wait for a place.
const CONNECTIONS_MOST: usize = 512;
/// What stands before the body may have so many bytes,
const HEAD_MOST: usize = 16 << 10;
/// so many headers,
const HEADERS_MOST: usize = 64;
/// and take so long.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// After a connection could not be taken in: most likely there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);
/// A client that neither reads nor leaves does not hold up the end.
const GRACE: Duration = Duration::from_secs(2);

/// The address at which a connection came in.
#[derive(Debug, Clone, Copy)]
pub struct CameTo(pub SocketAddr);

/// Answers until `end`; what is under way then is still answered, for a moment.
pub async fn serve(listener: TcpListener, routes: Router, end: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    let farewell = GracefulShutdown::new();
    let mut end = pin!(end);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut end => break,
            accepted = accepted => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(to) = stream.local_addr() else { continue };
        // Small answers leave at once.
        let _ = stream.set_nodelay(true);
        let routes = TowerToHyperService::new(routes.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(CameTo(to));
            routes.call(request)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
        http.max_header_size(HEAD_MOST).max_headers(HEADERS_MOST);
        let connection = farewell.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _place = place;
            // What goes wrong in a connection is the other's end of the story.
            let _ = connection.await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, farewell.shutdown()).await;
}
