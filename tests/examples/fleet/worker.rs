//! A process of the fleet: an ordinary program with a session, which reports what happens to it.

use std::{
    error::Error,
    io::{self, BufRead as _, Write as _},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use token_refresh_driver::{Backoff, Config, Notice, Rate};
use token_refresh_ureq::{
    AllowedOrigins, AuthAgent, Endpoint, Error as Refusal, Grant, OAuthProfile, Rules, Session,
    UreqTransport, driver,
    ureq::{self, Agent, http::Request},
    wire::{ClientAuth, OAuthClient},
};

use crate::{
    options::{Errand, Options},
    report::{self, Report, What},
};

/// How long an access token lives.
pub(crate) const LIFETIME: Duration = Duration::from_secs(2);
/// How long a caller waits for a token.
const PATIENCE: Duration = Duration::from_secs(10);

/// As small as they can be, so that chaos is faster than they are: the term of a claim is 2.6 s.
pub(crate) fn config(options: &Options) -> Config {
    let mut config = Config::default();
    config.ambiguous = options.policy;
    config.send_limit = Duration::from_millis(300);
    config.exchange_limit = Duration::from_secs(1);
    config.save_limit = Duration::from_millis(300);
    config.skew = Duration::from_millis(100);
    config.backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_millis(500) };
    // Tokens of two seconds need more than five exchanges in thirty.
    config.rate = Rate { starts: 60, window: Duration::from_secs(30) };
    // A worker that was stopped finds its fresh token refused.
    config.cool_down = Duration::from_secs(1);
    config
}

/// Calls the API again and again, until it is told to end. `true`: it owes nothing to the store then.
pub(crate) fn work(options: &Options, errand: &Errand) -> Result<bool, Box<dyn Error>> {
    let session = session(options, errand)?;
    let _subscription = session.subscribe(|notice| match notice {
        Notice::SaveDelayed => say(What::Unsaved),
        Notice::TakenOver => say(What::TakenOver),
        _ => {}
    });
    let rules = Rules::new(AllowedOrigins::none().loopback_http(&errand.api)?);
    let agent = Agent::config_builder().user_agent(name()).timeout_global(Some(PATIENCE)).build().new_agent();
    let agent = AuthAgent::new(agent, session.clone(), rules);

    let resource = format!("{}/things/17", errand.api);
    let end = until_told();
    let served = Arc::<AtomicU64>::default();
    report_for_ever(&served);
    while !end.load(Ordering::Relaxed) {
        match agent.run(Request::get(&resource).body(())?) {
            Ok(_) => {
                served.fetch_add(1, Ordering::Relaxed);
            }
            Err(refusal) => {
                say(What::Failed(why(&refusal)));
                thread::sleep(Duration::from_millis(180));
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    say(What::Served(served.swap(0, Ordering::Relaxed)));
    Ok(session.settle(PATIENCE).is_ok())
}

/// Signs in with the tokens on standard input. `true`: the store has them.
pub(crate) fn sign_in(options: &Options, errand: &Errand) -> Result<bool, Box<dyn Error>> {
    let mut tokens = String::new();
    io::stdin().read_line(&mut tokens)?;
    let (access, refresh) = tokens.trim().split_once(' ').ok_or("the two tokens are missing")?;
    let session = session(options, errand)?;
    session.sign_in(Grant::new(access)?.with_refresh_token(refresh)?.with_lifetime(LIFETIME));
    Ok(session.settle(PATIENCE).is_ok())
}

fn session(options: &Options, errand: &Errand) -> Result<Session, Box<dyn Error>> {
    let client = OAuthClient::new(ClientAuth::None { client_id: "fleet".into() });
    let profile = OAuthProfile::refresh_token(client, Endpoint::https_or_loopback(&errand.token)?);
    let transport = UreqTransport::with_config(ureq::config::Config::builder().user_agent(name()).build());
    let session = Session::builder()
        .config(config(options))
        .store(errand.place.open(|_| {})?)
        .time_limit(PATIENCE)
        .blocking(transport, profile)?;
    Ok(session)
}

/// How the servers tell the workers apart.
fn name() -> String {
    format!("fleet/{}", process::id())
}

fn why(refusal: &Refusal) -> String {
    match (refusal.reason(), refusal) {
        (Some(driver::Error::Failed(failure)), _) => format!("{:?}: {failure}", failure.cause()),
        (Some(driver::Error::TimedOut), _) => "TimedOut: there was no token in time".into(),
        (Some(reason), _) => reason.to_string(),
        (None, Refusal::Http(error)) => format!("Http: {error}"),
        (None, _) => refusal.to_string(),
    }
}

/// Set when the parent says so. If the parent is gone, this process is too.
fn until_told() -> Arc<AtomicBool> {
    let end = Arc::<AtomicBool>::default();
    let told = Arc::clone(&end);
    thread::spawn(move || match io::stdin().lock().lines().next() {
        Some(Ok(_)) => told.store(true, Ordering::Relaxed),
        _ => process::exit(1),
    });
    end
}

/// Also when there is nothing to report.
fn report_for_ever(served: &Arc<AtomicU64>) {
    const PAUSE: Duration = Duration::from_millis(50);
    report::when_starved(|late| say(What::Starved(late)));
    let served = Arc::clone(served);
    thread::spawn(move || {
        loop {
            thread::sleep(PAUSE);
            say(What::Served(served.swap(0, Ordering::Relaxed)));
        }
    });
}

/// One line in one write, so that a kill does not leave half of it.
fn say(what: What) {
    let line = format!("{}\n", Report::now(what));
    // If nobody listens, standard input says so too.
    let _ = io::stdout().lock().write_all(line.as_bytes());
}
