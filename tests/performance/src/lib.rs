//! What is about to make the step that is measured: machines and sessions.
#![allow(clippy::missing_panics_doc, reason = "a benchmark that cannot go on ends")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use token_refresh_core::{
    Acquire, Action, Config, Effect, Event, Grant, Machine, Ticket, Timestamp, TokenId, WaiterId,
};
use token_refresh_driver::{
    Attempt, ExchangeError, Profile, Secret, Session, Sessions, Transport, TransportError, store::MemoryTable,
};

const LIFETIME: Duration = Duration::from_secs(3_600);

/// When the token of every machine here is fresh.
pub const FRESH: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// When it has expired.
pub const EXPIRED: Timestamp = Timestamp::from_millis(1_800_000_000_000 + 7_200_000);

/// Tokens of so many bytes each.
pub fn grant(length: usize) -> Grant {
    let grant = Grant::new("a".repeat(length)).and_then(|grant| grant.with_refresh_token("r".repeat(length)));
    grant.expect("visible ASCII").with_lifetime(LIFETIME)
}

/// Has a token that is fresh.
pub fn signed_in(length: usize) -> Box<Machine> {
    let mut config = Config::default();
    config.max_waiters = usize::MAX;
    let mut machine = Box::new(Machine::new(config, 1, FRESH).expect("a good configuration"));
    machine.sign_in(grant(length), FRESH);
    drain(&mut machine);
    machine
}

/// Its token.
pub fn token(machine: &Machine) -> TokenId {
    machine.current().expect("a token").id
}

/// Refreshing, with so many who wait.
pub struct Waiting {
    /// The machine.
    pub machine: Box<Machine>,
    /// Of the exchange.
    pub ticket: Ticket,
    /// Who waits, the oldest first.
    pub waiters: Vec<WaiterId>,
}

/// Refreshing, with so many who wait.
pub fn waiting(callers: usize, length: usize) -> Waiting {
    let mut machine = signed_in(length);
    let mut waiters = Vec::with_capacity(callers);
    for _ in 0..callers {
        match machine.acquire(EXPIRED) {
            Acquire::Wait(waiter) => waiters.push(waiter),
            Acquire::Ready(_) | Acquire::Failed(_) => unreachable!("the token has expired"),
        }
    }
    let ticket = drain(&mut machine).expect("an exchange is under way");
    Waiting { machine, ticket, waiters }
}

/// What ends the refresh.
pub fn granted(ticket: Ticket, length: usize) -> Event {
    Event::Exchanged { ticket, sent_at: EXPIRED, result: Ok(grant(length)) }
}

/// Does what a driver does, as cheaply as possible.
pub fn drain(machine: &mut Machine) -> Option<Ticket> {
    let mut exchange = None;
    while let Some(action) = machine.poll_action() {
        if let Action::Run(Effect::Exchange { ticket, .. }) = action {
            exchange = Some(ticket);
        }
    }
    exchange
}

struct Nowhere;

impl Transport for Nowhere {
    fn send(&self, _: Request<Bytes>, _: &Attempt) -> Result<Response<Bytes>, TransportError> {
        Err(TransportError::NotSent)
    }
}

impl Profile for Nowhere {
    fn request(&self, _: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        Err(ExchangeError::NotSent)
    }

    fn read(&self, _: &Response<Bytes>, _: Option<&Secret>, _: Timestamp) -> Result<Grant, ExchangeError> {
        Err(ExchangeError::NotSent)
    }
}

/// A table in which the session of every key below this one is open.
pub fn sessions(keys: u64) -> Sessions<u64> {
    let users = MemoryTable::new();
    let sessions =
        Sessions::new(move |user| Session::builder().store(users.store(*user)).blocking(Nowhere, Nowhere));
    for _ in 0..3 {
        (0..keys).for_each(|key| drop(sessions.get(&key).expect("a session")));
    }
    sessions
}

/// A session whose token is fresh, used by this thread before.
pub fn session(length: usize) -> Session {
    let session = Session::builder().blocking(Nowhere, Nowhere).expect("a good configuration");
    session.sign_in(grant(length));
    for _ in 0..3 {
        let id = session.token().expect("a fresh token").id();
        session.accept(id);
    }
    session
}
