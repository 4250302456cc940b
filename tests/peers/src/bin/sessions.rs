//! A million sessions: what one takes in memory while it is idle and while it is open, and what it costs to look one up
//! and to wake one.
//! `cargo run --release --manifest-path tests/peers/Cargo.toml --bin sessions`
#![allow(clippy::print_stdout, reason = "a program whose result is what it prints")]

use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use bytes::Bytes;
use http::{Request, Response};
use token_refresh_driver::{
    Attempt, BuildError, ExchangeError, Grant, Profile, Secret, Session, Sessions, Store as _, Timestamp,
    Transport, TransportError, Version,
    store::{MemoryStore, MemoryTable},
};

const SESSIONS: u64 = 1_000_000;
const LOOKUPS: u64 = 1_000_000;
const ROUNDS: usize = 7;
/// Of the access token, and of the refresh token.
const TOKEN: usize = 900;

fn main() {
    let users = MemoryTable::new();
    let record = record();
    let idle = measure(|| {
        for user in 0..SESSIONS {
            users.store(user).commit(Version::default(), &record).expect("nobody else writes");
        }
    });
    let beyond = per_session(idle.bytes_current) - 2.0 * TOKEN as f64;
    println!("idle, bytes of a session beyond those of its tokens: {beyond:.0}");

    let table = {
        let users = users.clone();
        Sessions::<u64>::new(move |user| session(users.store(*user)))
            .max_sessions(4_000_000)
            .idle_after(Duration::from_secs(3_600))
    };
    let open = measure(|| {
        for user in 0..SESSIONS {
            table.get(&user).expect("a session");
        }
    });
    println!("open and not asked for a token, bytes of a session: {:.0}", per_session(open.bytes_current));

    let map: HashMap<u64, Session> =
        (0..SESSIONS).map(|user| (user, table.get(&user).expect("a session"))).collect();
    for (what, keys) in [("all of them", SESSIONS), ("1,000 of them", 1_000)] {
        let (mut of_map, mut of_table, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            of_map.push(lookups(keys, |user| drop(black_box(map.get(&user).cloned()))));
            of_table.push(lookups(keys, |user| drop(black_box(table.get(&user)))));
            again.push(lookups(keys, |user| drop(black_box(map.get(&user).cloned()))));
        }
        let [of_map, of_table, again] = [of_map, of_table, again].map(median);
        let ratio = of_table / of_map;
        println!(
            "a lookup among {what}: {of_table:.1} ns, {ratio:.1} times a hash map's {of_map:.1} and {again:.1} ns"
        );
    }
    drop((map, table));

    let table = Sessions::<u64>::new(move |user| session(users.store(*user)));
    let mut wakes = Vec::new();
    for user in random(SESSIONS).take(2_000) {
        let begin = Instant::now();
        black_box(table.get(&user).expect("a session").token().expect("a good token"));
        wakes.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    println!("waking an idle one, until it has its token: {:.1} µs", median(wakes));
}

/// What every user has.
fn record() -> token_refresh_driver::Record {
    let store = MemoryStore::new();
    let session = session(store.clone()).expect("a session");
    let grant = Grant::new("a".repeat(TOKEN)).and_then(|grant| grant.with_refresh_token("r".repeat(TOKEN)));
    session.sign_in(grant.expect("ASCII").with_lifetime(Duration::from_secs(3_600)));
    loop {
        if let Some(record) = store.load().expect("memory").record {
            return record;
        }
        std::thread::yield_now();
    }
}

fn session(store: impl token_refresh_driver::Store + 'static) -> Result<Session, BuildError> {
    Session::builder().store(store).blocking(Nowhere, Nowhere)
}

fn lookups(keys: u64, lookup: impl Fn(u64)) -> f64 {
    let begin = Instant::now();
    random(keys).take(usize::try_from(LOOKUPS).expect("few")).for_each(lookup);
    begin.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64
}

/// So that the next one is not in a cache because the last one was.
fn random(keys: u64) -> impl Iterator<Item = u64> {
    let mut state = 1_u64;
    std::iter::from_fn(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((state >> 33) % keys)
    })
}

fn per_session(bytes: i64) -> f64 {
    bytes as f64 / SESSIONS as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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
