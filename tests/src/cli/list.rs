//! `list`: what is tested.

use std::io::{Write as _, stdout};

use token_refresh_conformance::judge::{level, statement};

use super::machine;
use super::options::Options;

/// Prints what a state machine is judged by, one rule a line.
pub(crate) fn machine(options: &Options) {
    let line = |rule| format!("{rule:<16} {:<6} {}\n", level(rule).to_string(), statement(rule));
    let lines: String = machine::plan(options).rules().map(line).collect();
    // Whoever stops reading has seen enough.
    let _ = stdout().write_all(lines.as_bytes());
}
