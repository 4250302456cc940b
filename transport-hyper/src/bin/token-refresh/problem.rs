//! What went wrong, what to do about it, and the exit code that says so.

use std::{
    error::Error as StdError, fmt, io::Write as _, iter, path::Path, process::ExitCode, time::SystemTime,
};

use anstream::stderr;
use clap::builder::styling::{AnsiColor, Style};
use token_refresh_hyper::{Cause, driver};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const ADVICE: Style = AnsiColor::Cyan.on_default().bold();

/// Why a command ends without what it was to do.
#[derive(Debug)]
pub(crate) struct Problem {
    what: String,
    advice: Option<String>,
    code: u8,
}

impl Problem {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None, code: 1 }
    }

    /// An error and what is behind it, in one line.
    pub(crate) fn about(what: impl fmt::Display, error: &(dyn StdError + 'static)) -> Self {
        let errors = iter::successors(Some(error), |error| (*error).source());
        let errors: Vec<_> = errors.map(ToString::to_string).collect();
        Self::new(format!("{what}: {}", errors.join(": ")))
    }

    pub(crate) fn at(path: &Path, error: &(dyn StdError + 'static)) -> Self {
        Self::about(path.display(), error)
    }

    /// There is no token.
    pub(crate) fn no_token(reason: driver::Error) -> Self {
        let (code, advice) = match reason.cause() {
            Cause::NeedsSignIn => (3, SIGN_IN.to_owned()),
            Cause::Transient => {
                (4, format!("see whether the token endpoint can be reached, and {}", again(reason)))
            }
            Cause::Misconfigured => {
                (1, "check --token-endpoint, --client-id, and the client's secret or its absence".to_owned())
            }
            Cause::Uncertain => (4, format!("{}; it may turn out that you have to sign in", again(reason))),
            Cause::RefusedAfterRefresh => (
                1,
                "check with the API which audience and scope it wants; it refuses new tokens, too".to_owned(),
            ),
        };
        Self { what: format!("no access token: {reason}"), advice: Some(advice), code }
    }

    /// Somebody has to sign in first.
    pub(crate) fn needs_sign_in(what: impl Into<String>) -> Self {
        Self { code: 3, ..Self::new(what).advise(SIGN_IN) }
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Tells the user, and the shell.
    pub(crate) fn report(self) -> ExitCode {
        let mut stderr = stderr().lock();
        // Who has closed stderr does not want to know.
        let _ = writeln!(stderr, "{ERROR}error{ERROR:#}: {}", self.what);
        if let Some(advice) = self.advice {
            let _ = writeln!(stderr, "{ADVICE}what to do{ADVICE:#}: {advice}");
        }
        ExitCode::from(self.code)
    }
}

const SIGN_IN: &str = "sign in, and hand over the answer of the token endpoint with --sign-in FILE";

fn again(reason: driver::Error) -> String {
    let wait = reason.retry_at().and_then(|instant| instant.duration_since(SystemTime::now()).ok());
    match wait {
        Some(wait) => format!("try again in {} s", wait.as_secs() + 1),
        None => "try again".to_owned(),
    }
}

/// What went wrong.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Of writing to stdout.
impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::about("the output", &error)
    }
}
