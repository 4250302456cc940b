//! What is special about ureq: statuses as errors, lengths of content, `Expect`, and the limits of a middleware.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    io::{BufRead as _, BufReader, Cursor, Write as _},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use token_refresh_conformance::server::{
    AuthorizationServer, Challenge, Cut, Gate, Policy, Refuse, ResourcePolicy, ResourceServer,
    Response as Scripted, Seen, Step,
};
use token_refresh_ureq::{
    AllowedOrigins, AuthAgent, AuthMiddleware, Cause, Endpoint, Error, Grant, OAuthProfile, OneShot, Rules,
    Session, StepUp, driver,
    wire::{ClientAuth, OAuthClient},
};
use ureq::{
    Agent, Body,
    http::{Request, Response},
};

/// An API that refuses the only access token that there is, until it is refreshed.
struct World {
    auth: AuthorizationServer,
    api: ResourceServer,
    session: Session,
    rules: Rules,
}

impl World {
    fn new() -> Self {
        let auth = AuthorizationServer::start(Policy::default()).unwrap();
        let api = ResourceServer::start("api", &auth, ResourcePolicy::default()).unwrap();
        let issued = auth.issue();
        auth.expire(&issued.access_token);

        let client = OAuthClient::new(ClientAuth::None { client_id: "test".into() });
        let endpoint = Endpoint::https_or_loopback(&auth.url("/token")).unwrap();
        let session = token_refresh_ureq::session(OAuthProfile::refresh_token(client, endpoint)).unwrap();
        let grant = Grant::new(issued.access_token).unwrap();
        session.sign_in(grant.with_refresh_token(issued.refresh_token).unwrap());
        let rules = Rules::new(AllowedOrigins::none().loopback_http(&api.url("")).unwrap());
        Self { auth, api, session, rules }
    }

    fn agent(&self) -> AuthAgent {
        AuthAgent::new(ureq::agent(), self.session.clone(), self.rules.clone())
    }

    /// A plain ureq agent with our middleware.
    fn ureq(&self, change: impl FnOnce(AuthMiddleware) -> AuthMiddleware) -> Agent {
        let auth = AuthMiddleware::new(self.session.clone(), self.rules.clone(), ureq::agent());
        Agent::config_builder().middleware(change(auth)).build().new_agent()
    }

    fn attempts(&self) -> Vec<Attempt> {
        self.api.log().iter().map(Attempt::of).collect()
    }
}

/// What the API saw of a request.
#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    generation: Option<u32>,
    length: Option<String>,
    coding: Option<String>,
    body: usize,
}

impl Attempt {
    fn of(seen: &Seen) -> Self {
        Self {
            generation: seen.carried.map(|tag| tag.generation),
            length: seen.headers.get("content-length").map(str::to_owned),
            coding: seen.headers.get("transfer-encoding").map(str::to_owned),
            body: seen.body_len,
        }
    }

    fn empty(generation: u32) -> Self {
        Self { generation: Some(generation), length: None, coding: None, body: 0 }
    }

    fn sized(generation: u32, body: usize) -> Self {
        Self { length: Some(body.to_string()), body, ..Self::empty(generation) }
    }

    fn chunked(generation: u32, body: usize) -> Self {
        Self { coding: Some("chunked".into()), body, ..Self::empty(generation) }
    }
}

#[test]
fn statuses_become_errors_as_the_agent_is_configured() {
    let world = World::new();
    let get = |agent: &AuthAgent| agent.run(Request::get(world.api.url("/a")).body(()).unwrap());
    let teapot = || Step::new().answer(Scripted::new(418).body("short and stout"));

    world.api.script([teapot()]);
    assert!(matches!(get(&world.agent()), Err(Error::Http(ureq::Error::StatusCode(418)))));

    let agent = Agent::config_builder().http_status_as_error(false).build().new_agent();
    let agent = AuthAgent::new(agent, world.session.clone(), world.rules.clone());
    world.api.script([teapot()]);
    let mut response = get(&agent).unwrap();
    assert_eq!(response.body_mut().read_to_string().unwrap(), "short and stout");
}

