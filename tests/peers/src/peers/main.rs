//! A good token as a header on a request, and ten thousand who wait for one refresh: this library, others, and what
//! people write by hand, in one table.
//! `RUST_BACKTRACE=0 cargo run --release --manifest-path tests/peers/Cargo.toml`
#![allow(clippy::print_stdout, reason = "a program whose result is what it prints")]

mod by_hand;
mod clouds;
mod oauth;
mod ours;
mod peer;

use std::{
    env,
    future::poll_fn,
    pin::pin,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::unbounded_channel,
    task::coop::unconstrained,
};

use crate::peer::{Peer, ReadyMade, Source};

const ROUNDS: usize = 15;
const CALLS: u32 = 20_000;
const HERDS: usize = 7;
const WAITERS: usize = 10_000;

fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("the first");
    let rows = [
        row::<Arc<ReadyMade>>(),
        row::<ours::Blocking>(),
        row::<ours::Async>(),
        row::<by_hand::DoubleCheck>(),
        row::<by_hand::NothingButMiddleware>(),
        row::<by_hand::InMiddleware>(),
        row::<clouds::Google>(),
        row::<clouds::Azure>(),
        row::<clouds::Aws>(),
        row::<oauth::Yup>(),
        row::<oauth::Huskarl>(),
    ];
    let mut arguments = env::args().skip(1);
    if let (Some(name), Some(calls)) = (arguments.next(), arguments.next()) {
        // For callgrind.
        let row = rows.iter().find(|row| row.name == name).expect("the name of a row");
        (row.prepare)()(calls.parse().expect("a number"));
        return;
    }

    let peers: Vec<_> = rows.iter().map(|row| (row.prepare)()).collect();
    let mut times = vec![Vec::new(); rows.len()];
    let mut again = Vec::new();
    for _ in 0..ROUNDS {
        for (peer, times) in peers.iter().zip(&mut times) {
            times.push(nanoseconds(peer(CALLS)));
        }
        again.push(nanoseconds(peers[0](CALLS)));
    }
    let times: Vec<_> = times.into_iter().map(median).collect();

    let herds = [1, 2].map(|threads| {
        let mut times = vec![Vec::new(); rows.len()];
        for _ in 0..HERDS {
            for (row, times) in rows.iter().zip(&mut times).filter(|(row, _)| row.no_herd.is_empty()) {
                times.push((row.herd)(threads).as_secs_f64() * 1e3);
            }
        }
        times.into_iter().map(median).collect::<Vec<_>>()
    });

    println!(
        "| per call | ns | ratio | instructions | allocations | herd, 1 thread, ms | ratio | 2 threads, ms | ratio |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (index, row) in rows.iter().enumerate() {
        let allocations = allocation_counter::measure(|| {
            peers[index](1_000);
        })
        .count_total
            / 1_000;
        print!("| {} | {:.1} | {:.1} |", row.name, times[index], times[index] / times[0]);
        print!(" {} | {allocations} |", instructions(row.name).map_or("-".into(), |count| count.to_string()));
        match row.no_herd {
            "" => {
                for herd in &herds {
                    print!(" {:.2} | {:.1} |", herd[index], herd[index] / herd[0]);
                }
                println!();
            }
            reason => println!(" {reason} | | | |"),
        }
    }
    println!("\nThe first row, measured twice: {:.1} and {:.1} ns.", times[0], median(again));
}

struct Row {
    name: &'static str,
    no_herd: &'static str,
    prepare: fn() -> Box<dyn Fn(u32) -> Duration>,
    herd: fn(usize) -> Duration,
}

fn row<P: Peer>() -> Row {
    Row { name: P::NAME, no_herd: P::NO_HERD, prepare: prepare::<P>, herd: herd::<P> }
}

/// With a token that is good.
fn prepare<P: Peer>() -> Box<dyn Fn(u32) -> Duration> {
    let runtime = runtime(1);
    let source = Source::closed();
    source.open();
    let peer = runtime.block_on(async {
        let peer = P::new(source).await;
        for _ in 0..10 {
            peer.authorize(&mut peer.request()).await;
        }
        peer
    });
    Box::new(move |calls| {
        runtime.block_on(unconstrained(async {
            let mut request = peer.request();
            let begin = Instant::now();
            for _ in 0..calls {
                peer.authorize(&mut request).await;
            }
            begin.elapsed()
        }))
    })
}

/// From the answer of the token endpoint until the last one has a header.
fn herd<P: Peer>(threads: usize) -> Duration {
    let runtime = runtime(threads);
    let source = Source::closed();
    let peer = Arc::new(runtime.block_on(P::new(Arc::clone(&source))));
    let (waiting, served) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (done, mut all_done) = unbounded_channel();
    for _ in 0..WAITERS {
        let (peer, waiting, served, done) =
            (Arc::clone(&peer), waiting.clone(), served.clone(), done.clone());
        runtime.spawn(async move {
            let mut request = peer.request();
            let (mut call, mut joined) = (pin!(peer.authorize(&mut request)), false);
            poll_fn(|context| {
                let state = call.as_mut().poll(context);
                if state.is_pending() && !std::mem::replace(&mut joined, true) {
                    waiting.fetch_add(1, Ordering::SeqCst);
                }
                if state.is_ready() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            if served.fetch_add(1, Ordering::SeqCst) + 1 == WAITERS {
                done.send(()).expect("somebody listens");
            }
        });
    }
    while waiting.load(Ordering::SeqCst) < WAITERS || !source.is_asked() {
        runtime.block_on(tokio::task::yield_now());
        thread::yield_now();
    }
    let begin = Instant::now();
    source.open();
    runtime.block_on(all_done.recv());
    begin.elapsed()
}

fn runtime(threads: usize) -> Runtime {
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(threads).enable_all().build().expect("a runtime")
}

/// Of one call, by callgrind, if it is there: the difference between two runs of this program.
fn instructions(name: &str) -> Option<u64> {
    let run = |calls: u64| {
        let program = env::current_exe().ok()?;
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
        let output = valgrind.arg(name).arg(calls.to_string()).output().ok()?;
        let text = String::from_utf8(output.stderr).ok()?;
        let (_, count) = text.split_once("Collected : ")?;
        count.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (few, many) = (run(500)?, run(2_500)?);
    Some(many.saturating_sub(few) / 2_000)
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
