//! One line on the standard error that says how far it is; nothing if that is no terminal.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// How wide the bar is.
const WIDTH: usize = 30;
/// How often it is drawn at most.
const PAUSE: Duration = Duration::from_millis(50);

/// A progress bar.
pub(crate) struct Progress {
    total: usize,
    drawn: Option<Instant>,
    visible: bool,
}

impl Progress {
    /// A bar for so many steps.
    pub(crate) fn new(total: usize) -> Self {
        Self { total: total.max(1), drawn: None, visible: stderr().is_terminal() }
    }

    /// So many steps are done, and this is being done now.
    pub(crate) fn show(&mut self, done: usize, what: &str) {
        if !self.visible || self.drawn.is_some_and(|drawn| drawn.elapsed() < PAUSE) {
            return;
        }
        self.drawn = Some(Instant::now());
        let full = done.min(self.total) * WIDTH / self.total;
        let bar = "█".repeat(full) + &"░".repeat(WIDTH - full);
        // A bar that cannot be drawn is no reason to stop.
        let _ = write!(stderr(), "\r\x1b[K{bar} {done}/{} {what}", self.total);
        let _ = stderr().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
