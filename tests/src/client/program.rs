//! A program under test, while it runs.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Read, Write as _},
    process::{Child, ChildStdin, Command as Process, Stdio},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::protocol::{
    Command, FirstOfKit, FirstOfProgram, Hello, MAX_LINE, Outcome, Settings, VERSION, What,
};

/// How long a program may take to say hello: some have an interpreter to start, on a machine that is busy.
const START: Duration = Duration::from_secs(20);
/// How long it may take to end when nothing more is said to it. Then it is ended.
const LEAVE: Duration = Duration::from_secs(3);
/// How much of its standard error is kept, in bytes.
const MAX_ERRORS: u64 = 256 * 1024;
/// How often to look whether a process has ended.
const LOOK: Duration = Duration::from_millis(5);

/// A running program. Dropping it kills it.
pub(super) struct Program {
    child: Mutex<Child>,
    input: Mutex<Option<ChildStdin>>,
    heard: Arc<Heard>,
    last_id: AtomicU64,
}

#[derive(Default)]
struct Heard {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    hello: Option<Hello>,
    outcomes: BTreeMap<u64, Outcome>,
    /// Why nothing more can be heard.
    end: Option<String>,
    errors: Vec<u8>,
    /// Nothing more comes from its standard error.
    errors_end: bool,
}

impl Program {
    /// Starts it and hears what it is able to do. Fails with what is wrong with it.
    pub(super) fn start(command: &[OsString]) -> Result<(Self, Hello), String> {
        let (name, arguments) = command.split_first().ok_or("there is no program to test")?;
        let mut child = Process::new(name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", name.display()))?;
        let heard = Arc::new(Heard::default());
        let input = Mutex::new(child.stdin.take());
        if let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) {
            let hearing = Arc::clone(&heard);
            thread::spawn(move || hearing.listen(BufReader::new(output)));
            let hearing = Arc::clone(&heard);
            thread::spawn(move || hearing.keep_errors(errors));
        }
        let program = Self { child: Mutex::new(child), input, heard, last_id: AtomicU64::new(0) };
        let hello = program
            .heard
            .wait(START, |state| state.hello.clone())
            .and_then(|hello| hello.ok_or_else(|| format!("says nothing within {} s", START.as_secs())))
            .map_err(|what| program.unmet(&what))?;
        if hello.version != VERSION {
            return Err(format!("speaks version {} of the protocol, not {VERSION}", hello.version));
        }
        Ok((program, hello))
    }

    /// Why there was no hello, with what the program itself says about it.
    fn unmet(&self, what: &str) -> String {
        self.kill();
        let open = |state: &mut State| !state.errors_end;
        drop(self.heard.changed.wait_timeout_while(lock(&self.heard.state), LEAVE, open));
        let errors = self.errors();
        let first = "its first line has to be a hello, as tests/PROTOCOL.md says";
        match errors.trim() {
            "" => format!("{what}; {first}"),
            errors => format!("{what}; {first}. Its standard error:\n{errors}"),
        }
    }

    pub(super) fn settings(&self, settings: &Settings) -> Result<(), String> {
        self.say(&FirstOfKit { settings: settings.clone() })
    }

