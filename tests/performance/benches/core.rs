//! Instructions of a step of the machine.

use std::hint::black_box;

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use token_refresh_core::{Acquire, Action, Event, Machine, Misuse, TokenId};
use token_refresh_performance::{EXPIRED, FRESH, Waiting, drain, granted, signed_in, token, waiting};

/// Of tokens, except where their length matters.
const SHORT: usize = 16;

fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    LibraryBenchmarkConfig::default().tool(callgrind).clone()
}

#[library_benchmark]
#[bench::a_fresh_token(signed_in(SHORT))]
fn acquire(mut machine: Box<Machine>) -> (Acquire, Box<Machine>) {
    (black_box(&mut machine).acquire(FRESH), machine)
}

#[library_benchmark]
#[bench::after_1(waiting(1, SHORT))]
#[bench::after_1_000(waiting(1_000, SHORT))]
#[bench::after_100_000(waiting(100_000, SHORT))]
fn acquire_and_wait(mut waiting: Waiting) -> (Acquire, Waiting) {
    (black_box(&mut waiting).machine.acquire(EXPIRED), waiting)
}

fn late() -> (TokenId, Box<Machine>) {
    let Waiting { mut machine, ticket, .. } = waiting(1, SHORT);
    let old = token(&machine);
    machine.handle_event(granted(ticket, SHORT), EXPIRED).expect("awaited");
    drain(&mut machine);
    (old, machine)
}

#[library_benchmark]
#[bench::a_token_that_was_replaced(late())]
fn reject((token, mut machine): (TokenId, Box<Machine>)) -> (Acquire, Box<Machine>) {
    (black_box(&mut machine).reject(token, EXPIRED), machine)
}

fn refused(callers: usize) -> (TokenId, Waiting) {
    let mut waiting = waiting(callers, SHORT);
    let token = token(&waiting.machine);
    waiting.machine.reject(token, EXPIRED);
    drain(&mut waiting.machine);
    (token, waiting)
}

#[library_benchmark]
#[bench::after_1(refused(1))]
#[bench::after_1_000(refused(1_000))]
#[bench::after_100_000(refused(100_000))]
fn reject_and_wait((token, mut waiting): (TokenId, Waiting)) -> (Acquire, Waiting) {
    (black_box(&mut waiting).machine.reject(token, EXPIRED), waiting)
}

#[library_benchmark]
#[bench::of_1(waiting(1, SHORT))]
#[bench::of_1_000(waiting(1_000, SHORT))]
#[bench::of_100_000(waiting(100_000, SHORT))]
fn cancel(mut waiting: Waiting) -> (bool, Waiting) {
    let middle = waiting.waiters[waiting.waiters.len() / 2];
    (black_box(&mut waiting).machine.cancel(middle), waiting)
}

fn done() -> Waiting {
    let (event, mut waiting) = answered(100_000, SHORT);
    waiting.machine.handle_event(event, EXPIRED).expect("awaited");
    while !matches!(waiting.machine.poll_action(), Some(Action::Resolve { .. })) {}
    waiting
}

#[library_benchmark]
#[bench::one_of_100_000(done())]
fn resolve(mut waiting: Waiting) -> (Option<Action>, Waiting) {
    (black_box(&mut waiting).machine.poll_action(), waiting)
}

fn abandoned(callers: usize) -> (Event, Waiting) {
    let waiting = waiting(callers, SHORT);
    (Event::Abandoned { ticket: waiting.ticket }, waiting)
}

fn answered(callers: usize, length: usize) -> (Event, Waiting) {
    let waiting = waiting(callers, length);
    (granted(waiting.ticket, length), waiting)
}

#[library_benchmark]
#[bench::an_exchange_abandoned_after_100_000(abandoned(100_000))]
#[bench::a_grant_after_1(answered(1, SHORT))]
#[bench::a_grant_after_100_000(answered(100_000, SHORT))]
fn event((event, mut waiting): (Event, Waiting)) -> (Result<(), Misuse>, Waiting) {
    (black_box(&mut waiting).machine.handle_event(event, EXPIRED), waiting)
}

#[library_benchmark]
#[bench::a_grant_of_900_bytes(answered(1, 900))]
fn long_event((event, mut waiting): (Event, Waiting)) -> (Result<(), Misuse>, Waiting) {
    (black_box(&mut waiting).machine.handle_event(event, EXPIRED), waiting)
}

library_benchmark_group!(
    name = steps;
    config = at_most(300);
    benchmarks = acquire, acquire_and_wait, reject, reject_and_wait, cancel, resolve
);

// Once per token. A grant is copied into the record, and what it replaces is cleared: see PERFORMANCE.md.
library_benchmark_group!(
    name = events;
    config = at_most(4_000);
    benchmarks = event
);

// The same, and each copy is cleared byte by byte.
library_benchmark_group!(
    name = long_tokens;
    config = at_most(4_700);
    benchmarks = long_event
);

main!(library_benchmark_groups = steps, events, long_tokens);
