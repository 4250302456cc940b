//! What an application is told, over real sockets (OBS-01 to OBS-03).

use std::{
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    time::{Duration, SystemTime},
};

use token_refresh_driver::{Cause, ExchangeError, Grant, Notice, Origin, Session, Subscription, Trigger};

use super::{
    Client, Problem, Spec,
    exchange::{HERD, herd},
    token_answers::edited,
    world::{SOON, World, answer, problem},
};
use crate::server::{Cut, Refuse, Response, Reuse, Step};

/// Every exchange is told with its cause, its class and its attempt, one for each token request that the server saw, and
/// the tokens follow one another.
pub fn obs_01_each_exchange_is_told_as_the_server_saw_it<C: Client>() {
    let world = World::expired();
    world.auth.change(|policy| policy.reuse = Reuse::UntilUsed);
    let client = world.client::<C>();
    let told = Told::by(client.session());

    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    // The answer to the next one is lost, and the refresh token is presented once more.
    world.auth.expire(&world.auth.current(1).expect("a session").access_token);
    world.auth.script([Step::new().cut(Cut::AfterProcessing)]);
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    world.auth.revoke_family(1);
    assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::NeedsSignIn));

    let told = told.until(|notice| matches!(notice, Notice::SessionLost { .. }));
    let ended: Vec<_> = told
        .iter()
        .filter_map(|notice| match *notice {
            Notice::ExchangeEnded { exchange, error, .. } => {
                Some((exchange.trigger, exchange.presentation, error))
            }
            _ => None,
        })
        .collect();
    let expected = [
        (Trigger::Refusal, 1, None),
        (Trigger::Refusal, 1, Some(ExchangeError::Ambiguous { retry_after: None })),
        (Trigger::Refusal, 2, None),
        (Trigger::Refusal, 1, Some(ExchangeError::Permanent)),
    ];
    assert_eq!(ended, expected);
    assert_eq!(world.token_requests(), ended.len());

    let generations: Vec<_> = told
        .iter()
        .filter_map(|notice| match *notice {
            Notice::Installed { id, replaces, origin: Origin::Exchange, .. } => {
                Some((replaces.map(|id| id.generation.0), id.generation.0))
            }
            _ => None,
        })
        .collect();
    assert_eq!(generations, [(Some(1), 2), (Some(2), 3)]);
}

/// Needs sign-in, transient with the instant, misconfigured, uncertain, refused after refresh: each in an error that also
/// has the answer of the API.
pub fn obs_02_five_causes_can_be_told_apart<C: Client>() {
    let json = |status, code: &str| Response::json(status, &serde_json::json!({ "error": code }));
    let cut = || Step::new().cut(Cut::AfterProcessing);
    let table = [
        (vec![Step::new().answer(json(400, "invalid_grant"))], Cause::NeedsSignIn, false),
        (vec![Step::new().answer(json(400, "interaction_required"))], Cause::NeedsSignIn, false),
        (vec![Step::new().answer(json(400, "invalid_client"))], Cause::Misconfigured, true),
        (vec![Step::new().answer(json(503, "temporarily_unavailable"))], Cause::Transient, true),
        (vec![cut(), cut()], Cause::Uncertain, true),
    ];
    for (steps, cause, passes) in table {
        let world = World::expired();
        world.auth.script(steps);
        let problem = problem(&world.client::<C>(), &Spec::get(world.api.url("/a")));
        assert_eq!((problem.cause, problem.retry_at.is_some()), (Some(cause), passes), "{}", problem.text);
        assert_eq!(problem.refusal.expect("the refusal").status, 401);
    }

    // The server names the instant.
    let world = World::expired();
    let later = Response::json(429, &serde_json::json!({})).header("Retry-After", "30");
    world.auth.script([Step::new().answer(later)]);
    let before = SystemTime::now();
    let problem = problem(&world.client::<C>(), &Spec::get(world.api.url("/a")));
    assert_eq!(problem.cause, Some(Cause::Transient));
    let wait = problem.retry_at.expect("an instant").duration_since(before).expect("it is to come");
    assert!((Duration::from_secs(29)..Duration::from_secs(50)).contains(&wait), "{wait:?}");

    // Every fresh token is refused.
    let world = World::new();
    world.api.change(|policy| policy.refuse = Refuse::All);
    let client = world.client::<C>();
    let send = |_| client.send(&Spec::get(world.api.url("/a"))).err();
    let of_breaker = |problem: &Problem| problem.cause == Some(Cause::RefusedAfterRefresh);
    let problem = (0..6).filter_map(send).find(of_breaker).expect("the breaker opens");
    assert!(problem.retry_at.is_some());
    assert_eq!(problem.refusal.expect("the refusal").status, 401);
}