#[test]
fn statuses_become_errors_unless_the_middleware_is_told_otherwise() {
    let world = World::new();
    let get = |agent: Agent| agent.get(world.api.url("/a")).call();
    let teapot = || Step::new().answer(Scripted::new(418).body("short and stout"));

    world.api.script([teapot()]);
    assert!(matches!(get(world.ureq(|auth| auth)), Err(ureq::Error::StatusCode(418))));

    world.api.script([teapot()]);
    let mut response = get(world.ureq(AuthMiddleware::statuses_are_answers)).unwrap();
    assert_eq!(response.body_mut().read_to_string().unwrap(), "short and stout");
}

/// The second refusal is a status like any other.
#[test]
fn chal_11_the_second_refusal_is_a_status() {
    let world = World::new();
    world.api.script([Step::new(), Step::new().answer(Scripted::new(401))]);
    let second = world.agent().run(Request::get(world.api.url("/a")).body(()).unwrap());
    assert!(matches!(second, Err(Error::Http(ureq::Error::StatusCode(401)))));
    assert_eq!(world.attempts(), [Attempt::empty(0), Attempt::empty(1)]);
}

#[test]
fn rply_08_a_ureq_error_still_holds_the_refusal() {
    let world = World::new();
    world.auth.revoke_family(1);
    let error = world.ureq(|auth| auth).get(world.api.url("/a")).call().unwrap_err();

    assert!(error.to_string().contains("401"), "{error}");
    let error = Error::from(error);
    assert_eq!(error.cause(), Some(Cause::NeedsSignIn));
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the authorization server refused the refresh token"
    );
    let mut refusal = error.into_response().unwrap();
    assert_eq!(refusal.status(), 401);
    assert!(refusal.headers().contains_key("www-authenticate"));
    assert_eq!(refusal.body_mut().read_to_string().unwrap(), r#"{"message":"unauthorized"}"#);
}

#[test]
fn without_a_token_nothing_is_sent() {
    let world = World::new();
    world.session.sign_out();
    let error = world.agent().run(Request::get(world.api.url("/a")).body(()).unwrap()).unwrap_err();
    assert!(matches!(error, Error::NoToken(_)));
    assert_eq!(error.cause(), Some(Cause::NeedsSignIn));
    assert!(error.into_response().is_none());
    assert_eq!(world.attempts(), []);
}

/// More scope cannot be had by a refresh. The error says what is missing, and still holds the answer.
#[test]
fn chal_04_a_status_that_is_an_error_is_typed_if_it_asks_for_more_scope() {
    let world = World::new();
    world.api.change(|policy| {
        *policy = ResourcePolicy { refuse: Refuse::All, status: 403, challenge: Challenge::InsufficientScope }
    });
    let through_agent = world.agent().run(Request::get(world.api.url("/a")).body(()).unwrap()).unwrap_err();
    let through_middleware: Error =
        world.ureq(|auth| auth).get(world.api.url("/a")).call().unwrap_err().into();
    for error in [through_agent, through_middleware] {
        assert_eq!((error.cause(), error.retry_at()), (None, None));
        let Error::StepUp { step_up: StepUp::Scope { scope: Some(scope) }, response } = error else {
            panic!("{error:?}")
        };
        assert_eq!((&*scope, response.status().as_u16()), ("things:write", 403));
    }
    assert_eq!(world.auth.token_requests().len(), 0);
}

