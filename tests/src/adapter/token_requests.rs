//! What a token request looks like on the wire.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::json;
use token_refresh_core::{Cause, wire::ClientAuth};

use super::{
    Client, Format, Spec,
    world::{AN_HOUR, SOON, World, answer, problem, says},
};
use crate::server::{self, Challenge, Cut, ResourcePolicy, Response, Step};

/// One form, each parameter once and none empty, to the endpoint as it was configured; the answer is to be JSON.
pub fn xreq_01_10_the_refresh_grant_is_one_form<C: Client>() {
    let mut world = World::expired();
    world.setup.token_endpoint = world.auth.url("/token?tenant=a%20b");

    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
    let log = world.auth.log();
    let [seen] = &log[..] else { panic!("{} requests", log.len()) };
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/token?tenant=a%20b"));
    assert_eq!(seen.headers.get("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.headers.get("accept"), Some("application/json"));
    let params = [("grant_type", "refresh_token"), ("refresh_token", &*world.issued.refresh_token)];
    let params = params.into_iter().chain([("client_id", "test")]);
    let params: Vec<_> = params.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(world.auth.token_requests()[0].params, params);
}

/// A refresh token may have characters in it that mean something in a form.
pub fn xreq_01_every_character_of_a_refresh_token_arrives<C: Client>() {
    let mut world = World::expired();
    let odd = r#"a+b&c%20d=e/f~"\;#?"#;
    world.setup.refresh_token = Some(odd.to_owned());
    let fresh = world.auth.issue().access_token;
    let grant = json!({ "access_token": fresh, "token_type": "Bearer" });
    world.auth.script([Step::new().answer(Response::json(200, &grant))]);

    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.auth.presentations(odd), 1);
}

/// Id and secret arrive intact, in the field or in the form and never in both.
pub fn xreq_02_03_the_client_authenticates_in_one_place<C: Client>() {
    let (id, secret) = ("client: one", "a:b%c +d\u{e4}");
    let (client_id, client_secret) = (id.to_owned(), secret.into());
    let basic = ClientAuth::Basic { client_id, client_secret };
    let (client_id, client_secret) = (id.to_owned(), secret.into());
    let post = ClientAuth::Post { client_id, client_secret };
    let (id, secret) = (id.to_owned(), secret.to_owned());
    let by_basic = server::ClientAuth::Basic { id: id.clone(), secret: secret.clone() };
    let by_post = server::ClientAuth::Post { id, secret };

    for (client, demand, field) in [(basic, by_basic, true), (post, by_post, false)] {
        let mut world = World::expired();
        world.setup.client = client;
        world.auth.change(|policy| policy.client = demand.clone());

        assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200, "{demand:?}");
        let request = &world.auth.token_requests()[0];
        assert_eq!(request.client, demand);
        assert_eq!(request.params.iter().any(|(name, _)| name.starts_with("client_")), !field);
        let log = world.auth.log();
        let schemes: Vec<_> = log[0].headers.all("authorization").map(|value| &value[..6]).collect();
        assert_eq!(schemes, vec!["Basic "; usize::from(field)]);
    }
}

/// A refresh token that rotates is not spent on finding out how the server wants its clients to authenticate.
pub fn xreq_02_no_other_method_is_tried<C: Client>() {
    let mut world = World::expired();
    let (client_id, client_secret) = ("test".to_owned(), "secret".into());
    world.setup.client = ClientAuth::Post { client_id, client_secret };
    let (id, secret) = ("test".to_owned(), "secret".to_owned());
    world.auth.change(|policy| policy.client = server::ClientAuth::Basic { id, secret });

    let problem = problem(&world.client::<C>(), &Spec::get(world.api.url("/a")));
    assert_eq!(problem.cause, Some(Cause::Misconfigured));
    assert_eq!(world.auth.presentations(&world.issued.refresh_token), 1);
    assert_eq!(world.token_requests(), 1);
}

/// The server gives what was granted before, unless it is asked for less, or for a token for one resource.
pub fn xreq_04_12_scope_and_resource_are_sent_if_they_were_set<C: Client>() {
    for asked in [false, true] {
        let mut world = World::expired();
        if asked {
            world.setup.scope.push_str("read");
            world.setup.resources = vec!["https://api.example.com/".to_owned()];
        }
        let client = world.client::<C>();
        for round in 0..2 {
            assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
            let params = &world.auth.token_requests()[round].params;
            let value =
                |wanted: &str| params.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value);
            assert_eq!(value("scope"), asked.then_some("read"));
            assert_eq!(value("resource"), asked.then_some("https://api.example.com/"));
            world.expire();
        }
    }
}

