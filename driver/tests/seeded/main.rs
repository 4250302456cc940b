//! Sessions whose transport and store do what they like: thousands of runs, each with the faults of its seed.
//!
//! A run that fails says its seed; `SEED=17 cargo test -p token-refresh-driver --test seeded` runs that one alone, and
//! `RUNS=100000` so many. Time is virtual. In the async runs one thread polls the tasks in an order that the seed
//! chooses, too; in the blocking ones threads are the system's. What the machine draws for itself, such as pauses
//! between two looks at a store, is not of the seed.
#![allow(clippy::unwrap_used)]

mod blocking;
mod executor;
mod faults;
mod plan;
mod story;
mod tasks;
mod world;

use std::{env, panic, thread};

const BLOCKING: u64 = 400;
const ASYNC: u64 = 2_000;

#[test]
fn core_03_whatever_goes_wrong_every_blocking_caller_is_answered_and_in_the_end_served() {
    each_seed(BLOCKING, blocking::run);
}

#[test]
fn core_03_whatever_goes_wrong_every_async_caller_is_answered_and_in_the_end_served() {
    each_seed(ASYNC, tasks::run);
}

fn each_seed(runs: u64, run: fn(u64)) {
    quiet_panics();
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("RUNS").unwrap_or(runs),
    };
    for seed in seeds {
        // On a thread of its own, so that the seed can be told whatever the run dies of.
        let ended = thread::Builder::new().name("run".into()).spawn(move || run(seed)).unwrap().join();
        assert!(ended.is_ok(), "seed {seed} fails: run it again with SEED={seed}");
    }
}

/// Panics that are asked for are not worth a line.
fn quiet_panics() {
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>().copied() != Some(faults::ASKED_FOR) {
            told(info);
        }
    }));
}
