//! One session, blocking and async callers at the same time, whatever it was built for.
#![allow(clippy::unwrap_used)]

mod async_support;
mod support;

use std::{thread, time::Duration};

use async_support::{Runtime, on_every_runtime};
use futures::{executor::block_on, future::join_all};
use token_refresh_driver::Error;

const SECOND: Duration = Duration::from_secs(1);

on_every_runtime! {

async fn an_async_session_serves_threads_too(runtime: Runtime) {
    let mut world = async_support::World::signed_in(runtime);
    let refused = world.id();
    let tasks = world.waiting(50);
    let threads: Vec<_> = (0..20)
        .map(|_| {
            let session = world.session.clone();
            thread::spawn(move || session.reject_within(refused, support::PATIENCE))
        })
        .collect();
    world.server.call().await.grant("at2", "rt2");
    for answer in join_all(tasks).await {
        assert_eq!(answer.unwrap().secret().expose(), "at2");
    }
    for thread in threads {
        assert_eq!(thread.join().unwrap().unwrap().secret().expose(), "at2");
    }
    assert!(world.server.is_quiet());
}

}

#[test]
fn a_blocking_session_serves_tasks_too() {
    let world = support::World::signed_in();
    let refused = world.id();
    let threads = world.waiting(20, move |session| session.reject(refused));
    let tasks: Vec<_> = (0..50).map(|_| world.session.reject_async(refused)).collect();
    let tasks = thread::spawn(move || block_on(join_all(tasks)));
    world.server.call().grant("at2", "rt2");
    for answer in tasks.join().unwrap() {
        assert_eq!(answer.unwrap().secret().expose(), "at2");
    }
    assert_eq!(threads.tokens(), vec!["at2"; 20]);
    world.session.settle(support::PATIENCE).unwrap();
    assert!(world.server.is_quiet());
}

/// One thread, which is parked on the session's clock, wakes all of them.
#[test]
fn core_13_the_time_limits_of_tasks_are_kept_in_a_blocking_session() {
    let world = support::World::signed_in();
    let refused = world.id();
    let mut hurried = world.session.reject_async(refused).within(SECOND);
    assert!(async_support::poll(&mut hurried).is_pending());
    assert!(world.clock.await_parked(1, support::PATIENCE));
    let patient: Vec<_> = (0..50).map(|_| world.session.reject_async(refused)).collect();
    let patient = thread::spawn(move || block_on(join_all(patient)));
    let hurried = thread::spawn(move || block_on(hurried));
    let call = world.server.call();
    world.clock.advance(SECOND);
    assert!(matches!(hurried.join().unwrap(), Err(Error::TimedOut)));
    call.grant("at2", "rt2");
    for answer in patient.join().unwrap() {
        assert_eq!(answer.unwrap().secret().expose(), "at2");
    }
}

#[test]
fn core_13_a_shorter_limit_than_those_before_is_not_overslept() {
    async_support::in_time(|| {
        let world = support::World::signed_in();
        let refused = world.id();
        let mut patient = world.session.reject_async(refused);
        assert!(async_support::poll(&mut patient).is_pending());
        assert!(world.clock.await_parked(1, support::PATIENCE));
        let mut hurried = world.session.reject_async(refused).within(SECOND);
        assert!(async_support::poll(&mut hurried).is_pending());
        let hurried = thread::spawn(move || block_on(hurried));
        world.clock.advance(SECOND);
        assert!(matches!(hurried.join().unwrap(), Err(Error::TimedOut)));
    });
}
