//! The same kills with the other stores. There is no instant at which a database has written half.

use std::thread;

use crate::{
    kills::{Instant, REPEATED, REVOKED, SAVED, survive},
    place::{Home, StoreKind},
    world::{World, failed, ok, strict, window},
};

fn kills(kind: StoreKind) {
    let home = Home::make(kind, None).unwrap();
    let lost = failed("RefusedAfterAmbiguity");
    let cases = [
        (strict(), Instant::BeforeClaim, (ok("at-1-1"), SAVED)),
        (strict(), Instant::AfterClaim, (ok("at-1-1"), SAVED)),
        (strict(), Instant::AfterSend, (lost.clone(), REVOKED)),
        (strict(), Instant::AfterReply, (lost, REVOKED)),
        (window(), Instant::AfterReply, (ok("at-1-1"), REPEATED)),
        (strict(), Instant::AfterSave, (ok("at-1-1"), SAVED)),
    ];
    thread::scope(|scope| {
        for (number, (server, instant, expected)) in cases.into_iter().enumerate() {
            let place = home.place.named(&format!("case-{number}"));
            scope.spawn(move || {
                assert_eq!(survive(&World::at(place, server), "once", instant), expected, "{instant:?}");
            });
        }
    });
}

#[test]
fn mp_03_kills_with_postgres() {
    kills(StoreKind::Postgres);
}

#[test]
fn mp_03_kills_with_redis() {
    kills(StoreKind::Redis);
}
