//! The blocking loop, with callers that block.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use shuttle::{
    rand::{Rng, thread_rng},
    thread,
};

use super::{
    Error, Token,
    world::{EVER, Numbers, World, orders},
};

fn signed_in() -> World {
    World::new(|builder, server, _| builder.blocking(server.clone(), Numbers))
}

/// The first token was refused to it.
fn caller(world: &World, limit: Duration) -> thread::JoinHandle<Result<Token, Error>> {
    let (session, first) = (world.session.clone(), world.first);
    thread::spawn(move || session.reject_within(first, limit))
}

#[test]
fn core_03_wherever_the_leader_dies_every_caller_is_served_by_its_successor() {
    orders(|| {
        let world = signed_in();
        world.server.seen().deaths = 1;
        let callers = [EVER; 3].map(|limit| caller(&world, limit));
        for caller in callers {
            assert_eq!(caller.join().unwrap().unwrap().secret().expose(), "at2");
        }
        world.session.settle(EVER).unwrap();
        assert_eq!(world.stored().as_deref(), Some("rt2"));
        let seen = world.server.seen();
        assert!(
            seen.presented.len() <= 2 && seen.presented.iter().all(|number| *number == 1),
            "{:?}",
            seen.presented
        );
    });
}

#[test]
fn core_13_core_14_a_caller_whose_time_is_over_as_the_answer_comes_takes_nothing_with_it() {
    orders(|| {
        let world = signed_in();
        let [patient, hasty] = [EVER, Duration::from_secs(1)].map(|limit| caller(&world, limit));
        assert_eq!(patient.join().unwrap().unwrap().secret().expose(), "at2");
        match hasty.join().unwrap() {
            Ok(token) => assert_eq!(token.secret().expose(), "at2"),
            Err(error) => assert!(matches!(error, Error::TimedOut), "{error}"),
        }
        world.session.settle(EVER).unwrap();
        assert_eq!(world.stored().as_deref(), Some("rt2"));
        assert_eq!(world.server.seen().presented, [1]);
    });
}

#[test]
fn sess_05_a_sign_out_at_any_moment_of_a_refresh_is_the_end() {
    orders(|| {
        let world = signed_in();
        let caller = caller(&world, EVER);
        for _ in 0..thread_rng().gen_range(0..20) {
            thread::yield_now();
        }
        world.session.sign_out();
        assert!(world.session.current().is_none());
        // With the new token, or because the session is over.
        let _ = caller.join().unwrap();
        world.session.settle(EVER).unwrap();
        assert!(world.session.current().is_none());
        assert_eq!(world.stored(), None);
        let seen = world.server.seen();
        assert!(seen.revoked && seen.presented.len() <= 1);
    });
}
