//! `list`: what is tested.

use std::io::{Write as _, stdout};

use token_refresh_conformance::client::Scenario;
use token_refresh_conformance::judge::{level, statement};

use super::options::Options;
use super::{client, machine};

/// Prints what a state machine is judged by, one rule a line.
pub(crate) fn machine(options: &Options) {
    let line = |rule| format!("{rule:<16} {:<6} {}\n", level(rule).to_string(), statement(rule));
    let lines: String = machine::plan(options).rules().map(line).collect();
    // Whoever stops reading has seen enough.
    let _ = stdout().write_all(lines.as_bytes());
}

/// Prints the scenarios for an HTTP client, one a line.
pub(crate) fn client(options: &Options) {
    let line = |scenario: &Scenario| {
        format!("{:<36} {:<6} {}\n", scenario.id, scenario.level().to_string(), scenario.says)
    };
    let lines: String = client::scenarios(options).iter().map(line).collect();
    let _ = stdout().write_all(lines.as_bytes());
}
