//! `token-refresh status`

use std::io::Write as _;

use clap::{
    Args,
    builder::styling::{AnsiColor, Style},
};
use token_refresh_hyper::driver::{Clock as _, Store as _, SystemClock};

use crate::{account::Credentials, facts::Facts, problem::Problem};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NAME: Style = Style::new().dimmed();

/// Say what the credentials file says, without its secrets
///
/// The state, how many generations of tokens there were since the sign-in, when the access token ends, and who holds
/// the claim on the refresh token. Nothing is sent and nothing is changed. A token that the file takes for good may
/// have been revoked by the server all the same.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 there is a token or one can be had; 3 sign in again; 1 the file cannot be read."
)]
pub(crate) struct Options {
    #[command(flatten)]
    credentials: Credentials,
    /// For programs: one line of JSON. Its member state is good, due, refreshing, vacant, needs_sign_in, signed_out or
    /// no_record
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(crate) fn run(self) -> Result<(), Problem> {
        // What is wrong with it is said when it is opened.
        let unreadable = |_| Problem::new(format!("{}: cannot be read", self.credentials.path.display()));
        let facts = Facts::from(self.credentials.open()?.load().map_err(unreadable)?);
        let now = SystemClock::new().now();
        let state = facts.state(now);
        let mut stdout = anstream::stdout().lock();
        if self.json {
            writeln!(stdout, "{}", facts.json(now))?;
        } else {
            let style = if state.needs_sign_in() { BAD } else { GOOD };
            writeln!(stdout, "{style}{}{style:#}", state.sentence())?;
            for (name, value) in facts.rows(now) {
                writeln!(stdout, "  {NAME}{name:<14}{NAME:#} {value}")?;
            }
        }
        if state.needs_sign_in() { Err(Problem::needs_sign_in(state.sentence())) } else { Ok(()) }
    }
}
