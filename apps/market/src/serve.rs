//! The HTTP server: routes, listening, and a prompt end. It only reads the database.
//! What an answer says is in `serve/answers`, the page in `serve/page`.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::say;
use crate::store::Location;

mod answers;
mod page;
mod views;

/// A client that neither reads nor leaves does not hold up the end.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until a signal asks for the end.
pub fn run(host: IpAddr, port: u16, database: Location) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .context("cannot start the server's runtime")?
        .block_on(serve(SocketAddr::new(host, port), database))
}

async fn serve(address: SocketAddr, database: Location) -> Result<()> {
    // Asked for before the port is open: a signal that follows the announcement is never lost.
    let end = end_signal()?;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; if another program holds the port, end it or choose another by --port")
    })?;
    let bound = listener.local_addr().context("cannot learn the port listened on")?;
    say::line(format_args!("listening on http://{bound}, reading {}", database));

    let (ending, mut ended) = watch::channel(false);
    let server = axum::serve(listener, router(database)).with_graceful_shutdown(async move {
        let signal = end.await;
        say::line(format_args!("{signal} received, ending"));
        let _ = ending.send(true);
    });
    let overdue = async move {
        // An error would mean that the server, which owns the sender, is gone already.
        let _ = ended.wait_for(|is_ending| *is_ending).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        done = server.into_future() => done.context("the server broke off"),
        () = overdue => Ok(()),
    }
}

fn router(database: Location) -> Router {
    Router::new()
        .route("/", get(page::show))
        .route("/health", get(answers::health))
        .route("/api/v1/stocks", get(answers::stocks))
        .route("/api/v1/stocks/", get(answers::stocks))
        .route("/api/v1/stocks/processing-history", get(answers::history))
        .route("/api/v1/stocks/{stock}", get(answers::stock))
        .fallback(answers::nowhere)
        .method_not_allowed_fallback(answers::only_get)
        .with_state(Arc::new(database))
}

/// The name of the signal that asks for the end, when it comes. Signals count from the call on.
#[cfg(unix)]
pub(crate) fn end_signal() -> Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

#[cfg(windows)]
pub(crate) fn end_signal() -> Result<impl Future<Output = &'static str>> {
    use tokio::signal::windows;
    let mut interrupt = windows::ctrl_c().context("cannot listen for Ctrl-C")?;
    let mut stop = windows::ctrl_break().context("cannot listen for Ctrl-Break")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "Ctrl-C",
            _ = stop.recv() => "Ctrl-Break",
        }
    })
}