    /// Tells it to do something; the id is for [`outcome`](Self::outcome).
    pub(super) fn tell(&self, what: What) -> Result<u64, String> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        self.say(&Command { id, what })?;
        Ok(id)
    }

    /// Waits for what became of a command. `None`: nothing, in all that time.
    pub(super) fn outcome(&self, id: u64, limit: Duration) -> Result<Option<Outcome>, String> {
        self.heard.wait(limit, |state| state.outcomes.get(&id).cloned())
    }

    /// How many commands have an outcome.
    pub(super) fn outcomes(&self) -> usize {
        lock(&self.heard.state).outcomes.len()
    }

    /// Says that nothing more will come, and lets it end. One that does not is killed.
    pub(super) fn leave(&self) {
        drop(lock(&self.input).take());
        let deadline = Instant::now() + LEAVE;
        while Instant::now() < deadline {
            if !matches!(lock(&self.child).try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK);
        }
        self.kill();
    }

    /// Ends it as a crash would.
    pub(super) fn kill(&self) {
        let mut child = lock(&self.child);
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Stops its clock and its threads, or lets them go on.
    #[cfg(unix)]
    pub(super) fn pause(&self, paused: bool) -> io::Result<()> {
        use rustix::process::{Pid, Signal, kill_process};

        let signal = if paused { Signal::STOP } else { Signal::CONT };
        Ok(kill_process(Pid::from_child(&lock(&self.child)), signal)?)
    }

    /// What it has written to its standard error.
    pub(super) fn errors(&self) -> String {
        String::from_utf8_lossy(&lock(&self.heard.state).errors).into_owned()
    }

    fn say(&self, message: &impl Serialize) -> Result<(), String> {
        let mut line = serde_json::to_string(message).map_err(|error| error.to_string())?;
        line.push('\n');
        let written = match &mut *lock(&self.input) {
            Some(input) => input.write_all(line.as_bytes()).and_then(|()| input.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        // Why it has gone is known better by those who hear.
        written.map_err(|_| self.heard.why().unwrap_or_else(|| "reads no commands".to_owned()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Heard {
    fn listen(&self, mut output: impl io::BufRead) {
        let end = loop {
            let mut line = Vec::new();
            match (&mut output).take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => break "has ended".to_owned(),
                Ok(_) if line.ends_with(b"\n") => {}
                Ok(_) => break "has ended, or says a line that is too long".to_owned(),
                Err(error) => break format!("cannot be heard: {error}"),
            }
            if let Err(what) = self.note(&line) {
                let shown: String = String::from_utf8_lossy(&line).trim_end().chars().take(200).collect();
                break format!("says what is not in the protocol ({what}): {shown}");
            }
        };
        lock(&self.state).end = Some(end);
        self.changed.notify_all();
    }

    fn note(&self, line: &[u8]) -> Result<(), String> {
        let mut state = lock(&self.state);
        if state.hello.is_none() {
            let first: FirstOfProgram = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            state.hello = Some(first.hello);
        } else {
            let outcome: Outcome = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            if state.outcomes.insert(outcome.id, outcome).is_some() {
                return Err("a second outcome of one command".to_owned());
            }
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    fn keep_errors(&self, from: impl Read) {
        let mut from = BufReader::new(from);
        let mut kept = 0;
        let mut line = Vec::new();
        // What is too much is read and dropped, so that the program is not held up.
        while matches!((&mut from).take(MAX_ERRORS).read_until(b'\n', &mut line), Ok(read) if read > 0) {
            kept += line.len() as u64;
            if kept <= MAX_ERRORS {
                lock(&self.state).errors.append(&mut line);
            }
            line.clear();
        }
        lock(&self.state).errors_end = true;
        self.changed.notify_all();
    }

    /// Waits until `wanted` is there. `None`: it did not come. Fails if it cannot come any more.
    fn wait<T>(&self, limit: Duration, wanted: impl Fn(&State) -> Option<T>) -> Result<Option<T>, String> {
        let open = |state: &mut State| wanted(state).is_none() && state.end.is_none();
        let result = self.changed.wait_timeout_while(lock(&self.state), limit, open);
        let state = result.unwrap_or_else(PoisonError::into_inner).0;
        match (wanted(&state), &state.end) {
            (Some(found), _) => Ok(Some(found)),
            (None, Some(end)) => Err(end.clone()),
            (None, None) => Ok(None),
        }
    }

    fn why(&self) -> Option<String> {
        // The end of its output may be heard a moment after the end of its input.
        let waited = self.changed.wait_timeout_while(lock(&self.state), LEAVE, |state| state.end.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.end.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