/// The authorization server is slow: the caller's limit for the whole request is over first, and long before the
/// session's.
#[test]
fn rply_06_the_agents_time_limit_holds_for_the_wait_for_a_token() {
    let world = World::new();
    let gate = Gate::new();
    world.auth.script([Step::new().hold_before(&gate)]);
    let agent = Agent::config_builder().timeout_global(Some(Duration::from_secs(1))).build().new_agent();
    let auth = AuthMiddleware::new(world.session.clone(), world.rules.clone(), agent.clone());
    let through_middleware = Agent::config_builder().middleware(auth).build().new_agent();
    let agent = AuthAgent::new(agent, world.session.clone(), world.rules.clone());

    let begun = Instant::now();
    let first = agent.run(Request::get(world.api.url("/a")).body(()).unwrap()).unwrap_err();
    let second: Error = through_middleware.get(world.api.url("/a")).call().unwrap_err().into();
    assert_eq!(first.reason(), Some(driver::Error::TimedOut), "{first:?}");
    assert_eq!(first.into_response().unwrap().status(), 401);
    assert_eq!(second.reason(), Some(driver::Error::TimedOut), "{second:?}");
    assert!(begun.elapsed() < world.session.time_limit() / 2);
    gate.open();
}

/// The server refuses instead of asking for the content, so the stream is still whole.
#[test]
fn rply_07_a_stream_that_nobody_has_read_is_sent_again() {
    let world = World::new();
    world.api.script([Step::new().early()]);
    let stream = OneShot::new(Cursor::new(vec![b'x'; 70_000])).with_length(70_000);
    let request = Request::post(world.api.url("/a")).header("expect", "100-continue").body(stream).unwrap();

    assert_eq!(world.agent().run(request).unwrap().status(), 200);
    let refused = Attempt { length: Some("70000".into()), ..Attempt::empty(0) };
    assert_eq!(world.attempts(), [refused, Attempt::sized(1, 70_000)]);
}

#[test]
fn a_stream_has_a_length_if_the_caller_says_so() {
    let world = World::new();
    let agent = world.agent();
    world.session.reject(world.session.token().unwrap().id()).unwrap();
    let stream = || OneShot::new(Cursor::new(vec![b'x'; 10]));

    agent.run(Request::put(world.api.url("/a")).body(stream()).unwrap()).unwrap();
    agent.run(Request::put(world.api.url("/a")).body(stream().with_length(10)).unwrap()).unwrap();
    assert_eq!(world.attempts(), [Attempt::chunked(1, 10), Attempt::sized(1, 10)]);
}

#[test]
fn content_in_memory_is_sent_as_ureq_sends_it() {
    let world = World::new();
    let agent = world.agent();
    world.session.reject(world.session.token().unwrap().id()).unwrap();
    let request = || Request::post(world.api.url("/a"));

    agent.run(request().body(()).unwrap()).unwrap();
    agent.run(request().body("text").unwrap()).unwrap();
    agent.run(request().body(String::new()).unwrap()).unwrap();
    agent.run(request().body(vec![1_u8, 2, 3]).unwrap()).unwrap();
    agent.run(request().body(bytes::Bytes::from_static(b"by")).unwrap()).unwrap();
    let ours = world.attempts();

    let token = world.session.token().unwrap();
    let request = || request().header("authorization", token.header());
    ureq::run(request().body(()).unwrap()).unwrap();
    ureq::run(request().body("text").unwrap()).unwrap();
    ureq::run(request().body(String::new()).unwrap()).unwrap();
    ureq::run(request().body(vec![1_u8, 2, 3]).unwrap()).unwrap();
    ureq::run(request().body(&b"by"[..]).unwrap()).unwrap();
    assert_eq!(ours, world.attempts()[5..]);
}

/// Every kind of call without content, and with content up to the limit.
#[test]
fn rply_02_the_middleware_repeats_calls_of_request_builders() {
    type Call = fn(&Agent, String) -> Result<Response<Body>, ureq::Error>;
    let calls: [Call; 8] = [
        |agent, url| agent.get(url).call(),
        |agent, url| agent.head(url).call(),
        |agent, url| agent.options(url).call(),
        |agent, url| agent.delete(url).call(),
        |agent, url| agent.post(url).send("some text"),
        |agent, url| agent.put(url).send(vec![7; 1000]),
        |agent, url| agent.patch(url).send_form([("a", "b")]),
        |agent, url| agent.post(url).send_empty(),
    ];
    for (index, call) in calls.into_iter().enumerate() {
        let world = World::new();
        let response = call(&world.ureq(|auth| auth.replay_up_to(1000)), world.api.url("/a")).unwrap();
        assert_eq!(response.status(), 200, "call {index}");
        let [first, second] = &world.attempts()[..] else { panic!("call {index}: {:?}", world.attempts()) };
        assert_eq!((first.generation, second.generation), (Some(0), Some(1)), "call {index}");
        assert_eq!((first.body, &first.length), (second.body, &second.length), "call {index}");
        assert_eq!(first.coding, None, "call {index} was not sent in chunks");
    }
}

