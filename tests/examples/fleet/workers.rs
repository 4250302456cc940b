//! The worker processes, seen from the parent.

use std::{
    env,
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{evidence::Evidence, options::Errand, report::Report};

/// All workers that live. Dropping it kills them.
pub(crate) struct Workers {
    arguments: Vec<OsString>,
    evidence: Arc<Evidence>,
    alive: Vec<Worker>,
}

struct Worker {
    process: Child,
    stopped: bool,
}

impl Workers {
    /// How long a worker may take to end when it is told to.
    const LAST_WORDS: Duration = Duration::from_secs(25);

    pub(crate) fn new(errand: &Errand, evidence: Arc<Evidence>) -> Self {
        Self { arguments: arguments(errand, "worker"), evidence, alive: Vec::new() }
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.alive.iter().map(|worker| worker.process.id()).collect()
    }

    pub(crate) fn is_alive(&self, pid: u32) -> bool {
        self.alive.iter().any(|worker| worker.process.id() == pid)
    }

    pub(crate) fn is_stopped(&self, pid: u32) -> bool {
        self.alive.iter().any(|worker| worker.process.id() == pid && worker.stopped)
    }

    pub(crate) fn spawn(&mut self) -> io::Result<()> {
        let mut process = Command::new(env::current_exe()?)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(lines) = process.stdout.take() {
            listen(process.id(), lines, Arc::clone(&self.evidence));
        }
        self.alive.push(Worker { process, stopped: false });
        Ok(())
    }

    pub(crate) fn kill(&mut self, pid: u32) -> io::Result<()> {
        let Some(index) = self.alive.iter().position(|worker| worker.process.id() == pid) else {
            return Ok(());
        };
        let mut worker = self.alive.swap_remove(index);
        worker.process.kill()?;
        self.evidence.killed(pid);
        worker.process.wait().map(drop)
    }

    pub(crate) fn stop(&mut self, pid: u32) -> io::Result<()> {
        for worker in self.alive.iter_mut().filter(|worker| worker.process.id() == pid && !worker.stopped) {
            self.evidence.stopped(pid);
            kill_process(Pid::from_child(&worker.process), Signal::STOP)?;
            worker.stopped = true;
        }
        Ok(())
    }

    /// Lets it run again, if it is stopped and still there.
    pub(crate) fn resume(&mut self, pid: u32) -> io::Result<()> {
        for worker in self.alive.iter_mut().filter(|worker| worker.process.id() == pid && worker.stopped) {
            kill_process(Pid::from_child(&worker.process), Signal::CONT)?;
            worker.stopped = false;
            self.evidence.continued(pid);
        }
        Ok(())
    }

    /// Whoever the parent has not killed must live.
    pub(crate) fn check(&mut self) {
        let evidence = &self.evidence;
        self.alive.retain_mut(|worker| match worker.process.try_wait() {
            Ok(Some(status)) => {
                evidence.violation(format!("worker {} died by itself: {status}", worker.process.id()));
                false
            }
            Ok(None) | Err(_) => true,
        });
    }

    /// Tells all to end, and waits for it.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        for pid in self.pids() {
            self.resume(pid)?;
        }
        for worker in &mut self.alive {
            if let Some(mut stdin) = worker.process.stdin.take() {
                // One that has died in this moment is seen below.
                let _ = stdin.write_all(b"end\n");
            }
        }
        let deadline = Instant::now() + Self::LAST_WORDS;
        for mut worker in self.alive.drain(..) {
            let pid = worker.process.id();
            match wait_until(&mut worker.process, deadline)? {
                Some(status) if status.success() => {}
                Some(status) => self.evidence.violation(format!("worker {pid} ended badly: {status}")),
                None => {
                    self.evidence.violation(format!("worker {pid} hangs"));
                    worker.process.kill()?;
                    worker.process.wait()?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.alive {
            let _ = worker.process.kill();
            let _ = worker.process.wait();
        }
    }
}

/// Starts a process that signs in with these tokens.
pub(crate) fn start_sign_in(errand: &Errand, access: &str, refresh: &str) -> io::Result<Child> {
    let mut process =
        Command::new(env::current_exe()?).args(arguments(errand, "sign-in")).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = process.stdin.take() {
        writeln!(stdin, "{access} {refresh}")?;
    }
    Ok(process)
}

/// `None`: it still runs then.
pub(crate) fn wait_until(
    process: &mut Child,
    deadline: Instant,
) -> io::Result<Option<std::process::ExitStatus>> {
    loop {
        let status = process.try_wait()?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// What the parent was told, and what only workers are told.
fn arguments(errand: &Errand, role: &str) -> Vec<OsString> {
    errand.arguments(role).into_iter().chain(env::args_os().skip(1)).collect()
}

/// Reads what a worker reports until it is gone.
fn listen(pid: u32, lines: ChildStdout, evidence: Arc<Evidence>) {
    thread::spawn(move || {
        for line in BufReader::new(lines).lines().map_while(Result::ok) {
            match line.parse::<Report>() {
                Ok(report) => evidence.reported(pid, report),
                Err(error) => evidence.violation(format!("worker {pid}: {error}")),
            }
        }
    });
}
