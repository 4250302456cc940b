//! The accept loop: a thread for every connection, and an end to all of them.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::Gate;

/// Most connections at a time; one more is closed at once.
const MAX_CONNECTIONS: usize = 4096;
/// Most connections that wait to be accepted. The system may allow less.
const BACKLOG: i32 = 4096;
/// Enough for a request, a JSON document nested as deeply as the parser allows, and a debug build.
const STACK: usize = 512 * 1024;
/// How long to wait before the next try when the process is out of file descriptors.
const RETRY: Duration = Duration::from_millis(5);
/// How long to try to connect to a listener of this machine.
const WAKE: Duration = Duration::from_secs(1);

/// A listening socket on 127.0.0.1 and the threads that serve it. Dropping it closes every connection, wakes whoever
/// sleeps in [`Stop`], and returns when the last thread has ended.
#[derive(Debug)]
pub(super) struct Listener {
    addr: SocketAddr,
    stop: Stop,
    accepting: Option<JoinHandle<()>>,
}

impl Listener {
    /// Calls `serve` on a thread of its own for every connection.
    pub(super) fn start(serve: impl Fn(Arc<TcpStream>, &Stop) + Send + Sync + 'static) -> io::Result<Self> {
        let listener = listen()?;
        let addr = listener.local_addr()?;
        let stop = Stop::default();
        let accepting = thread::Builder::new().name(format!("accept {}", addr.port())).spawn({
            let stop = stop.clone();
            move || accept(&listener, &stop, &Arc::new(serve))
        })?;
        Ok(Self { addr, stop, accepting: Some(accepting) })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.set();
        let Some(accepting) = self.accepting.take() else { return };
        // Nothing but a connection wakes a thread that accepts.
        while TcpStream::connect_timeout(&self.addr, WAKE).is_err() && !accepting.is_finished() {
            thread::sleep(RETRY);
        }
        let _ = accepting.join();
    }
}

/// The standard library allows 128 connections to wait for the accept loop. One more has its first packet dropped and
/// comes a second later, which a thousand clients that start at once would see.
fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn accept<S>(listener: &TcpListener, stop: &Stop, serve: &Arc<S>)
where
    S: Fn(Arc<TcpStream>, &Stop) + Send + Sync + 'static,
{
    // Weak, so that a connection is closed as soon as its thread is done with it.
    let mut open: Vec<(Weak<TcpStream>, JoinHandle<()>)> = Vec::new();
    while !stop.is_set() {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(RETRY);
            continue;
        };
        open.retain(|(_, thread)| !thread.is_finished());
        if open.len() >= MAX_CONNECTIONS || stop.is_set() {
            continue;
        }
        let stream = Arc::new(stream);
        let weak = Arc::downgrade(&stream);
        let spawned = thread::Builder::new().name("connection".into()).stack_size(STACK).spawn({
            let (serve, stop) = (Arc::clone(serve), stop.clone());
            move || serve(stream, &stop)
        });
        if let Ok(thread) = spawned {
            open.push((weak, thread));
        }
    }
    for stream in open.iter().filter_map(|(stream, _)| stream.upgrade()) {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for (_, thread) in open {
        let _ = thread.join();
    }
}

/// Says that the server stops, and wakes whoever sleeps here or waits at a gate.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    gates: Vec<Gate>,
}

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.state().stopped
    }

    /// Sleeps for this time, or until the server stops: then `true`.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let waited = self.0.changed.wait_timeout_while(self.state(), time, |state| !state.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    /// Wakes those who wait at this gate when the server stops.
    pub(super) fn wakes(&self, gate: &Gate) {
        let mut state = self.state();
        if !state.gates.iter().any(|known| known.is(gate)) {
            state.gates.push(gate.clone());
        }
    }

    fn set(&self) {
        let mut state = self.state();
        state.stopped = true;
        let gates = std::mem::take(&mut state.gates);
        // Those who wait at a gate hold its lock when they ask here.
        drop(state);
        self.0.changed.notify_all();
        gates.iter().for_each(Gate::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
