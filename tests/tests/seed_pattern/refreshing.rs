//! As many refreshes as are needed, and no more.

use std::{thread, time::Duration};

use token_refresh_conformance::server::{Refuse, Response, Step};
use token_refresh_core::Cause;

use crate::{
    Answer, Client,
    naive::Naive,
    ours::Ours,
    world::{SOON, World, busy, invalid_grant},
};

/// A 401 that arrives after the refresh starts another one, because nobody asks which token it refused.
///
/// History: 1 and 2 sent with g1, 1 refused, refreshed, 2 refused. Breaks I-07 and I-08.
#[test]
fn defect_03_a_late_refusal_refreshes_again() {
    fn token_requests<C: Client>(new: fn(&World) -> C) -> usize {
        let world = World::expired();
        let client = new(&world);
        let verdict = world.hold_verdicts("/late", 1);
        thread::scope(|scope| {
            let late = scope.spawn(|| client.send(&world.get("/late")));
            assert!(verdict.wait_arrived(1, SOON));
            assert_eq!(client.send(&world.get("/prompt")), Answer::Status(200));
            verdict.open();
            assert_eq!(late.join().unwrap(), Answer::Status(200));
        });
        world.token_requests()
    }
    assert_eq!(token_requests(Naive::new), 2);
    assert_eq!(token_requests(Ours::new), 1);
}

/// A request that is refused with a new token too is sent again, and again; and the next request does the same.
///
/// History: refused, refreshed, refused, refreshed, … Breaks I-17, I-14 and I-13.
///
/// So that the test ends, the API relents after twenty refusals.
#[test]
fn defect_04_nothing_stops_the_loop() {
    fn loops<C: Client>(new: fn(&World) -> C) -> (usize, usize) {
        let world = World::new();
        let client = new(&world);
        world.api.change(|policy| policy.refuse = Refuse::Next(20));

        client.send(&world.get("/first"));
        let attempts_of_one_request = world.api.log().len();
        for _ in 0..10 {
            client.send(&world.get("/more"));
        }
        (attempts_of_one_request, world.token_requests())
    }
    assert_eq!(loops(Naive::new), (21, 20));
    // A request is repeated once, and when two fresh tokens in a row were refused, there are no more refreshes.
    assert_eq!(loops(Ours::new), (2, 2));
}

/// A failure is forgotten as soon as it is told: every 401 of the same token presents the dead refresh token once more.
///
/// History: 1 to 5 sent with g1, 1 refused, refresh fails for good, 2 refused, 3 refused, … Breaks I-12 and I-08.
///
/// In the pattern as it stands defect 1 hides this one, so it is played with the usual repair of that.
#[test]
fn defect_08_a_failure_is_forgotten() {
    fn token_requests<C: Client>(new: fn(&World) -> C) -> usize {
        let world = World::expired();
        let client = new(&world);
        world.auth.script((0..5).map(|_| Step::new().answer(invalid_grant())));
        let targets = ["/1", "/2", "/3", "/4", "/5"];
        thread::scope(|scope| {
            let (world, client) = (&world, &client);
            let requests = targets.map(|target| {
                let verdict = world.hold_verdicts(target, 1);
                let request = scope.spawn(move || client.send(&world.get(target)));
                assert!(verdict.wait_arrived(1, SOON));
                (verdict, request)
            });
            for (verdict, request) in requests {
                verdict.open();
                request.join().unwrap();
            }
        });
        world.token_requests()
    }
    assert_eq!(token_requests(Naive::repaired), 5);
    assert_eq!(token_requests(Ours::new), 1);
}

/// The end of the token's life is known and looked at by nobody: when it comes, everything that is sent is refused.
///
/// History: an hour passes, 1 to 10 sent. Breaks AUTH-06 and CORE-16.
#[test]
fn defect_13_every_hour_a_burst_of_refusals() {
    fn refusals<C: Client>(new: fn(&World) -> C) -> usize {
        let world = World::new();
        let client = new(&world);
        world.clock.advance(Duration::from_secs(3600));
        world.auth.expire(&world.tokens.access_token);

        let verdicts = world.hold_verdicts("/a", 10);
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| client.send(&world.get("/a")));
            }
            assert!(verdicts.wait_arrived(10, SOON));
            verdicts.open();
        });
        world.api.answered(401)
    }
    assert_eq!(refusals(Naive::new), 10);
    assert_eq!(refusals(Ours::new), 0);
}

/// A server that is busy and a session that is over look the same, so that users are sent to the login page by a 503.
///
/// History: refused, refresh answered with 503. Breaks XRSP-10 to XRSP-12 and OBS-02.
#[test]
fn defect_16_every_failure_is_the_same() {
    fn after<C: Client>(new: fn(&World) -> C, failure: Response) -> Answer {
        let world = World::expired();
        world.auth.script([Step::new().answer(failure)]);
        new(&world).send(&world.get("/a"))
    }
    assert_eq!(after(Naive::new, busy()), after(Naive::new, invalid_grant()));

    assert_eq!(after(Ours::new, busy()), Answer::NoToken(Some(Cause::Transient)));
    assert_eq!(after(Ours::new, invalid_grant()), Answer::NoToken(Some(Cause::NeedsSignIn)));
}
