//! One line on the standard error that says how far it is; nothing if that is no terminal.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// How wide the bar is.
const WIDTH: u64 = 30;
/// How often it is drawn at most.
const PAUSE: Duration = Duration::from_millis(50);

/// A progress bar. It is gone when it is dropped.
#[derive(Default)]
pub(crate) struct Progress {
    drawn: Option<Instant>,
}

impl Progress {
    /// So many of these are done, of so many.
    pub(crate) fn show(&mut self, done: u64, of: u64, what: &str) {
        let full = done.min(of) * WIDTH / of.max(1);
        let bar = |cell: &str, cells: u64| (0..cells).map(|_| cell).collect::<String>();
        self.say(&format!("{}{} {done}/{of} {what}", bar("█", full), bar("░", WIDTH - full)));
    }

    /// This is being done.
    pub(crate) fn say(&mut self, what: &str) {
        if !stderr().is_terminal() || self.drawn.is_some_and(|drawn| drawn.elapsed() < PAUSE) {
            return;
        }
        self.drawn = Some(Instant::now());
        write(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            write("");
        }
    }
}

fn write(line: &str) {
    // A line that cannot be written is no reason to stop.
    let _ = write!(stderr(), "\r\x1b[K{line}");
    let _ = stderr().flush();
}
