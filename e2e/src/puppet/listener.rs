//! A listening socket as ordered: one family or both, alone or with twins.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use super::orders::Orders;

/// A socket that listens; unless it echoes it accepts nobody: the kernel answers.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
}

impl Listener {
    /// Binds and listens.
    pub fn open(port: u16, orders: &Orders) -> io::Result<Listener> {
        let (family, address) = if orders.dual {
            (AddressFamily::INET6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
        } else {
            (AddressFamily::INET, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        if orders.dual {
            sockopt::set_ipv6_v6only(&socket, false)?;
        }
        sockopt::set_socket_reuseaddr(&socket, true)?;
        if orders.reuseport {
            sockopt::set_socket_reuseport(&socket, true)?;
        }
        bind(&socket, &address)?;
        listen(&socket, 64)?;
        Ok(Listener { socket })
    }

    /// Gives back what comes in, to each that connects on a thread of its own, as long as the puppet lives.
    pub fn echo(&self) -> io::Result<()> {
        let listener = std::net::TcpListener::from(self.socket.try_clone()?);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        Ok(())
    }

    /// Lets children inherit it.
    pub fn let_inherit(&self) -> io::Result<()> {
        Ok(rustix::io::fcntl_setfd(&self.socket, rustix::io::FdFlags::empty())?)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
