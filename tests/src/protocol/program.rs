//! The kit's side: a program under test, its limits, and what becomes of one that does not keep them.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use super::running::{Running, excerpt};
use super::{Request, Response, VERSION, portable};
use crate::profile::Profile;
use crate::stage::{Collapse, Stage};
use crate::subject::Settings;
use crate::vocabulary::{Input, Reply};

/// What a program may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it may take until it has said hello. Interpreters are slow to start.
    pub hello: Duration,
    /// How long it may take to answer anything else.
    pub answer: Duration,
    /// How long a line may be, in bytes.
    pub line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { hello: Duration::from_secs(10), answer: Duration::from_secs(2), line: 1 << 20 }
    }
}

/// Machines in another process. It is started anew after it failed to answer, and ended when this is dropped.
#[derive(Debug)]
pub struct Program {
    command: Vec<OsString>,
    limits: Limits,
    name: String,
    profile: Profile,
    running: Option<Running>,
    last_words: String,
}

/// Why a program cannot be tested.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Nothing was started.
    #[error("{program} cannot be started: {error}. Is it there, and may it be run?")]
    NotStarted {
        /// What was to be started.
        program: String,
        /// Why it was not.
        error: io::Error,
    },
    /// It does not answer to `hello` as it should.
    #[error(
        "{program} does not speak the protocol: it {what}. Its first line has to be an answer to hello: see tests/PROTOCOL.md{last_words}"
    )]
    NoHello {
        /// The program.
        program: String,
        /// What it did instead.
        what: String,
        /// What it wrote to its standard error, with a heading, or nothing.
        last_words: String,
    },
}

impl Program {
    /// Starts a program: its path and its arguments.
    ///
    /// # Errors
    /// If it cannot be started, or does not speak the protocol.
    pub fn start(command: Vec<OsString>, limits: Limits) -> Result<Self, ProgramError> {
        let mut program = Self {
            command,
            limits,
            name: String::new(),
            profile: Profile::default(),
            running: None,
            last_words: String::new(),
        };
        program.connect()?;
        Ok(program)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it knows.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The end of what it wrote to its standard error before it failed to answer for the last time.
    pub fn last_words(&self) -> &str {
        &self.last_words
    }

    /// Starts the program and says hello.
    fn connect(&mut self) -> Result<(), ProgramError> {
        let program =
            self.command.first().map_or_else(String::new, |path| path.to_string_lossy().into_owned());
        match Running::start(&self.command, self.limits.line) {
            Ok(running) => self.running = Some(running),
            Err(error) => return Err(ProgramError::NotStarted { program, error }),
        }
        let what = match self.ask(&Request::Hello { version: VERSION }, self.limits.hello) {
            Ok(Response::Hello { version, .. }) if version != VERSION => {
                format!("speaks version {version}, and this kit speaks version {VERSION}")
            }
            Ok(Response::Hello { profile, .. }) if profile.policies.is_empty() => {
                "knows no policy, and has to know at least one".to_owned()
            }
            Ok(Response::Hello { name, profile, .. }) => {
                self.name = name;
                self.profile = profile;
                return Ok(());
            }
            Ok(other) => unexpected(&other, "hello"),
            Err(what) => what,
        };
        self.end();
        let last_words = match self.last_words.trim() {
            "" => String::new(),
            words => format!("\nIts standard error ends with:\n{words}"),
        };
        Err(ProgramError::NoHello { program, what, last_words })
    }

    /// Asks, and waits for the answer. A program that fails to give one is ended.
    fn ask(&mut self, request: &Request, limit: Duration) -> Result<Response, String> {
        let running = self.running.as_mut().ok_or("it does not run")?;
        let response = running.ask(request, limit);
        if response.is_err() {
            self.end();
        }
        response
    }

    fn end(&mut self) {
        if let Some(running) = self.running.take() {
            self.last_words = running.end();
        }
    }

    fn request(&mut self, request: &Request) -> Result<Response, Collapse> {
        if self.running.is_none() {
            self.connect().map_err(|error| Collapse(error.to_string()))?;
        }
        self.ask(request, self.limits.answer).map_err(|what| Collapse(format!("the program {what}")))
    }

    /// An answer to another question. Whatever it says from now on would be one, so it is ended.
    fn strays(&mut self, response: &Response, wanted: &str) -> Collapse {
        self.end();
        Collapse(format!("the program {}", unexpected(response, wanted)))
    }
}

impl Stage for Program {
    fn start(&mut self, process: u8, settings: &Settings, seed: u64, now: u64) -> Result<(), Collapse> {
        let request = Request::Start { process, now, seed: portable(seed), settings: settings.clone() };
        match self.request(&request)? {
            Response::Started => Ok(()),
            other => Err(self.strays(&other, "started")),
        }
    }

    fn call(&mut self, process: u8, input: &Input, now: u64) -> Result<Reply, Collapse> {
        match self.request(&Request::Call { process, now, input: input.clone() })? {
            Response::Reply(reply) => Ok(reply),
            other => Err(self.strays(&other, "reply")),
        }
    }
}

fn unexpected(response: &Response, wanted: &str) -> String {
    let line = serde_json::to_vec(response).unwrap_or_default();
    format!("answers {}, and not with \"{wanted}\"", excerpt(&line))
}
