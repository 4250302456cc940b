//! The async loop, with callers that are futures.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    future::{Future, pending, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex as Plain},
    task::Poll,
    time::Duration,
};

use shuttle::{
    future::{AbortHandle, JoinHandle, block_on, spawn, yield_now},
    rand::{Rng, thread_rng},
    thread,
};

use super::{
    Error, Sleep, Spawn, Task, Token,
    world::{EVER, Hasty, Numbers, World, orders},
};

/// Its tasks can be thrown away.
#[derive(Clone)]
struct Runtime {
    clock: Hasty,
    tasks: Arc<Plain<Vec<AbortHandle>>>,
}

impl Spawn for Runtime {
    fn spawn(&self, task: Task) {
        let task = spawn(task);
        self.tasks.lock().unwrap().push(task.abort_handle());
    }
}

impl Sleep for Runtime {
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        let clock = self.clock.clone();
        async move {
            yield_now().await;
            if !clock.passes(span) {
                pending::<()>().await;
            }
        }
    }
}

fn signed_in() -> (World, Arc<Plain<Vec<AbortHandle>>>) {
    let tasks = Arc::<Plain<Vec<_>>>::default();
    let world = World::new(|builder, server, clock| {
        let runtime = Runtime { clock: clock.clone(), tasks: Arc::clone(&tasks) };
        builder.asynchronous(server.clone(), Numbers, runtime)
    });
    tasks.lock().unwrap().clear();
    (world, tasks)
}

/// The first token was refused to it.
fn caller(world: &World) -> JoinHandle<Result<Token, Error>> {
    spawn(world.session.reject_async(world.first).within(EVER))
}

#[test]
fn core_03_whenever_the_leader_is_thrown_away_every_caller_is_answered_and_the_next_is_served() {
    orders(|| {
        let (world, tasks) = signed_in();
        let callers = [caller(&world), caller(&world)];
        let killer = thread::spawn({
            let tasks = Arc::clone(&tasks);
            move || {
                // Sooner or later, and maybe never.
                for _ in 0..thread_rng().gen_range(0..20) {
                    thread::yield_now();
                }
                let task = tasks.lock().unwrap().pop();
                task.iter().for_each(AbortHandle::abort);
            }
        });
        for caller in callers {
            match block_on(caller).unwrap() {
                Ok(token) => assert!(token.id() > world.first),
                Err(error) => assert!(matches!(error, Error::Failed(_)), "{error}"),
            }
        }
        killer.join().unwrap();
        block_on(world.session.settle_async(EVER)).unwrap();
        // Whatever is remembered of a failure is over by then.
        world.clock.advance(Duration::from_secs(3_600));
        let token = block_on(world.session.token_async().within(EVER)).unwrap();
        let good = world.server.seen().good;
        assert_eq!(token.secret().expose(), format!("at{good}"));
        assert_eq!(world.stored(), Some(format!("rt{good}")));
    });
}

#[test]
fn core_14_a_future_that_is_dropped_as_it_is_woken_takes_nothing_with_it() {
    orders(|| {
        let (world, _) = signed_in();
        let patient = caller(&world);
        let mut leaving = world.session.reject_async(world.first).within(EVER);
        let leaving = spawn(async move {
            for _ in 0..thread_rng().gen_range(0..6) {
                if poll_fn(|context| Poll::Ready(Pin::new(&mut leaving).poll(context))).await.is_ready() {
                    break;
                }
                yield_now().await;
            }
        });
        assert_eq!(block_on(patient).unwrap().unwrap().secret().expose(), "at2");
        block_on(leaving).unwrap();
        block_on(world.session.settle_async(EVER)).unwrap();
        assert_eq!(world.stored().as_deref(), Some("rt2"));
        assert_eq!(world.server.seen().presented, [1]);
    });
}

#[test]
fn sess_05_a_sign_out_at_any_moment_of_a_refresh_is_the_end() {
    orders(|| {
        let (world, _) = signed_in();
        let caller = caller(&world);
        for _ in 0..thread_rng().gen_range(0..20) {
            thread::yield_now();
        }
        world.session.sign_out();
        assert!(world.session.current().is_none());
        // With the new token, or because the session is over.
        let _ = block_on(caller).unwrap();
        block_on(world.session.settle_async(EVER)).unwrap();
        assert!(world.session.current().is_none());
        assert_eq!(world.stored(), None);
        let seen = world.server.seen();
        assert!(seen.revoked && seen.presented.len() <= 1);
    });
}
