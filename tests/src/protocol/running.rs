//! A program that runs: its pipes, and how it ends.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Request, Response};

/// How many lines may lie unread: a program that babbles fills no memory.
const UNREAD: usize = 4;
/// How much of the end of its standard error is kept.
const LAST_WORDS: usize = 4 << 10;
/// How long a program whose output is closed may take to end, so that one can say how it did, and how long its last
/// words may take.
const GRACE: Duration = Duration::from_millis(500);
/// How much of a line is shown.
const EXCERPT: usize = 200;

/// A program that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    requests: ChildStdin,
    lines: Receiver<io::Result<Vec<u8>>>,
    last_words: Receiver<Vec<u8>>,
    longest: usize,
    killed: bool,
}

impl Running {
    /// Starts a program; no line of it may be longer than that.
    pub(super) fn start(command: &[OsString], longest: usize) -> io::Result<Self> {
        let (path, arguments) =
            command.split_first().ok_or_else(|| io::Error::other("no program is named"))?;
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be ended with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let missing = || io::Error::other("it has no pipes");
        let requests = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let errors = child.stderr.take().ok_or_else(missing)?;
        // Both threads end with their pipes.
        let (sender, lines) = sync_channel(UNREAD);
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(line) = next_line(&mut output, longest)
                && sender.send(line).is_ok()
            {}
        });
        let (sender, last_words) = channel();
        thread::spawn(move || sender.send(end_of(errors)));
        Ok(Self { child, requests, lines, last_words, longest, killed: false })
    }

    /// Asks, and waits for the answer. The error says what the program does instead.
    pub(super) fn ask(&mut self, request: &Request, limit: Duration) -> Result<Response, String> {
        if let Ok(Ok(line)) = self.lines.try_recv() {
            return Err(format!("writes a line that nobody asked for: {}", excerpt(&line)));
        }
        let mut line = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        line.push(b'\n');
        // If it does not take the request it has ended, or is about to: the missing answer will say so.
        let _ = self.requests.write_all(&line).and_then(|()| self.requests.flush());
        match self.lines.recv_timeout(limit) {
            Ok(Ok(line)) if line.len() > self.longest => {
                Err(format!("writes a line of more than {} bytes: {}", self.longest, excerpt(&line)))
            }
            Ok(Ok(line)) => read(&line),
            Ok(Err(error)) => Err(format!("has an output that cannot be read: {error}")),
            Err(RecvTimeoutError::Timeout) => Err(format!("gives no answer within {} ms", limit.as_millis())),
            Err(RecvTimeoutError::Disconnected) => Err(match self.status() {
                Some(status) => format!("ends without an answer ({status})"),
                None => "closes its output without an answer".to_owned(),
            }),
        }
    }

    /// How it ended, if it does so soon.
    fn status(&mut self) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < GRACE {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Ends it, and yields the end of what it wrote to its standard error.
    pub(super) fn end(mut self) -> String {
        self.kill();
        let words = self.last_words.recv_timeout(GRACE).unwrap_or_default();
        String::from_utf8_lossy(&words).into_owned()
    }

    fn kill(&mut self) {
        if std::mem::replace(&mut self.killed, true) {
            return;
        }
        #[cfg(unix)]
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // It may be gone already; so says the error.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read(line: &[u8]) -> Result<Response, String> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let response = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        format!("answers {}, which is wrong at {}: {}", excerpt(line), error.path(), error.inner())
    })?;
    json.end()
        .map_err(|error| format!("answers {}, which is more than one value: {error}", excerpt(line)))?;
    Ok(response)
}

/// The next line without its end; of one that is too long, so much that this can be seen. `None`: there is none.
fn next_line(output: &mut impl BufRead, longest: usize) -> Option<io::Result<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = longest as u64 + 2;
    match output.take(limit).read_until(b'\n', &mut line) {
        Ok(0) => None,
        Ok(_) => {
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            Some(Ok(line))
        }
        Err(error) => Some(Err(error)),
    }
}

fn end_of(mut errors: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(length @ 1..) = errors.read(&mut chunk) {
        kept.extend_from_slice(chunk.get(..length).unwrap_or_default());
        let surplus = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..surplus);
    }
    kept
}

/// The beginning of a line, as text that a terminal can show.
pub(super) fn excerpt(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.get(..EXCERPT).unwrap_or(line)).escape_debug().to_string();
    let text = text.replace("\\\"", "\"");
    if line.len() > EXCERPT { format!("{text}…") } else { text }
}
