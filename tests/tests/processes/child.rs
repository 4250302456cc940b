//! A process that shares the credential. It does what it is told on standard input and says what happens on standard
//! output, a line each:
//!
//! | told | does | says |
//! | --- | --- | --- |
//! | `token N` | asks for a token | `done N ok TOKEN`, `done N failed KIND` |
//! | `refuse N` | says that the last token was refused | the same |
//! | `sign-in ACCESS REFRESH SECONDS`, `sign-out` | that | |
//! | `settle N` | waits until nothing is owed | `done N ok -`, `done N failed TimedOut` |
//! | `hold POINT`, `fail POINT`, `pass POINT` | stops, or fails, at this point from now on, or does not; held again, it goes on to the next time | `at POINT`, each time |
//! | `calls N` | counts its calls of the store so far | `done N ok LOADS COMMITS` |
//! | `clock MILLIS` | moves its clock forward | |
//!
//! Points are before and after each step: `load`, `claim`, `send`, `save`, `sign-in`, `sign-out`, `mark` and `release`,
//! as in `save:before`. At `save:middle` a file is half written.

use std::{
    env,
    io::{self, BufRead as _, Write as _},
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use token_refresh_driver::{AmbiguousPolicy, Clock, Error, SystemClock, Timestamp, Token};
use token_refresh_ureq::{
    Endpoint, Grant, OAuthProfile, Session, UreqTransport,
    wire::{ClientAuth, OAuthClient},
};

use crate::{
    place::Place,
    stage::{Stage, Staged, StagedTransport},
    world,
};

/// What a child is started with, in this variable, as JSON.
pub(crate) const SETTINGS: &str = "TOKEN_REFRESH_CHILD";

pub(crate) fn run() {
    let Ok(settings) = env::var(SETTINGS) else { return };
    let settings: Value = serde_json::from_str(&settings).unwrap();
    let text = |name: &str| settings[name].as_str().unwrap();
    let stage = Arc::<Stage>::default();
    let place: Place = text("place").parse().unwrap();
    // A panic would be contained, and count as "unavailable".
    let torn = |error| {
        eprintln!("{error}");
        process::exit(3);
    };
    let store = place.open(torn).unwrap();
    let file = place.file();
    let store = Staged { inner: store, stage: Arc::clone(&stage), seen: Mutex::default(), file };
    let clock = Arc::new(Shifted::new(settings["clock"].as_i64().unwrap()));
    let client = OAuthClient::new(ClientAuth::None { client_id: "child".into() });
    let endpoint = |name: &str| Endpoint::https_or_loopback(text(name)).unwrap();
    let profile =
        OAuthProfile::refresh_token(client, endpoint("token")).with_revocation_at(endpoint("revocation"));

    let mut config = world::config(Duration::from_secs(settings["limit"].as_u64().unwrap()));
    config.ambiguous = match text("policy") {
        "never" => AmbiguousPolicy::Never { last_resort: false },
        "once" => AmbiguousPolicy::Once { window: Duration::from_secs(30), last_resort: true },
        "once, then uncertain" => {
            AmbiguousPolicy::Once { window: Duration::from_secs(30), last_resort: false }
        }
        other => panic!("{other}"),
    };
    let session = Session::builder()
        .config(config)
        .clock(Arc::clone(&clock))
        .store(store)
        .blocking(StagedTransport { inner: UreqTransport::new(), stage: Arc::clone(&stage) }, profile)
        .unwrap();
    Child { session, stage, clock, last: Mutex::default() }.obey();
}

struct Child {
    session: Session,
    stage: Arc<Stage>,
    clock: Arc<Shifted>,
    /// The token that a caller was given last.
    last: Mutex<Option<Token>>,
}

impl Child {
    fn obey(self) {
        let child = Arc::new(self);
        say("ready");
        for line in io::stdin().lock().lines() {
            let line = line.unwrap();
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let child = Arc::clone(&child);
            // A demand may take its time, and others are obeyed meanwhile.
            match words[0].as_str() {
                "token" | "refuse" | "settle" => drop(thread::spawn(move || child.answer(&words))),
                _ => child.do_at_once(&words),
            }
        }
        process::exit(0);
    }

    fn do_at_once(&self, words: &[String]) {
        match words[0].as_str() {
            "sign-in" => {
                let grant = Grant::new(words[1].as_str()).unwrap();
                let grant = grant.with_refresh_token(words[2].as_str()).unwrap();
                let lifetime = Duration::from_secs(words[3].parse().unwrap());
                self.session.sign_in(grant.with_lifetime(lifetime));
            }
            "sign-out" => self.session.sign_out(),
            "hold" => self.stage.hold(&words[1]),
            "fail" => self.stage.fail(&words[1]),
            "pass" => self.stage.release(&words[1]),
            "calls" => {
                let count = |calls: &AtomicU64| calls.load(Ordering::SeqCst);
                say(&format!(
                    "done {} ok {} {}",
                    words[1],
                    count(&self.stage.loads),
                    count(&self.stage.commits)
                ));
            }
            "clock" => self.clock.advance(words[1].parse().unwrap()),
            other => panic!("{other}"),
        }
    }

    fn answer(&self, words: &[String]) {
        let last = self.last.lock().unwrap().clone();
        let answer = match words[0].as_str() {
            "token" => self.session.token(),
            "refuse" => self.session.reject(last.unwrap().id()),
            _ => {
                let settled = self.session.settle(world::PATIENCE).map_or("failed TimedOut", |()| "ok -");
                return say(&format!("done {} {settled}", words[1]));
            }
        };
        say(&match answer {
            Ok(token) => {
                let text = format!("done {} ok {}", words[1], token.secret().expose());
                *self.last.lock().unwrap() = Some(token);
                text
            }
            Err(Error::Failed(failure)) => format!("done {} failed {:?}", words[1], failure.kind),
            Err(error) => format!("done {} failed {error:?}", words[1]),
        });
    }
}

/// A clock that is wrong.
struct Shifted {
    clock: SystemClock,
    /// Behind by so much from the beginning, in milliseconds.
    behind: u64,
    ahead: AtomicU64,
}

impl Shifted {
    fn new(shift: i64) -> Self {
        let ahead = u64::try_from(shift).unwrap_or(0);
        Self { clock: SystemClock::new(), behind: shift.unsigned_abs() - ahead, ahead: AtomicU64::new(ahead) }
    }

    fn advance(&self, millis: u64) {
        self.ahead.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        let ahead = Duration::from_millis(self.ahead.load(Ordering::SeqCst));
        self.clock.now().before(Duration::from_millis(self.behind)).after(ahead)
    }
}

/// One line in one write. The sign at its beginning tells it from what the test harness says.
pub(crate) fn say(line: &str) {
    io::stdout().lock().write_all(format!("@{line}\n").as_bytes()).unwrap();
}
