//! Instructions and allocations of a request with a good token. Valgrind hides the clocks that the kernel answers
//! without a call, so each reading is a system call here, which counts as one instruction.

use std::hint::black_box;

use gungraun::{
    Callgrind, Dhat, DhatMetric, EventKind, LibraryBenchmarkConfig, library_benchmark,
    library_benchmark_group, main,
};
use http::HeaderValue;
use token_refresh_driver::Session;
use token_refresh_performance::session;

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

library_benchmark_group!(
    name = request;
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::with_args(["--cache-sim=no"]).hard_limits([(EventKind::Ir, 340)]))
        .tool(Dhat::default().hard_limits([(DhatMetric::TotalBlocks, 0)]));
    benchmarks = token, accept
);

main!(library_benchmark_groups = request);
