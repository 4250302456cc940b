//! `client`: an HTTP client against servers that misbehave.

use token_refresh_conformance::report::Report;

use super::options::Options;

/// Runs the scenarios against the program.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    Err(format!("the scenarios for {} are not part of this version", options.command_line()))
}