#[test]
fn rply_03_the_middleware_repeats_content_up_to_the_limit_only() {
    for (length, status, attempts) in [
        (1000, 200, vec![Attempt::sized(0, 1000), Attempt::sized(1, 1000)]),
        (1001, 401, vec![Attempt::chunked(0, 1001)]),
    ] {
        let world = World::new();
        let agent = world.ureq(|auth| auth.replay_up_to(1000).statuses_are_answers());
        assert_eq!(agent.post(world.api.url("/a")).send(vec![1; length]).unwrap().status(), status);
        assert_eq!(world.attempts(), attempts);
        assert_eq!(world.auth.token_requests().len(), 1, "the token is refreshed all the same");
    }
}

/// Content that is not copied is not touched, so that it keeps its length.
#[test]
fn rply_03_content_beyond_the_limit_can_keep_its_length() {
    let world = World::new();
    let plain = world.ureq(AuthMiddleware::statuses_are_answers);
    assert_eq!(plain.post(world.api.url("/a")).send("12345").unwrap().status(), 401);
    assert_eq!(plain.post(world.api.url("/a")).send("12345").unwrap().status(), 200);

    let limited = world.ureq(|auth| auth.replay_up_to(4));
    let request = limited.post(world.api.url("/a")).header("content-length", "5");
    assert_eq!(request.send("12345").unwrap().status(), 200);
    assert_eq!(world.attempts(), [Attempt::sized(0, 5), Attempt::sized(1, 5), Attempt::sized(1, 5)]);
}

/// What is set for a single request holds for its repetition too.
#[test]
fn a_request_keeps_its_own_configuration() {
    let world = World::new();
    world.api.change(|policy| policy.challenge = Challenge::Bare);
    let agent = world.ureq(|auth| auth);
    let request = agent.get(world.api.url("/a")).config().user_agent("custom").build();
    assert_eq!(request.call().unwrap().status(), 200);
    let agents: Vec<_> =
        world.api.log().iter().map(|seen| seen.headers.get("user-agent").map(str::to_owned)).collect();
    assert_eq!(agents, [Some("custom".to_owned()), Some("custom".to_owned())]);
}

/// The refusal is read to its end, so that the repetition needs no new connection.
#[test]
fn rply_09_the_connection_of_a_refusal_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        drop(listener);
        let mut reader = BufReader::new(client.try_clone().unwrap());
        for status in ["401 Unauthorized", "200 OK"] {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            write!(&client, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
        }
    });

    let world = World::new();
    let rules = Rules::new(AllowedOrigins::none().loopback_http(&origin).unwrap());
    let agent = AuthAgent::new(ureq::agent(), world.session, rules);
    assert_eq!(agent.run(Request::get(&origin).body(()).unwrap()).unwrap().status(), 200);
    server.join().unwrap();
}

/// The predicate was shown what there was of the content; the caller is told that it is not all.
#[test]
fn chal_10_content_that_breaks_off_is_not_made_whole_by_a_look_at_it() {
    let mut world = World::new();
    world.rules = world.rules.clone().refused_if([200], |_| false);
    for sender in [world.ureq(|auth| auth), ureq::agent()] {
        world.api.script([Step::new().answer(Scripted::new(200).body("0123456789")).cut(Cut::InBody(5))]);
        let mut answer = sender.get(world.api.url("/a")).call().unwrap();
        assert!(answer.body_mut().read_to_vec().is_err());
    }
}
