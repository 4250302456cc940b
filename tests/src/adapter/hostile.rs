use std::time::Duration;

use token_refresh_core::Cause;

use super::{
    Client, Spec,
    world::{AN_HOUR, World, answer},
};
use crate::server::{Cut, Response, Step};

const GRANT: &str = r#"{"access_token":"at2","token_type":"Bearer","refresh_token":"rt2"}"#;

/// Answers that are broken below their content: each leaves the outcome open, is over in time, and ends no session.
pub fn sec_06_a_broken_answer_of_the_token_endpoint_leaves_the_outcome_open<C: Client>() {
    let good = || Step::new().answer(Response::new(200).body(GRANT));
    let table = [
        ("cut in the content", good().cut(Cut::InBody(20))),
        ("a content that comes too slowly", good().slow(1, Duration::from_millis(50))),
        ("less content than announced", framed("Content-Length", "1000").cut(Cut::AfterAnswer)),
        ("more content than announced", framed("Content-Length", "20")),
        ("a length that is none", framed("Content-Length", "-1")),
        ("chunks that are none", framed("Transfer-Encoding", "chunked").cut(Cut::AfterAnswer)),
        (
            "a field of 1 MiB",
            Step::new().answer(Response::new(200).body(GRANT).header("X-Fill", &"x".repeat(1024 * 1024))),
        ),
        (
            "ten thousand fields",
            Step::new().answer(
                (0..10_000).fold(Response::new(200).body(GRANT), |answer, _| answer.header("X-Fill", "x")),
            ),
        ),
        ("a content of 2 MiB", Step::new().answer(Response::new(200).body(vec![b' '; 2 * 1024 * 1024]))),
    ];
    for (what, step) in table {
        let mut world = World::expired();
        world.setup.config.exchange_limit = Duration::from_millis(500);
        world.auth.script([step.clone(), step]);
        let client = world.client::<C>();
        let sent = client.send(&Spec::get(world.api.url("/a")));
        let cause = sent.err().and_then(|problem| problem.cause);
        assert_eq!((cause, world.token_requests()), (Some(Cause::Uncertain), 2), "{what}");

        world.setup.clock.advance(AN_HOUR);
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200, "{what}");
        assert_eq!(world.auth.presentations(&world.issued.refresh_token), 3, "{what}");
    }
}

/// A good grant in a frame that does not fit.
fn framed(name: &str, value: &str) -> Step {
    Step::new().answer(Response::new(200).body(GRANT).header(name, value))
}

/// A refusal that no client could read costs at most one refresh, and the next request finds everything in order.
pub fn sec_06_hostile_challenges_over_the_wire_do_no_harm<C: Client>() {
    let fields = [
        "x".repeat(1024 * 1024),
        ",".repeat(16 * 1024),
        format!("Bearer {}", "a=b,".repeat(4000)),
        format!("Bearer error=\"{}", "\\".repeat(8000)),
        format!("Bearer error=\"invalid_token\"{}", ", Basic realm=x".repeat(1000)),
    ];
    for field in fields {
        let world = World::new();
        world.api.script([Step::new().answer(Response::new(401).header("WWW-Authenticate", &field))]);
        let client = world.client::<C>();
        // Some clients do not take fields of this size; whether there is an answer is theirs to say.
        let _ = client.send(&Spec::get(world.api.url("/a")));
        assert!(world.token_requests() <= 1);
        assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
        assert!(world.token_requests() <= 1);
    }
}
