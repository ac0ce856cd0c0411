//! Where the daemon answers over TCP: which port it takes, how that is published, and that no port keeps it from its
//! work.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use soloist_os::layout::Layout;
use soloist_os::own_file;
use soloist_os::record::replace;

use crate::http::access::{Access, url};

/// So often another free port is taken when it is one that a service needs.
const TRIES: usize = 16;

/// The listener with its secrets.
pub(crate) struct Tcp {
    pub(crate) listener: TcpListener,
    pub(crate) access: Arc<Access>,
    address: SocketAddr,
}

/// `.soloist/http.json`
#[derive(Deserialize, Serialize)]
struct Published {
    address: SocketAddr,
    url: String,
    /// Of the daemon that listens there; `null`: it has ended.
    pid: Option<u32>,
}

impl Tcp {
    /// Listens, with what a predecessor left if that is still the right one. A port of 0 is the last one again, or any
    /// that is free and none of those that `needed`.
    ///
    /// # Errors
    /// Why it cannot, in words; then nothing is published.
    pub(crate) fn open(
        layout: &Layout,
        wanted: SocketAddr,
        left: Option<TcpListener>,
        needed: &[u16],
    ) -> Result<Tcp, String> {
        open(layout, wanted, left, needed).map_err(|e| {
            withdraw(layout);
            format!("HTTP is not served on {wanted} ({e}); `[http] listen` in soloist.toml says where")
        })
    }

    /// As browsers take it.
    pub(crate) fn url(&self) -> String {
        url(self.address)
    }

    /// What there is to say of an address that others reach.
    pub(crate) fn warning(&self) -> Option<String> {
        let said = format!(
            "HTTP listens on {}: whoever reaches it and has the token or a session commands this project, and what is said there is not encrypted",
            self.address
        );
        (!self.address.ip().is_loopback()).then_some(said)
    }

    /// Says that nobody listens there any more; the next daemon takes the same port.
    pub(crate) fn close(self, layout: &Layout) {
        let _ = publish(layout, self.address, None);
    }
}

/// Where the last daemon listened, if it did.
pub(crate) fn last(layout: &Layout) -> Option<SocketAddr> {
    let bytes = own_file::read(&layout.http()).ok()?;
    serde_json::from_slice::<Published>(&bytes).ok().map(|published| published.address)
}

/// Nothing is said of an address.
pub(crate) fn withdraw(layout: &Layout) {
    let _ = std::fs::remove_file(layout.http());
}

fn open(layout: &Layout, wanted: SocketAddr, left: Option<TcpListener>, needed: &[u16]) -> io::Result<Tcp> {
    let fits = |address: SocketAddr| {
        address.ip() == wanted.ip()
            && (address == wanted || (wanted.port() == 0 && !needed.contains(&address.port())))
    };
    let left = left.filter(|left| left.local_addr().is_ok_and(fits));
    let again = || last(layout).filter(|last| fits(*last)).and_then(|last| TcpListener::bind(last).ok());
    let listener = left.or_else(again).map_or_else(|| bind(wanted, needed), Ok)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let access = Arc::new(Access::new(layout, address)?);
    publish(layout, address, Some(std::process::id()))?;
    Ok(Tcp { listener, access, address })
}

fn bind(wanted: SocketAddr, needed: &[u16]) -> io::Result<TcpListener> {
    // Those that are not good are kept until one is found, else the kernel could give them again.
    let mut bad = Vec::new();
    for _ in 0..TRIES {
        let listener = TcpListener::bind(wanted)?;
        if wanted.port() != 0 || !needed.contains(&listener.local_addr()?.port()) {
            return Ok(listener);
        }
        bad.push(listener);
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "every free port is one that a service needs"))
}

fn publish(layout: &Layout, address: SocketAddr, pid: Option<u32>) -> io::Result<()> {
    let mut json = serde_json::to_vec(&Published { address, url: url(address), pid })?;
    json.push(b'\n');
    replace(&layout.http(), &json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_port_is_taken_again_unless_it_is_taken_or_needed() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        let wanted = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = Tcp::open(&layout, wanted, None, &[]).unwrap();
        let address = first.address;
        assert_eq!(last(&layout), Some(address));
        let other = Tcp::open(&layout, wanted, None, &[]).unwrap().address;
        assert_ne!(other, address, "it is taken");
        let again = Tcp::open(&layout, wanted, None, &[]).unwrap();
        assert_eq!(again.address, other);
        again.close(&layout);
        let needed = Tcp::open(&layout, wanted, None, &[other.port()]).unwrap().address;
        assert_ne!(needed, other, "a service needs it");
        let inherited = Tcp::open(&layout, wanted, Some(first.listener), &[]).unwrap();
        assert_eq!(inherited.address, address);
        let refused = Tcp::open(&layout, address, None, &[]).err().unwrap();
        assert!(refused.contains(&address.to_string()) && last(&layout).is_none(), "{refused}");
    }
}
