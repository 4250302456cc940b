//! A client under test, and what becomes of the requests that it is told to send.

use std::{collections::BTreeMap, time::Duration};

use super::{
    program::Program,
    protocol::{Cause, Outcome, Request, Tokens, What},
    stage::{Flaw, Played, Stage, broken, check},
    story::Teller,
};
use crate::server::Issued;

/// A running client.
pub(super) struct Client<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) program: Program,
    pub(super) patience: Duration,
}

impl Client<'_> {
    /// Sends a GET request to the API.
    pub(super) fn get(&self, path: &str) -> Result<Sent<'_>, Flaw> {
        self.send(Request::get(self.stage.api.url(path)))
    }

    pub(super) fn send(&self, request: Request) -> Result<Sent<'_>, Flaw> {
        let target = request.url.trim_start_matches("http://").split_once('/').map_or("", |(_, path)| path);
        let path = target.split('?').next().unwrap_or_default();
        let what = format!("{} /{path}", request.method);
        self.stage.tell(Teller::Sends(what.clone()));
        let id = self.program.tell(What::Send(request)).map_err(broken)?;
        Ok(Sent { client: self, id, what })
    }

    pub(super) fn sign_in(&self, tokens: &Issued) -> Played {
        self.sign_in_for(tokens, None)
    }

    /// Signs in with a token that lives so many seconds.
    pub(super) fn sign_in_for(&self, tokens: &Issued, expires_in: Option<u64>) -> Played {
        let token = |token: &String| Some(token.clone()).filter(|token| !token.is_empty());
        let (access_token, refresh_token) = (token(&tokens.access_token), token(&tokens.refresh_token));
        self.does("sign in", What::SignIn(Tokens { access_token, refresh_token, expires_in }))
    }

    pub(super) fn sign_out(&self) -> Played {
        self.does("sign out", What::SignOut {})
    }

    pub(super) fn cancel(&self, sent: &Sent<'_>) -> Played {
        self.does(&format!("cancel {}", sent.what), What::Cancel(sent.id))
    }

    /// Says that nothing more will come, and waits until it has ended.
    pub(super) fn leave(&self) {
        self.program.leave();
        self.stage.note("the program has ended");
    }

    pub(super) fn kill(&self) {
        self.program.kill();
        self.stage.note("the program is killed");
    }

    #[cfg(unix)]
    pub(super) fn pause(&self, paused: bool) -> Played {
        self.stage.note(if paused { "the program is stopped" } else { "the program goes on" });
        self.program.pause(paused).map_err(|error| Flaw::Kit(format!("it cannot be stopped: {error}")))
    }

    /// How many commands have an outcome.
    pub(super) fn outcomes(&self) -> usize {
        self.program.outcomes()
    }

    /// What it wrote to its standard error.
    pub(super) fn errors(&self) -> String {
        self.program.errors()
    }

    fn does(&self, what: &str, command: What) -> Played {
        self.stage.tell(Teller::Sends(what.to_owned()));
        let id = self.program.tell(command).map_err(broken)?;
        self.outcome(id, what).map(drop)
    }

    fn outcome(&self, id: u64, what: &str) -> Result<Outcome, Flaw> {
        let limit = self.patience.min(self.stage.left());
        let outcome = self.program.outcome(id, limit).map_err(broken)?;
        let outcome = outcome.ok_or_else(|| {
            Flaw::Fails(format!("`{what}` has no outcome after {:.0} s: it hangs", limit.as_secs_f64()))
        })?;
        self.stage.tell(Teller::Hears(format!("{what}: {}", shown(&outcome)), outcome.failed.is_some()));
        Ok(outcome)
    }
}

/// A request that is under way.
pub(super) struct Sent<'a> {
    client: &'a Client<'a>,
    id: u64,
    what: String,
}

impl Sent<'_> {
    /// Whatever becomes of it.
    pub(super) fn outcome(&self) -> Result<Outcome, Flaw> {
        self.client.outcome(self.id, &self.what)
    }

    /// The caller gets an answer with this status.
    pub(super) fn answered(&self, status: u16) -> Result<Outcome, Flaw> {
        let outcome = self.outcome()?;
        let right = outcome.failed.is_none() && outcome.status == Some(status);
        check(right, || format!("`{}` was to be answered with {status}: {}", self.what, shown(&outcome)))?;
        Ok(outcome)
    }

    /// The caller is not served, for one of these reasons.
    pub(super) fn failed(&self, causes: &[Cause]) -> Result<Outcome, Flaw> {
        let outcome = self.outcome()?;
        let right = outcome.failed.is_some_and(|cause| causes.contains(&cause));
        check(right, || format!("`{}` was to fail as {}: {}", self.what, names(causes), shown(&outcome)))?;
        Ok(outcome)
    }

    /// The caller is not served, for whatever reason but these.
    pub(super) fn failed_but_not(&self, causes: &[Cause]) -> Result<Outcome, Flaw> {
        let outcome = self.outcome()?;
        let served = outcome.status.is_some_and(|status| status < 400);
        let wrong = served || outcome.failed.is_some_and(|cause| causes.contains(&cause));
        check(!wrong, || format!("`{}` was not to end like this: {}", self.what, shown(&outcome)))?;
        Ok(outcome)
    }
}

impl Request {
    pub(super) fn new(method: &str, url: impl Into<String>) -> Self {
        let (method, url) = (method.to_owned(), url.into());
        Self { method, url, headers: BTreeMap::new(), body: None, stream: None }
    }

    pub(super) fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(super) fn stream(mut self, body: impl Into<String>) -> Self {
        self.stream = Some(body.into());
        self
    }
}

fn names(causes: &[Cause]) -> String {
    let name = |cause: &Cause| serde_json::to_string(cause).unwrap_or_default().replace('"', "");
    causes.iter().map(name).collect::<Vec<_>>().join(" or ")
}

fn shown(outcome: &Outcome) -> String {
    match (outcome.failed, outcome.status) {
        (None, Some(status)) => format!("{status}"),
        (Some(cause), None) => format!("failed, {}", names(&[cause])),
        (Some(cause), Some(status)) => format!("failed, {}, with the {status}", names(&[cause])),
        (None, None) => "done".to_owned(),
    }
}
