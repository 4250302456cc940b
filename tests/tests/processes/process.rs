//! A child process, seen from the test.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{self, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{child::SETTINGS, world::PATIENCE};

/// Killed when the test is over.
pub(crate) struct Process {
    child: process::Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    /// What it has said and nobody has asked for yet.
    unheard: Vec<String>,
    demands: u32,
}

/// An answer to come.
#[derive(Clone, Copy)]
pub(crate) struct Demand(u32);

impl Process {
    pub(crate) fn start(settings: &Value) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["child", "--exact", "--ignored", "--nocapture", "--quiet"])
            .env(SETTINGS, settings.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (said, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let ours = line.strip_prefix('@').map(str::to_owned);
                if ours.is_some_and(|line| said.send(line).is_err()) {
                    return;
                }
            }
        });
        let mut process = Self { child, stdin, lines, unheard: Vec::new(), demands: 0 };
        process.hear("ready");
        process
    }

    /// Tells it to do something. Also when it is stopped.
    pub(crate) fn tell(&mut self, what: &str) {
        writeln!(self.stdin, "{what}").unwrap();
    }

    /// Waits until it has said something that begins so; the rest of that.
    pub(crate) fn hear(&mut self, wanted: &str) -> String {
        loop {
            if let Some(index) = self.unheard.iter().position(|line| line.starts_with(wanted)) {
                return self.unheard.remove(index)[wanted.len()..].trim().to_owned();
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.unheard.push(line),
                Err(error) => panic!("it does not say {wanted:?}, but {:?}: {error}", self.unheard),
            }
        }
    }

    /// From now on it stops at this point. If it stands there, it goes on to the next time.
    pub(crate) fn hold(&mut self, point: &str) {
        self.tell(&format!("hold {point}"));
    }

    /// From now on it fails at this point.
    pub(crate) fn fail(&mut self, point: &str) {
        self.tell(&format!("fail {point}"));
    }

    /// It does not stop or fail there any more.
    pub(crate) fn pass(&mut self, point: &str) {
        self.tell(&format!("pass {point}"));
    }

    /// Waits until it has come there.
    pub(crate) fn arrives(&mut self, point: &str) {
        self.hear(&format!("at {point}"));
    }

    /// Begins something that has an answer.
    pub(crate) fn begin(&mut self, what: &str) -> Demand {
        self.demands += 1;
        self.tell(&format!("{what} {}", self.demands));
        Demand(self.demands)
    }

    /// `Ok`: the access token, or what else was asked for. `Err`: the kind of the failure.
    pub(crate) fn answer(&mut self, Demand(number): Demand) -> Result<String, String> {
        let answer = self.hear(&format!("done {number} "));
        let (result, what) = answer.split_once(' ').unwrap();
        if result == "ok" { Ok(what.to_owned()) } else { Err(what.to_owned()) }
    }

    pub(crate) fn ask(&mut self, what: &str) -> Result<String, String> {
        let demand = self.begin(what);
        self.answer(demand)
    }

    pub(crate) fn token(&mut self) -> Result<String, String> {
        self.ask("token")
    }

    /// Its last token was refused: a newer one.
    pub(crate) fn refuse(&mut self) -> Result<String, String> {
        self.ask("refuse")
    }

    /// It owes nothing any more.
    pub(crate) fn settle(&mut self) {
        self.ask("settle").unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP.
    pub(crate) fn stop(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