/// A profile is asked for a request for each attempt, so that an assertion in it is never sent twice: not after a lost
/// answer, and not after one that says to come back.
pub fn xreq_09_each_attempt_carries_an_assertion_of_its_own<C: Client>() {
    for step in [Step::new().cut(Cut::BeforeProcessing), says(429, "slow_down")] {
        let mut world = World::expired();
        world.setup.format = Format::Assertions;
        world.auth.script([step.clone()]);
        let client = world.client::<C>();
        if client.send(&Spec::get(world.api.url("/a"))).is_err() {
            world.setup.clock.advance(AN_HOUR);
            assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200, "{step:?}");
        }
        let requests = world.auth.token_requests();
        let sent: Vec<_> = requests.iter().flat_map(|request| &request.params).collect();
        let sent =
            sent.into_iter().filter(|(name, _)| name == "client_assertion").map(|(_, value)| value.as_str());
        let mut sent: Vec<_> = sent.collect();
        assert_eq!(sent.len(), 2, "{step:?}");
        sent.dedup();
        assert_eq!(sent.len(), 2, "{step:?}");
    }
}

/// A server that does not know one resource says nothing about the session of another.
pub fn xreq_12_an_unknown_resource_fails_its_own_session<C: Client>() {
    let mut world = World::expired();
    world.setup.resources = vec!["https://nowhere.example.com/".to_owned()];
    let lost = world.client::<C>();
    world.auth.script([says(400, "invalid_target")]);
    assert_eq!(problem(&lost, &Spec::get(world.api.url("/a"))).cause, Some(Cause::Misconfigured));

    world.setup.resources = vec!["https://api.example.com/".to_owned()];
    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/b"))).status, 200);
}

/// The refresh token goes to the configured endpoint and nowhere else, whoever a challenge names; the access token does
/// not go there. Both are looked for in every byte that the servers got.
pub fn xreq_07_i_24_each_token_stays_where_it_belongs<C: Client>() {
    let world = World::expired();
    let rogue = world.elsewhere();
    let challenge = format!(
        "Bearer error=\"invalid_token\", resource_metadata=\"{}\", authz_server=\"{}\"",
        rogue.url("/.well-known/oauth-protected-resource"),
        rogue.url("/token"),
    );
    let raw = Challenge::Raw(vec![challenge]);
    world.api.change(|policy| *policy = ResourcePolicy { challenge: raw, ..Default::default() });
    let client = world.client::<C>();

    assert_eq!(answer(&client, &Spec::post(world.api.url("/a?b=c"), "d")).status, 200);
    assert!(rogue.log().is_empty());
    let renewed = world.auth.current(1).expect("a session");
    let contains = |seen: &server::Seen, token: &str| {
        let fields = seen.headers.iter().any(|(_, value)| value.contains(token));
        fields || seen.target.contains(token) || String::from_utf8_lossy(&seen.body).contains(token)
    };
    for tokens in [&world.issued, &renewed] {
        assert!(world.api.log().iter().all(|seen| !contains(seen, &tokens.refresh_token)));
        assert!(world.auth.log().iter().all(|seen| !contains(seen, &tokens.access_token)));
    }
    assert!(contains(&world.api.log()[1], &renewed.access_token), "the search finds what is there");
}

/// Nothing but a handshake is sent before the server has said something: no token request in early data, where it could
/// be replayed. A client that was built without TLS does not even come.
pub fn xreq_11_no_token_request_is_in_the_first_flight<C: Client>() {
    let mut world = World::expired();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = listener.local_addr().expect("a port");
    world.setup.token_endpoint = format!("https://{here}/token");
    let client = world.once_only::<C>();
    for _ in 0..2 {
        let records = thread::scope(|scope| {
            let records = scope.spawn(|| first_flight(&listener));
            assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::Transient));
            // Ends the wait for a client that does not come.
            drop(TcpStream::connect(here));
            records.join().expect("no panic")
        });
        let application_data = 23;
        assert!(!records.contains(&application_data), "{records:?}");
        world.setup.clock.advance(AN_HOUR);
    }
}

/// The types of the TLS records that a client sends before it is told that the handshake has failed, and after.
fn first_flight(listener: &TcpListener) -> Vec<u8> {
    let (mut client, _) = listener.accept().expect("a client");
    client.set_read_timeout(Some(SOON)).expect("a socket");
    let mut types = Vec::new();
    let mut head = [0; 5];
    while client.read_exact(&mut head).is_ok() {
        types.push(head[0]);
        let length = u64::from(u16::from_be_bytes([head[3], head[4]]));
        let _ = std::io::copy(&mut (&client).take(length), &mut std::io::sink());
        // A fatal alert: handshake_failure.
        let _ = client.write_all(&[21, 3, 3, 0, 2, 2, 40]);
    }
    types
}
