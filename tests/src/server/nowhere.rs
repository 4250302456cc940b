//! Addresses at which nobody answers.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

use super::listener::Listener;

/// An address that refuses connections, as long as this value lives.
#[derive(Debug)]
pub struct ClosedPort {
    // The address is the near end of this connection. While that is open nobody can listen there, which could happen to
    // a port that was only looked up.
    occupied: TcpStream,
    _listener: TcpListener,
}

impl ClosedPort {
    /// Finds one.
    ///
    /// # Errors
    ///
    /// The system has no port to give.
    pub fn new() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let occupied = TcpStream::connect(listener.local_addr()?)?;
        Ok(Self { occupied, _listener: listener })
    }

    /// The address.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.occupied.local_addr()
    }
}

/// A server that accepts connections, reads what comes, and never answers.
#[derive(Debug)]
pub struct BlackHole(Listener);

impl BlackHole {
    /// Starts it. Dropping it closes its connections and ends its threads.
    ///
    /// # Errors
    ///
    /// The system has no port or no thread to give.
    pub fn start() -> io::Result<Self> {
        let listener = Listener::start(|stream, _| {
            let _ = io::copy(&mut &*stream, &mut io::sink());
        });
        listener.map(Self)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.0.addr()
    }
}
