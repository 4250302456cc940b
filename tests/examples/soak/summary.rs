//! What is counted, and what people read.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use crate::{callers::Outcome, judge::Judge, stalls::Stalls};

/// How many violations are shown.
const SHOWN: usize = 20;

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) exchanges: u64,
    pub(crate) granted: u64,
    /// Refresh tokens that were presented twice.
    pub(crate) again: u64,
    pub(crate) losses: u64,
    /// What would have been a violation, had the machine not stood still.
    pub(crate) excused: u64,
    /// Whoever called in this time had to be served.
    pub(crate) served_all: Option<(Instant, Instant)>,
    served: u64,
    given_up: u64,
    failed: BTreeMap<String, u64>,
    /// From a refusal to the next attempt, in microseconds.
    waits: Vec<u32>,
    violations: Vec<String>,
}

impl Tally {
    pub(crate) fn called(&mut self, outcome: &Outcome, begin: Instant) {
        let why = match outcome {
            Outcome::Served => return self.served += 1,
            Outcome::GivenUp => return self.given_up += 1,
            Outcome::NoToken(why) | Outcome::Failed(why) => why,
            Outcome::Hangs => "hangs",
        };
        *self.failed.entry(why.into()).or_default() += 1;
        if self.served_all.is_some_and(|(from, to)| (from..to).contains(&begin)) {
            self.violation(format!("a caller is not served, though nothing disturbs: {why}"));
        }
    }

    pub(crate) fn waited(&mut self, span: Duration) {
        self.waits.push(u32::try_from(span.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    fn add(&mut self, other: &Self) {
        self.exchanges += other.exchanges;
        self.granted += other.granted;
        self.again += other.again;
        self.losses += other.losses;
        self.excused += other.excused;
        self.served += other.served;
        self.given_up += other.given_up;
        for (why, count) in &other.failed {
            *self.failed.entry(why.clone()).or_default() += count;
        }
        self.waits.extend(&other.waits);
        self.violations.extend(other.violations.iter().cloned());
    }

    fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    fn requests(&self) -> u64 {
        self.served + self.given_up + self.failures()
    }

    /// The wait that so many percent of the callers did not exceed, in milliseconds.
    fn wait(&self, percent: usize) -> f64 {
        let place = self.waits.len().saturating_sub(1) * percent / 100;
        self.waits.get(place).map_or(f64::NAN, |wait| f64::from(*wait) / 1000.0)
    }
}

/// The counters so far, over themselves; nothing unless somebody looks.
pub(crate) fn live<'a>(since: Instant, tallies: impl Iterator<Item = &'a Tally>) {
    let mut terminal = io::stderr();
    if !terminal.is_terminal() {
        return;
    }
    let (mut requests, mut failures, mut granted, mut violations) = (0, 0, 0, 0);
    for tally in tallies {
        requests += tally.requests();
        failures += tally.failures();
        granted += tally.granted;
        violations += tally.violations.len();
    }
    let _ = write!(
        terminal,
        "\r{:6.0} s  {requests} requests, {failures} failed, {granted} refreshes, {violations} violations ",
        since.elapsed().as_secs_f64()
    );
}

/// Prints everything. `true`: nothing happened that must not.
pub(crate) fn print(lanes: &[(&str, Judge)], left_over: Vec<String>, stalls: &Stalls) -> bool {
    if io::stderr().is_terminal() {
        eprintln!();
    }
    let mut all = Tally::default();
    for (name, judge) in lanes {
        let tally = &judge.tally;
        println!(
            "{name:<12} {:>9} requests, {} served, {} given up, {} failed; {} refreshes, {} sessions lost",
            tally.requests(),
            tally.served,
            tally.given_up,
            tally.failures(),
            tally.granted,
            tally.losses
        );
        all.add(tally);
    }
    all.violations.extend(left_over);
    all.waits.sort_unstable();
    if all.served == 0 || all.granted == 0 {
        all.violation("nobody was served, or nothing was refreshed".into());
    }
    println!("requests     {:>9}", all.requests());
    println!("  served     {:>9}", all.served);
    println!("  given up   {:>9}", all.given_up);
    println!("  failed     {:>9}", all.failures());
    for (why, count) in &all.failed {
        println!("             {count:>9}  {why}");
    }
    println!("refreshes    {:>9}, from {} token requests", all.granted, all.exchanges);
    println!("presented    {:>9} refresh tokens twice, since an answer was lost", all.again);
    println!("lost         {:>9} sessions, since nobody knows what became of the refresh token", all.losses);
    println!(
        "added        {:>9.1} ms at the median of {} requests that were refused and repeated, {:.1} ms at 99 %",
        all.wait(50),
        all.waits.len(),
        all.wait(99)
    );
    println!("stood still  {:>9} times, which excuses {}", stalls.count(), all.excused);
    println!("violations   {:>9}", all.violations.len());
    for violation in all.violations.iter().take(SHOWN) {
        println!("  VIOLATION  {violation}");
    }
    all.violations.is_empty()
}
