//! The side of a machine that is written in Rust.

use std::io::{self, BufRead, Write};

use super::{Request, Response, VERSION};
use crate::profile::Profile;
use crate::stage::{Local, Stage as _};
use crate::subject::Subject;

/// Answers requests until there are no more.
///
/// # Errors
/// If the kit cannot be heard or understood, or a machine panics.
pub fn serve<S: Subject>(
    name: &str,
    profile: &Profile,
    requests: impl BufRead,
    mut responses: impl Write,
) -> io::Result<()> {
    let mut machines = Local::<S>::default();
    for line in requests.lines() {
        let response = match serde_json::from_str(&line?)? {
            Request::Hello { version: _ } => {
                Response::Hello { version: VERSION, name: name.to_owned(), profile: profile.clone() }
            }
            Request::Start { process, now, seed, settings } => {
                machines.start(process, &settings, seed, now).map_err(io::Error::other)?;
                Response::Started
            }
            Request::Call { process, now, input } => {
                Response::Reply(machines.call(process, &input, now).map_err(io::Error::other)?)
            }
        };
        serde_json::to_writer(&mut responses, &response)?;
        writeln!(responses)?;
        responses.flush()?;
    }
    Ok(())
}
