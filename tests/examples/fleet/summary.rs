//! What people read.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
};

use token_refresh_driver::Stored;

use crate::{
    chaos::Chaos,
    evidence::Evidence,
    judge::{Again, Loss, seconds},
    options::Options,
};

/// All that is known at the end.
pub(crate) struct Summary<'a> {
    pub(crate) options: &'a Options,
    pub(crate) evidence: &'a Evidence,
    pub(crate) chaos: &'a Chaos,
    pub(crate) granted: usize,
    pub(crate) again: &'a [Again],
    pub(crate) losses: &'a [Loss],
    pub(crate) record: &'a Stored,
}

/// The counters so far, over themselves; nothing unless somebody looks.
pub(crate) fn live(evidence: &Evidence, chaos: &Chaos, exchanges: usize, sessions: usize) {
    let mut terminal = io::stderr();
    if terminal.is_terminal() {
        let (now, known) = (evidence.now().as_secs_f64(), evidence.known());
        let failed: u64 = known.failed.values().sum();
        let _ = write!(
            terminal,
            "\r{now:6.1} s  {} answered, {failed} failed, {exchanges} exchanges, {} kills, {} stops, {sessions} sessions ",
            known.served, chaos.kills, chaos.stops
        );
    }
}

impl Summary<'_> {
    /// Prints it. `true`: nothing happened that must not.
    pub(crate) fn print(&self) -> bool {
        if io::stderr().is_terminal() {
            eprintln!();
        }
        let Self { options, evidence, chaos, granted, again, losses, record } = self;
        let mut known = evidence.known().clone();
        let failed: u64 = known.failed.values().sum();
        println!("requests              {} answered, {failed} failed", known.served);
        for (cause, count) in by_cause(&known.failed) {
            println!("                      {count:6}  {cause}");
        }
        println!("exchanges granted     {granted}");
        println!("claims taken over     {}", known.taken_over);
        println!("blows                 {} kills, {} stops", chaos.kills, chaos.stops);
        println!("presented again       {}", again.len());
        for one in *again {
            print_again(one, &mut known.violations);
        }
        let revoked = losses.iter().filter(|loss| loss.revoked).count();
        println!("families revoked      {revoked}");
        println!("sessions lost         {}", losses.len());
        for loss in *losses {
            let what = if loss.revoked { "revoked" } else { "uncertain" };
            match &loss.reason {
                Some(reason) => println!("                      session {} {what}: {reason}", loss.family),
                None => {
                    known.violations.push(format!("session {} was lost ({what}) without cause", loss.family));
                }
            }
        }
        println!("record                version {}", record.version.0);
        if !options.chaos && losses.is_empty() && failed > 0 {
            known.violations.push("requests failed although nobody disturbed".into());
        }
        if known.served == 0 {
            known.violations.push("no request was ever answered".into());
        }
        println!("violations            {}", known.violations.len());
        for violation in &known.violations {
            println!("  VIOLATION  {violation}");
        }
        known.violations.is_empty()
    }
}

fn by_cause(failed: &BTreeMap<String, u64>) -> Vec<(&String, &u64)> {
    let mut causes: Vec<_> = failed.iter().collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    causes
}

fn print_again(again: &Again, violations: &mut Vec<String>) {
    let mut presentations = again.presentations.iter();
    let Some(first) = presentations.next() else { return };
    println!(
        "                      {}  {} by worker {} ({})",
        first.token,
        seconds(first.at),
        first.pid,
        first.verdict
    );
    for (one, reason) in presentations.zip(&again.reasons) {
        let why = reason.as_deref().unwrap_or("without cause");
        println!(
            "                              {} by worker {} ({}): {why}",
            seconds(one.at),
            one.pid,
            one.verdict
        );
        if reason.is_none() {
            violations.push(format!("{} was presented again by worker {} without cause", one.token, one.pid));
        }
    }
}
