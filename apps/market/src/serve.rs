//! The HTTP server: what it stands on, its routes, and a prompt end. Each route is described where it is written; who may
//! come in and how long a connection may take is in `serve/access` and `serve/door`.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;

use crate::board::Boards;
use crate::say;
use crate::store::Location;

mod access;
mod background;
mod child;
mod door;
mod events;
mod health;
mod openapi;
mod page;
mod problem;
mod process;
mod scanner;
mod stocks;
mod supervisor;
mod upload;

use problem::Problem;
use supervisor::Supervisor;

/// What to serve, where, and who does the work.
#[derive(Debug, Clone, Args)]
pub struct Order {
    /// Port to listen on; 0 takes a free one
    #[arg(long, env = "PORT")]
    port: u16,
    /// Address to listen on
    #[arg(long, env = "MARKET_HOST", default_value = "127.0.0.1")]
    host: IpAddr,
    /// A further name under which the server may be asked, such as that of a proxy before it
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Database to read: a file, or postgres://user@host/name; it may not exist yet
    #[arg(long, env = "MARKET_DATABASE", hide_env_values = true, default_value = "market.db")]
    database: Location,
    /// Folder of the workbooks, into which uploads go
    #[arg(long, env = "MARKET_DIR", default_value = "live_data")]
    dir: PathBuf,
    /// Stocks that are favourites, one a line
    #[arg(long, env = "MARKET_FAVORITES", default_value = "favorites.txt")]
    favorites: PathBuf,
    /// Socket of the soloist that runs the workers; without one they can only be looked at
    #[arg(long, env = "SOLOIST_SOCKET")]
    soloist: Option<PathBuf>,
    /// The processor's name there
    #[arg(long, default_value = "processor")]
    processor: String,
    /// The scanner's name there
    #[arg(long, default_value = "scanner")]
    scanner: String,
}

/// What every answer is made from.
pub struct Desk {
    boards: Boards,
    dir: PathBuf,
    favorites: PathBuf,
    supervisor: Supervisor,
    processor: String,
    scanner: String,
    uploads: upload::Gate,
    feed: events::Feed,
}

/// Serves until a signal asks for the end.
pub fn run(order: Order) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .context("cannot start the server's runtime")?
        .block_on(serve(order))
}

async fn serve(order: Order) -> Result<()> {
    // Asked for before the port is open: a signal that follows the announcement is never lost.
    let end = end_signal()?;
    let address = SocketAddr::new(order.host, order.port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; if another program holds the port, end it or choose another by --port")
    })?;
    let bound = listener.local_addr().context("cannot learn the port listened on")?;
    say::line(format_args!("listening on http://{bound}, reading {}", order.database));

    let (ending, ended) = watch::channel(false);
    let routes = routes(order, ended);
    let farewell = async move {
        let signal = end.await;
        say::line(format_args!("{signal} received, ending"));
        // Streams end by it; who does not listen has no stream open.
        let _ = ending.send(true);
    };
    door::serve(listener, routes, farewell).await;
    Ok(())
}

fn routes(order: Order, ended: watch::Receiver<bool>) -> Router {
    let host = Arc::new(access::Host::new(order.allow_host));
    let desk = Arc::new(Desk {
        boards: Boards::new(order.database),
        dir: order.dir,
        favorites: order.favorites,
        supervisor: Supervisor::new(order.soloist),
        processor: order.processor,
        scanner: order.scanner,
        uploads: upload::Gate::default(),
        feed: events::Feed::new(ended),
    });
    let (routes, description) = OpenApiRouter::with_openapi(openapi::frame())
        .merge(health::routes())
        .merge(stocks::routes())
        .merge(process::routes())
        .merge(upload::routes())
        .merge(background::routes())
        .merge(scanner::routes())
        .merge(events::routes())
        .with_state(desk)
        .split_for_parts();
    routes
        .merge(page::routes())
        .merge(openapi::routes(description))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "no-such-path", "there is no such page")
                .hint("GET /openapi.json lists the routes")
        })
        .method_not_allowed_fallback(|| async {
            let said = "this path has no such method; `Allow` names its own";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", said)
        })
        .layer(from_fn_with_state(host, access::check))
        .layer(from_fn(access::headers))
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
