//! Eight sessions, each with a file store of its own over the same file, as eight processes have them: what a refresh
//! costs in the store, and how soon the last one has the new token. And a thousand requests after an expiry that was
//! known: what is on the wire.
//! `cargo run --release --manifest-path tests/peers/Cargo.toml --bin fleet`
#![allow(clippy::print_stdout, reason = "a program whose result is what it prints")]

use std::{
    env, fs, process,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use token_refresh_driver::{
    Attempt, CommitError, ExchangeError, Grant, Profile, Record, Secret, Session, Store, StoreError, Stored,
    Timestamp, Transport, TransportError, Version, store::FileStore,
};

const PROCESSES: usize = 8;
const ROUNDS: u32 = 30;
const CALLERS: usize = 1_000;
const LIFETIME: Duration = Duration::from_secs(3_600);

fn main() {
    let folder = env::temp_dir().join(format!("token-refresh-fleet-{}", process::id()));
    fs::create_dir(&folder).expect("a folder");
    let mut adoptions = Vec::new();
    let (mut winner, mut waiters) = ([0; 2], [0; 2]);
    for round in 0..ROUNDS {
        let path = folder.join(round.to_string());
        let sign_in = counted(&path).0;
        sign_in.sign_in(grant(Duration::ZERO));
        while !path.exists() {
            thread::yield_now();
        }
        drop(sign_in);
        let members: Vec<_> = (0..PROCESSES).map(|_| counted(&path)).collect();
        let start = Arc::new(Barrier::new(PROCESSES));
        let ends: Vec<_> = members
            .iter()
            .map(|(session, _)| {
                let (session, start) = (session.clone(), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    drop(session.token().expect("a token"));
                    Instant::now()
                })
            })
            .collect();
        let last = ends.into_iter().map(|end| end.join().expect("no panic")).max().expect("some");
        for (_, counts) in &members {
            let sum = if counts.exchanges.load(Ordering::SeqCst) > 0 { &mut winner } else { &mut waiters };
            sum[0] += counts.loads.load(Ordering::SeqCst);
            sum[1] += counts.commits.load(Ordering::SeqCst);
            if counts.exchanges.load(Ordering::SeqCst) > 0 {
                let saved = counts.saved.lock().expect("no panic").expect("it was saved");
                adoptions.push(last.saturating_duration_since(saved).as_secs_f64() * 1e3);
            }
        }
        assert_eq!(adoptions.len(), round as usize + 1, "one refresh a round");
    }
    fs::remove_dir_all(&folder).expect("the folder");
    let rounds = f64::from(ROUNDS);
    let others = rounds * (PROCESSES - 1) as f64;
    println!("winner: {:.2} loads, {:.2} commits", winner[0] as f64 / rounds, winner[1] as f64 / rounds);
    println!("waiter: {:.2} loads, {:.2} commits", waiters[0] as f64 / others, waiters[1] as f64 / others);
    adoptions.sort_by(f64::total_cmp);
    let (middle, most) = (adoptions[adoptions.len() / 2], adoptions[adoptions.len() - 1]);
    println!("from the save until the last has the new token: {middle:.1} ms, at most {most:.1} ms");

    let counts = Arc::<Counts>::default();
    let session = Session::builder().blocking(Answers(Arc::clone(&counts)), Grants).expect("a session");
    session.sign_in(grant(Duration::ZERO));
    let old = session.current().map(|token| token.id());
    let start = Arc::new(Barrier::new(CALLERS));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (session, start) = (session.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                Some(session.token().expect("a token").id())
            })
        })
        .collect();
    let stale = callers.into_iter().map(|caller| caller.join().expect("no panic"));
    let stale = stale.filter(|id| *id == old).count();
    let exchanges = counts.exchanges.load(Ordering::SeqCst);
    println!(
        "{CALLERS} callers after the expiry: {exchanges} refresh, {stale} given the token that had expired"
    );
}

#[derive(Default)]
struct Counts {
    loads: AtomicUsize,
    commits: AtomicUsize,
    exchanges: AtomicUsize,
    /// The end of the latest commit.
    saved: Mutex<Option<Instant>>,
}

fn counted(path: &std::path::Path) -> (Session, Arc<Counts>) {
    let counts = Arc::<Counts>::default();
    let store = Counted(FileStore::open(path).expect("a store"), Arc::clone(&counts));
    let session = Session::builder().store(store).blocking(Answers(Arc::clone(&counts)), Grants);
    (session.expect("a session"), counts)
}

struct Counted(FileStore, Arc<Counts>);

impl Store for Counted {
    fn load(&self) -> Result<Stored, StoreError> {
        self.1.loads.fetch_add(1, Ordering::SeqCst);
        self.0.load()
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        self.1.commits.fetch_add(1, Ordering::SeqCst);
        let version = self.0.commit(expected, record)?;
        *self.1.saved.lock().expect("no panic") = Some(Instant::now());
        Ok(version)
    }
}

struct Answers(Arc<Counts>);

impl Transport for Answers {
    fn send(&self, _: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        self.0.exchanges.fetch_add(1, Ordering::SeqCst);
        // As long as a token endpoint takes that is quick.
        thread::sleep(Duration::from_millis(20));
        Ok(Response::new(Bytes::new()))
    }
}

struct Grants;

impl Profile for Grants {
    fn request(&self, _: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        Ok(Request::new(Bytes::new()))
    }

    fn read(&self, _: &Response<Bytes>, _: Option<&Secret>, _: Timestamp) -> Result<Grant, ExchangeError> {
        Ok(grant(LIFETIME))
    }
}

fn grant(lifetime: Duration) -> Grant {
    let grant = Grant::new("a".repeat(900)).and_then(|grant| grant.with_refresh_token("r".repeat(900)));
    grant.expect("ASCII").with_lifetime(lifetime)
}
