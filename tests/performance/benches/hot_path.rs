//! A request with a good token, beside what nobody can do without: the clone of a header value that is ready-made.
//! `cargo bench --manifest-path tests/performance/Cargo.toml --bench hot_path`

use std::{hint::black_box, sync::LazyLock};

use divan::Bencher;
use http::HeaderValue;
use token_refresh_driver::{Clock as _, Session, SystemClock};
use token_refresh_performance::session;

fn main() {
    LazyLock::force(&SESSION);
    divan::main();
}

/// More of them than processors show whether threads wait for each other.
const THREADS: [usize; 3] = [1, 2, 8];

/// Its token has 900 bytes.
static SESSION: LazyLock<Session> = LazyLock::new(|| session(900));

#[divan::bench(threads = THREADS, sample_size = 1_000)]
fn token_and_header(bencher: Bencher) {
    bencher.bench(|| HeaderValue::from(black_box(&*SESSION).token().unwrap()));
}

/// As a request does that is told to be good.
#[divan::bench(threads = THREADS, sample_size = 1_000)]
fn token_and_header_and_acceptance(bencher: Bencher) {
    bencher.bench(|| {
        let token = black_box(&*SESSION).token().unwrap();
        SESSION.accept(token.id());
        HeaderValue::from(token)
    });
}

/// Each thread its own.
#[divan::bench(threads = THREADS, sample_size = 1_000)]
fn clone_of_a_header_value(bencher: Bencher) {
    thread_local! {
        static HEADER: HeaderValue = SESSION.current().unwrap().header().as_bytes().try_into().unwrap();
    }
    bencher.bench(|| HEADER.with(|header| black_box(header).clone()));
}

/// What threads lose that share one.
#[divan::bench(threads = THREADS, sample_size = 1_000)]
fn clone_of_a_shared_header_value(bencher: Bencher) {
    let token = SESSION.current().unwrap();
    bencher.bench(|| black_box(token.header()).clone());
}

#[divan::bench]
fn clock(bencher: Bencher) {
    let clock = SystemClock::new();
    bencher.bench(|| black_box(&clock).now());
}
