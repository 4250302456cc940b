//! Many processes, one rotating refresh token, and somebody who kills them.
//!
//! `cargo run -p token-refresh-conformance --example fleet -- --help`
//!
//! ```text
//!   parent ── authorization server, API, chaos, judge     run.rs, chaos.rs, record.rs, judge.rs, summary.rs
//!     │ signals, standard input and output                workers.rs, report.rs
//!   workers ── one session each                           worker.rs
//!     │
//!   the record, in a file or a database                   place.rs
//! ```

#[cfg(unix)]
mod chaos;
#[cfg(unix)]
mod evidence;
#[cfg(unix)]
mod judge;
#[cfg(unix)]
mod options;
#[cfg(unix)]
#[allow(dead_code, reason = "the tests with processes need more of it")]
mod place;
#[cfg(unix)]
mod record;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod rng;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod summary;
#[cfg(unix)]
mod worker;
#[cfg(unix)]
mod workers;

/// 0: nothing happened that must not. 1: a violation. 2: the run did not take place.
#[cfg(unix)]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    use crate::options::{Options, Role};

    let options = match Options::read() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("fleet: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    let done = match &options.role {
        Role::Help => {
            print!("{}", options::HELP);
            Ok(true)
        }
        Role::Parent => run::run(&options),
        Role::Worker(errand) => worker::work(&options, errand),
        Role::SignIn(errand) => worker::sign_in(&options, errand),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(not(unix))]
fn main() -> std::process::ExitCode {
    eprintln!("fleet: this needs SIGSTOP, which only Unix has");
    std::process::ExitCode::from(2)
}
