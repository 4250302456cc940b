//! `list` and `--list`: what is tested.

use std::io::{Write as _, stdout};

use token_refresh_conformance::certify::Plan;
use token_refresh_conformance::client::Scenario;
use token_refresh_conformance::judge::{level, statement};

use super::options::{Command, Options};
use super::{client, machine};

/// Fails if one of the ids of `--only` stands for nothing: a misspelt id would test less than was meant.
pub(crate) fn know(options: &Options) -> Result<(), String> {
    let known = |id: &String| {
        let rules = Plan::default().only(vec![id.clone()]).rules().count();
        let scenarios = client::scenarios(std::slice::from_ref(id)).len();
        !id.is_empty()
            && (options.command != Command::Client && rules > 0
                || options.command != Command::Machine && scenarios > 0)
    };
    options.only.iter().find(|id| !known(id)).map_or(Ok(()), |id| {
        Err(format!("--only {id:?} is the beginning of no id that is tested; --list shows them"))
    })
}

/// Prints what is tested, or what is of it with the subcommand.
pub(crate) fn print(options: &Options) {
    if options.command != Command::Client {
        print_rules(options);
    }
    if options.command != Command::Machine {
        print_scenarios(options);
    }
}

/// Prints what a state machine is judged by, one rule a line.
fn print_rules(options: &Options) {
    let line = |rule| format!("{rule:<16} {:<6} {}\n", level(rule).to_string(), statement(rule));
    let lines: String = machine::plan(options).rules().map(line).collect();
    // Whoever stops reading has seen enough.
    let _ = stdout().write_all(lines.as_bytes());
}

/// Prints the scenarios for an HTTP client, one a line.
fn print_scenarios(options: &Options) {
    let line = |scenario: &Scenario| {
        format!("{:<36} {:<6} {}\n", scenario.id, scenario.level().to_string(), scenario.says)
    };
    let lines: String = client::scenarios(&options.only).iter().map(line).collect();
    let _ = stdout().write_all(lines.as_bytes());
}
