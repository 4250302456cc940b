//! The search for secrets at the end of every rule finds what it should: leaks are planted, one in each way to talk.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use token_refresh_conformance::adapter::{self, Answer, Client, Problem, Setup, Spec};
use token_refresh_ureq::{AuthAgent, Error, Session, UreqTransport};
use ureq::{Agent, Body, http::Request, http::Response};

const NOWHERE: u8 = 0;
const LOG: u8 = 1;
const TRACING: u8 = 2;
const SPAN: u8 = 3;
const METRICS: u8 = 4;
const PANIC: u8 = 5;
const ERROR: u8 = 6;
const ENCODED: u8 = 7;

/// A client that tells the beginning of its token, or of its client secret, in one way.
struct Telltale<const WAY: u8> {
    agent: AuthAgent,
    credential: Option<String>,
}

impl<const WAY: u8> Client for Telltale<WAY> {
    fn new(setup: &Setup) -> Self {
        let session = setup.session().blocking(UreqTransport::new(), setup.profile()).unwrap();
        session.sign_in(setup.grant());
        let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
        let credential = match &setup.client {
            token_refresh_ureq::wire::ClientAuth::Basic { client_secret, .. } => {
                Some(client_secret.expose().to_owned())
            }
            _ => None,
        };
        Self { agent: AuthAgent::new(agent, session, setup.rules()), credential }
    }

    fn session(&self) -> &Session {
        self.agent.session()
    }

    fn send(&self, spec: &Spec) -> Result<Answer, Problem> {
        let token = self.session().token();
        let token = token.map_or(String::new(), |token| token.secret().expose().to_owned());
        // Eight bytes, from somewhere at the beginning.
        let told = token.get(7..15).unwrap_or_default().to_owned();
        match WAY {
            LOG => log::trace!("the token is {told}…"),
            TRACING => tracing::debug!(token = &*told),
            SPAN => drop(tracing::trace_span!("request", told).entered()),
            METRICS => metrics::counter!("requests_total", "token" => told.clone()).increment(1),
            PANIC => drop(
                thread::spawn({
                    let told = told.clone();
                    move || panic!("nobody knows {told}")
                })
                .join(),
            ),
            ENCODED => {
                let credential = format!("test:{}", self.credential.clone().unwrap_or_default());
                let encoded = <base64ct::Base64 as base64ct::Encoding>::encode_string(credential.as_bytes());
                log::info!("authorization: Basic {encoded}");
            }
            _ => {}
        }
        let request = Request::builder().method(spec.method).uri(&spec.url);
        let request =
            spec.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        self.agent.run(request.body(()).unwrap()).map(read).map_err(|error| {
            let mut problem = problem(error);
            if WAY == ERROR {
                problem.text.push_str(&told);
            }
            problem
        })
    }
}

fn read(mut response: Response<Body>) -> Answer {
    let body = response.body_mut().read_to_vec().unwrap();
    let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Answer { status: response.status().as_u16(), headers, body, step_up: None }
}

fn problem(error: Error) -> Problem {
    let (cause, retry_at, text) = (error.cause(), error.retry_at(), Problem::text_of(&error));
    Problem { refusal: error.into_response().map(read).map(Box::new), cause, retry_at, text }
}

/// What the rule says when it is broken.
fn verdict(rule: fn()) -> Option<String> {
    let broken = catch_unwind(AssertUnwindSafe(rule)).err()?;
    Some(*broken.downcast::<String>().unwrap())
}

#[test]
fn sec_04_a_client_that_tells_nothing_is_not_accused() {
    assert_eq!(verdict(adapter::sec_02_the_token_stays_on_allowed_origins::<Telltale<NOWHERE>>), None);
    assert_eq!(verdict(adapter::sec_04_a_client_secret_is_shown_nowhere::<Telltale<NOWHERE>>), None);
}

#[test]
fn sec_04_a_planted_leak_is_found_in_whatever_way_it_is_told() {
    let leaks: [(&str, fn()); 7] = [
        ("log", adapter::sec_02_the_token_stays_on_allowed_origins::<Telltale<LOG>>),
        ("tracing", adapter::sec_02_the_token_stays_on_allowed_origins::<Telltale<TRACING>>),
        ("span", adapter::sec_02_the_token_stays_on_allowed_origins::<Telltale<SPAN>>),
        ("metrics", adapter::sec_02_the_token_stays_on_allowed_origins::<Telltale<METRICS>>),
        ("panic", adapter::sec_02_the_token_stays_on_allowed_origins::<Telltale<PANIC>>),
        ("error", adapter::obs_02_five_causes_can_be_told_apart::<Telltale<ERROR>>),
        ("encoded", adapter::sec_04_a_client_secret_is_shown_nowhere::<Telltale<ENCODED>>),
    ];
    for (way, rule) in leaks {
        let said = verdict(rule).unwrap_or_else(|| panic!("the leak through {way} was not found"));
        assert!(said.starts_with("SEC-04: "), "{way}: {said}");
    }
}