/// Fifty callers lose the session at once, it recovers because the application says so, and is lost again: that is one
/// announcement. The next identity has one of its own.
pub fn obs_03_a_lost_session_is_announced_once<C: Client>() {
    let world = World::expired();
    let client = world.client::<C>();
    let told = Told::by(client.session());
    let refuse = || {
        let answer = Response::json(400, &serde_json::json!({ "error": "invalid_grant" }));
        world.auth.script([Step::new().answer(answer)]);
    };

    refuse();
    assert_eq!(herd(&world, &client), [None; HERD]);
    client.session().reset();
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    world.auth.expire(&world.auth.current(1).expect("a session").access_token);
    refuse();
    assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::NeedsSignIn));

    let other = world.auth.issue();
    world.auth.expire(&other.access_token);
    let grant =
        Grant::new(other.access_token).and_then(|grant| grant.with_refresh_token(other.refresh_token));
    client.session().sign_in(grant.expect("tokens"));
    refuse();
    assert_eq!(problem(&client, &Spec::get(world.api.url("/a"))).cause, Some(Cause::NeedsSignIn));

    let mut lost = Vec::new();
    let told = told.until(|notice| {
        if let Notice::SessionLost { epoch, .. } = notice {
            lost.push(epoch.0);
        }
        lost.last() == Some(&2)
    });
    let failures = told.iter().filter(|notice| matches!(notice, Notice::RefreshFailed { .. })).count();
    assert_eq!((lost, failures), (vec![1, 2], 3));
}

/// The application is told when the server gives another scope than before, and can read it.
pub fn xrsp_06_a_change_of_scope_is_told<C: Client>() {
    let world = World::expired();
    let client = world.client::<C>();
    let told = Told::by(client.session());
    for scope in ["read write", "read write", "read"] {
        world.auth.expire(&world.auth.current(1).expect("a session").access_token);
        world.auth.script([edited(move |grant| grant["scope"] = serde_json::json!(scope))]);
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    }
    let told = told.until(|notice| matches!(notice, Notice::ScopeChanged { .. }));
    let installed = told.iter().filter(|notice| matches!(notice, Notice::Installed { .. })).count();
    assert_eq!((installed, world.token_requests()), (3, 3));
    assert_eq!(client.session().scope().as_deref(), Some("read"));
}

/// What is told, in order.
struct Told {
    notices: Receiver<Notice>,
    _subscription: Subscription,
}

impl Told {
    fn by(session: &Session) -> Self {
        let (sender, notices) = channel();
        let sender = Mutex::new(sender);
        let subscription = session.subscribe(move |notice| {
            // After the rule nobody listens.
            let _ = sender.lock().map(|sender| sender.send(*notice));
        });
        Self { notices, _subscription: subscription }
    }

    /// All up to this one.
    fn until(&self, mut is_last: impl FnMut(&Notice) -> bool) -> Vec<Notice> {
        let mut told = Vec::new();
        loop {
            let notice = self.notices.recv_timeout(SOON).expect("it is told");
            told.push(notice);
            if is_last(&notice) {
                return told;
            }
        }
    }
}
