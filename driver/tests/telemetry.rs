//! What `tracing` and `metrics` are told.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io,
    sync::{LazyLock, Mutex},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Response;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use support::{LIFETIME, PATIENCE, World};
use token_refresh_driver::{AmbiguousPolicy, Config, Session};
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

static RECORDER: LazyLock<PrometheusHandle> =
    LazyLock::new(|| PrometheusBuilder::new().install_recorder().unwrap());
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A session with this name, on which everything is recorded from its beginning.
fn world(name: &'static str) -> World {
    static SUBSCRIBER: LazyLock<()> = LazyLock::new(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(LevelFilter::TRACE)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(|| Log)
            .init();
    });
    LazyLock::force(&SUBSCRIBER);
    LazyLock::force(&RECORDER);
    let world = World::new(|builder| builder.name(name));
    world.session.sign_in(support::grant("at1-visible", "rt1-visible"));
    world
}

struct Log;

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that are about this session.
fn lines(name: &str) -> Vec<String> {
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let session = format!("session=\"{name}\"");
    log.lines().filter(|line| line.contains(&session)).map(Into::into).collect()
}

/// What is counted of this session: name and labels, and the number.
fn counted(name: &str) -> Vec<String> {
    let session = format!("session=\"{name}\"");
    let text = RECORDER.render();
    let about = |line: &&str| line.contains(&session) && !line.contains("quantile");
    text.lines().filter(about).map(|line| line.replace(&format!("{session},"), "")).collect()
}

/// A notice is told after its cause, and by another thread.
fn soon(happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "it was not told");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn obs_04_counters_match_the_history() {
    let world = world("history");
    let first = world.id();
    let callers = world.waiting(4, move |session| session.reject(first));
    world.server.call().grant("at2", "rt2");
    assert_eq!(callers.tokens(), vec!["at2"; 4]);
    for _ in 0..3 {
        world.session.reject(first).unwrap();
    }
    // Nobody has accepted the second token. The answer to its refusal is lost, and then the refresh token is dead.
    let second = world.id();
    let callers = world.waiting(2, move |session| session.reject(second));
    drop(world.server.call());
    world.server.call().refuse();
    assert!(callers.answers().iter().all(Result::is_err));

    soon(|| counted("history").iter().any(|line| line.starts_with("token_refresh_sessions_lost_total")));
    let counted = counted("history");
    for expected in [
        r#"token_refresh_exchanges_total{trigger="refusal",class="granted"} 1"#,
        r#"token_refresh_exchanges_total{trigger="refusal",class="ambiguous"} 1"#,
        r#"token_refresh_exchanges_total{trigger="refusal",class="permanent"} 1"#,
        r#"token_refresh_exchange_seconds_count{class="granted"} 1"#,
        r#"token_refresh_tokens_total{origin="sign_in"} 1"#,
        r#"token_refresh_tokens_total{origin="exchange"} 1"#,
        r#"token_refresh_waiters_joined_total{session="history"} 6"#,
        r#"token_refresh_waiters_released_total{outcome="token"} 4"#,
        r#"token_refresh_waiters_released_total{outcome="failure"} 2"#,
        r#"token_refresh_failures_total{kind="refused_after_ambiguity"} 1"#,
        r#"token_refresh_sessions_lost_total{kind="refused_after_ambiguity"} 1"#,
        r#"token_refresh_late_refusals_total{session="history"} 3"#,
        r#"token_refresh_fruitless_tokens_total{session="history"} 1"#,
    ] {
        assert!(counted.iter().any(|line| line == expected), "{expected} is not in\n{}", counted.join("\n"));
    }
}

/// The log tells cause, attempt, class, and the tokens before and after, and tells whether a refresh token was presented
/// twice without showing it.
#[test]
fn obs_01_the_log_tells_all_of_an_exchange_and_no_secret() {
    let world = world("log");
    world.clock.advance(LIFETIME);
    let caller = world.waiting(1, Session::token);
    drop(world.server.call());
    world.server.call().grant("at2-visible", "rt2-visible");
    assert_eq!(caller.tokens(), ["at2-visible"]);
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    world.server.call().grant("at3-visible", "rt3-visible");
    assert_eq!(caller.tokens(), ["at3-visible"]);

    soon(|| lines("log").iter().any(|line| line.contains(r#"token=1.3 replaces=1.2 origin="exchange""#)));
    let lines = lines("log");
    for expected in [
        r#"epoch=1 trigger="expiry" presentation=1 replaces=1.1 class="ambiguous""#,
        r#"epoch=1 trigger="expiry" presentation=2 replaces=1.1 class="granted""#,
        r#"token=1.2 replaces=1.1 origin="exchange" released=1"#,
        r#"epoch=1 trigger="refusal" presentation=1 replaces=1.2 class="granted""#,
    ] {
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{expected} is not in\n{}",
            lines.join("\n")
        );
    }
    assert!(lines.iter().all(|line| !line.contains("visible")), "{lines:#?}");

    let spans =
        || lines.iter().filter_map(|line| line.split_once("exchange{")?.1.split_once("refresh_token=\""));
    let hashes: Vec<_> = spans().filter_map(|(_, rest)| rest.get(..16)).collect();
    assert!(matches!(hashes[..], [one, again, other] if one == again && one != other), "{lines:#?}");
}

/// A redirect is not followed (XREQ-06), and where it leads is for the operator to know: the origin, and no more of it.
#[test]
fn sec_04_a_redirect_of_the_token_endpoint_is_told_without_its_path() {
    for (name, location, told) in [
        ("moved", "https://auth.example:8443/token?code=visible", Some("to=\"https://auth.example:8443\"")),
        ("beside", "/visible", None),
        ("odd-address", "https://user:visible@auth.example/", None),
    ] {
        let world = world(name);
        let refused = world.id();
        let caller = world.waiting(1, move |session| session.reject(refused));
        let redirect = Response::builder().status(307).header("location", location);
        world.server.call().reply(redirect.body(Bytes::new()).unwrap());
        assert!(caller.answers().iter().all(Result::is_err));
        let lines = lines(name);
        let line = lines.iter().find(|line| line.contains("set the endpoint to its final address"));
        assert_eq!(line.and_then(|line| line.split(' ').find(|field| field.starts_with("to="))), told);
        assert!(lines.iter().all(|line| !line.contains("visible")), "{lines:#?}");
    }
}

#[test]
fn retry_06_an_odd_configuration_is_in_the_log() {
    drop(world("odd"));
    let mut config = Config::default();
    config.ambiguous = AmbiguousPolicy::Once { window: Duration::from_secs(1), last_resort: true };
    let _world = World::new(|builder| builder.name("odd").config(config));
    let odd = lines("odd");
    assert!(
        odd.iter().any(|line| line.contains("WARN") && line.contains("the reuse window is shorter")),
        "{odd:?}"
    );
}
