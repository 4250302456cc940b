//! The command-line tool of the conformance kit.

mod cli;

use std::process::ExitCode;

use cli::options::{Command, HELP, Options};
use cli::{Verdict, client, list, machine};

fn main() -> ExitCode {
    let outcome = Options::read().map_err(|error| format!("{error}; see --help")).and_then(|options| {
        match options.command {
            Command::Help => {
                print!("{HELP}");
                Ok(Verdict::Passed)
            }
            Command::List => Ok(list::run(&options)),
            Command::Machine if options.list => Ok(list::run(&options)),
            Command::Machine => machine::run(&options),
            Command::Client => client::run(&options),
        }
    });
    match outcome {
        Ok(Verdict::Passed) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::FAILURE,
        Err(what) => {
            eprintln!("token-refresh-conformance: {what}");
            ExitCode::from(2)
        }
    }
}
