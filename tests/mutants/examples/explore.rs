//! Explores small worlds to their end, and prints what each took: `explore WORLD [FAULTS [DEMANDS]]`, where a world is
//! `alone`, `two`, `three` or `identities`, and there is one fault and one demand for each process if nothing is said.
//! `explore hunt [MUTANT]` explores the worlds made for one fault each, without that fault and with it; `explore grounds`
//! those in which the others are looked for, without a fault.

use std::process::ExitCode;

use token_refresh_mutants::explore::{explore, worlds};
use token_refresh_mutants::{MORE, MUTANTS, plant};

/// More states than any world has that is meant to be explored.
const MOST: usize = 20_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|world| world == "hunt") {
        return hunt(arguments.get(1).map(String::as_str));
    }
    let number = |index: usize| arguments.get(index).map_or(1, |number| number.parse().unwrap_or(1));
    let (faults, demands) = (number(1), number(2));
    let settings = match arguments.first().map(String::as_str) {
        Some("alone") => worlds::alone(demands),
        Some("two") => worlds::together(2, demands, faults),
        Some("three") => worlds::together(3, demands, faults),
        Some("identities") => worlds::identities(faults),
        Some("grounds") => worlds::hunting_grounds(),
        _ => panic!(
            "explore alone|two|three|identities [FAULTS [DEMANDS]], explore grounds, explore hunt [MUTANT]"
        ),
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

fn hunt(only: Option<&str>) -> ExitCode {
    let mut fine = true;
    for (id, setting) in worlds::directed().into_iter().filter(|(id, _)| only.is_none_or(|only| only == *id))
    {
        let mutant = MUTANTS.iter().chain(MORE).find(|mutant| mutant.id == id);
        // The world has to hold without the fault, and to break with it.
        for planted in [None, Some(mutant.expect("it is in the table"))] {
            plant(planted);
            let report = explore(&setting, MOST);
            let found = match &report.violation {
                Some((violation, path)) => {
                    format!("{}, {} after {} moves\n  {path:?}", violation.rule, violation.says, path.len())
                }
                None if report.complete => "holds".to_owned(),
                None => "was not explored to its end".to_owned(),
            };
            let what = planted.map_or("without a fault", |mutant| mutant.id);
            println!(
                "{what}: {} states, {:.1} s, {setting}: {found}",
                report.states,
                report.took.as_secs_f32()
            );
            fine &= report.violation.is_some() == planted.is_some();
        }
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
