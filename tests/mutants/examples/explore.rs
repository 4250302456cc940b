//! Explores small worlds to their end, and prints what each took: `explore WORLD [FAULTS [DEMANDS]]`, where a world is
//! `alone`, `two`, `three` or `identities`, and there is one fault and one demand for each process if nothing is said.

use std::process::ExitCode;

use token_refresh_mutants::explore::{explore, worlds};

/// More states than any world has that is meant to be explored.
const MOST: usize = 20_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| arguments.get(index).map_or(1, |number| number.parse().unwrap_or(1));
    let (faults, demands) = (number(1), number(2));
    let settings = match arguments.first().map(String::as_str) {
        Some("alone") => worlds::alone(demands),
        Some("two") => worlds::together(2, demands, faults),
        Some("three") => worlds::together(3, demands, faults),
        Some("identities") => worlds::identities(faults),
        _ => panic!("explore alone|two|three|identities [FAULTS [DEMANDS]]"),
    };
    let mut fine = true;
    let (mut states, mut took) = (0, std::time::Duration::ZERO);
    for setting in settings {
        let report = explore(&setting, MOST);
        println!(
            "{:>9} states {:>9} moves {:>6} ends {:>6.1} s  {setting}",
            report.states,
            report.moves,
            report.ends,
            report.took.as_secs_f32()
        );
        states += report.states;
        took += report.took;
        if let Some((violation, path)) = report.violation {
            println!("  {}: {}\n  {path:?}", violation.rule, violation.says);
            fine = false;
        }
        fine &= report.complete;
    }
    println!("{states} states in {:.1} s", took.as_secs_f32());
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
