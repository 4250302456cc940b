//! Instructions and allocations of a request with a good token. Valgrind hides the clocks that the kernel answers
//! without a call, so each reading is a system call here, which counts as one instruction.

use std::{collections::HashMap, hint::black_box};

use gungraun::{
    Callgrind, Dhat, DhatMetric, EventKind, LibraryBenchmarkConfig, library_benchmark,
    library_benchmark_group, main,
};
use http::HeaderValue;
use token_refresh_driver::{Session, Sessions};
use token_refresh_performance::{session, sessions};

#[library_benchmark]
#[bench::header(session(900))]
fn token(session: Session) -> (HeaderValue, Session) {
    let token = black_box(&session).token().expect("a fresh token");
    (token.into(), session)
}

#[library_benchmark]
#[bench::header(session(900))]
fn accept(session: Session) -> Session {
    let id = session.current().expect("a token").id();
    black_box(&session).accept(id);
    session
}

const KEYS: u64 = 1_000;

#[library_benchmark]
#[bench::one_of_1_000(sessions(KEYS))]
fn sessions_lookup(sessions: Sessions<u64>) -> (Session, Sessions<u64>) {
    (sessions.get(black_box(&(KEYS / 2))).expect("a session"), sessions)
}

fn map() -> HashMap<u64, Session> {
    let session = session(16);
    (0..KEYS).map(|key| (key, session.clone())).collect()
}

// What a lookup costs at least.
#[library_benchmark]
#[bench::one_of_1_000(map())]
fn map_lookup(map: HashMap<u64, Session>) -> (Option<Session>, HashMap<u64, Session>) {
    (map.get(black_box(&(KEYS / 2))).cloned(), map)
}

library_benchmark_group!(
    name = request;
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::with_args(["--cache-sim=no"]).hard_limits([(EventKind::Ir, 330)]))
        .tool(Dhat::default().hard_limits([(DhatMetric::TotalBlocks, 0)]));
    benchmarks = token, accept
);

library_benchmark_group!(
    name = lookup;
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::with_args(["--cache-sim=no"]).hard_limits([(EventKind::Ir, 450)]))
        .tool(Dhat::default().hard_limits([(DhatMetric::TotalBlocks, 0)]));
    benchmarks = sessions_lookup, map_lookup
);

main!(library_benchmark_groups = request, lookup);
