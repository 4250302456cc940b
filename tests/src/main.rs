//! The command-line tool of the conformance kit.

mod cli;

use std::process::ExitCode;

use cli::options::{Command, HELP, Options};
use cli::{client, list, machine, summary};

fn main() -> ExitCode {
    match Options::read().map_err(|error| format!("{error}; see --help")).and_then(|options| run(&options)) {
        Ok(code) => code,
        Err(what) => {
            eprintln!("token-refresh-conformance: {what}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, String> {
    match options.command {
        Command::Help => {
            print!("{HELP}");
            return Ok(ExitCode::SUCCESS);
        }
        _ => list::know(options)?,
    }
    if options.list {
        list::print(options);
        return Ok(ExitCode::SUCCESS);
    }
    let report = match options.command {
        Command::Client => client::run(options)?,
        _ => machine::run(options)?,
    };
    Ok(summary::close(options, &report)?.exit_code())
}
