//! Scenarios for an HTTP client in another process, in whatever language.
//!
//! A client is wrapped in a small program that speaks JSON lines over its standard input and output ([`protocol`];
//! `PROTOCOL.md` describes it for implementers). Each [`Scenario`] starts an authorization server and an API of its own
//! (see [`server`](crate::server)), starts the program as often as it needs it, lets it send requests, and judges from
//! what the servers saw and from what the callers were told.
//!
//! | to … | use |
//! | --- | --- |
//! | know what is tested | [`scenarios`] |
//! | test a program | [`Subject::meet`], [`run`] |
//! | write such a program in Rust | [`serve`](serve::serve), and [`driver`] on top of this project |
//!
//! Nothing that a program does holds up a run: one that hangs, crashes or talks nonsense has failed the scenario, and
//! every wait is bounded. What a client says it is not able to do is not held against it; the scenarios that need it are
//! not exercised.

mod caller;
pub mod driver;
mod program;
pub mod protocol;
mod scenarios;
pub mod serve;
mod stage;
mod story;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    panic,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

pub use self::scenarios::scenarios;
use self::{
    protocol::Ability,
    stage::{Flaw, Played, Stage},
};
use crate::{
    catalogue::{self, Entry},
    report::{Check, Level, Verdict},
};

const PATIENCE: Duration = Duration::from_secs(5);
/// How many scenarios are played at a time for each processor: they wait most of the time.
const PER_PROCESSOR: usize = 3;

/// A program under test.
#[derive(Clone, Debug)]
pub struct Subject {
    command: Vec<OsString>,
    abilities: BTreeSet<Ability>,
    patience: Duration,
}

/// One situation that a client has to cope with.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name: `core-late-refusal`.
    pub id: &'static str,
    /// What a client does that passes, in a sentence.
    pub says: &'static str,
    /// The requirements that it is about; the first one says how binding it is.
    pub requirements: &'static [&'static str],
    /// What a client has to be able to do for it: all of these.
    pub needs: &'static [Ability],
    play: fn(&mut Stage<'_>) -> Played,
}

impl Subject {
    /// Starts the program once to hear what it is able to do.
    ///
    /// # Errors
    /// It cannot be started, or does not say hello: the text says why.
    pub fn meet(command: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Self, String> {
        let command: Vec<OsString> = command.into_iter().map(Into::into).collect();
        let abilities = stage::abilities(&command).map_err(|what| format!("the program {what}"))?;
        Ok(Self { command, abilities, patience: PATIENCE })
    }

    /// How long after a caller's time limit the program may still say what became of it; after that the client counts
    /// as hanging. Default: 5 s, so that a busy machine fails nobody.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What it says that it is able to do.
    pub fn abilities(&self) -> &BTreeSet<Ability> {
        &self.abilities
    }
}

impl Scenario {
    const fn new(
        id: &'static str,
        says: &'static str,
        requirements: &'static [&'static str],
        play: fn(&mut Stage<'_>) -> Played,
    ) -> Self {
        Self { id, says, requirements, needs: &[], play }
    }

    const fn needs(self, needs: &'static [Ability]) -> Self {
        Self { needs, ..self }
    }

    /// How binding it is: as its first requirement.
    pub fn level(&self) -> Level {
        match self.requirements.first().and_then(|id| catalogue::find(id)) {
            Some(Entry::Requirement(requirement)) => match requirement.level {
                catalogue::Level::Must => Level::Must,
                catalogue::Level::Should => Level::Should,
                catalogue::Level::May => Level::May,
            },
            Some(Entry::Invariant(_)) | None => Level::Must,
        }
    }

    /// Plays it.
    pub fn play(&self, subject: &Subject) -> Check {
        let mut check = Check::new(self.id, self.level());
        self.says.clone_into(&mut check.says);
        check.requirements = self.requirements.iter().map(|id| (*id).to_owned()).collect();
        let missing: Vec<_> = self.needs.iter().filter(|need| !subject.abilities.contains(need)).collect();
        if !missing.is_empty() {
            check.detail = format!("the client is not able to do this: {missing:?}");
            return check;
        }
        let played = Stage::new(subject).and_then(|mut stage| {
            let played = (self.play)(&mut stage);
            if let Err(Flaw::Fails(what) | Flaw::Weak(what)) = &played {
                let (story, seen) = stage.history();
                check.history = Some(story.chart(&seen, Some(what)));
            }
            played
        });
        (check.verdict, check.detail) = match played {
            Ok(()) => (Verdict::Pass, String::new()),
            Err(Flaw::Fails(what)) => (Verdict::Fail, what),
            Err(Flaw::Weak(what)) => (Verdict::Weak, what),
            Err(Flaw::Kit(what)) => (Verdict::NotExercised, what),
        };
        check
    }
}

/// Plays scenarios, several at a time, and tells after each how many are done. The checks are in the order of the
/// scenarios.
pub fn run(subject: &Subject, scenarios: &[Scenario], done: impl Fn(usize, &Check) + Sync) -> Vec<Check> {
    let (next, finished) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((index, scenario)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            scenarios.get(index).map(|scenario| (index, scenario))
        } {
            let check = scenario.play(subject);
            let mut finished = finished.lock().unwrap_or_else(PoisonError::into_inner);
            finished.push((index, check));
            if let Some((_, check)) = finished.last() {
                done(finished.len(), check);
            }
        }
    };
    let workers = PER_PROCESSOR * thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers.min(scenarios.len())).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
        }
    });
    let mut finished = finished.into_inner().unwrap_or_else(PoisonError::into_inner);
    finished.sort_by_key(|(index, _)| *index);
    finished.into_iter().map(|(_, check)| check).collect()
}
