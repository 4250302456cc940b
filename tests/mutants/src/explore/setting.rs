//! The small worlds.

use core::time::Duration;

use super::server::Kind;
use crate::{AmbiguousPolicy, Backoff, Config, Margin, Persistence, Rate};

/// Something that goes wrong, at most [`Setting::faults`] times in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A process dies and starts again without memory.
    Crash,
    /// Nothing reaches the server, and nobody says so.
    RequestLost,
    /// The server acts, and its answer is lost.
    ReplyLost,
    /// The request reaches the server at some later time, and its answer is lost.
    RequestDelayed,
    /// The server acts, and its answer is there at some later time, maybe after everybody has given it up.
    ReplyDelayed,
    /// The server says that it cannot do it now.
    Transient,
    /// There is no connection.
    NotSent,
    /// A load has no answer.
    StoreUnavailable,
    /// A load yields what was stored before.
    StaleLoad,
    /// A commit is not written, and has no answer.
    CommitLost,
    /// A commit is written, and has no answer.
    CommitUnanswered,
    /// A commit takes a few milliseconds.
    CommitSlow,
    /// A commit has no answer, and lands later if its version is still in force.
    CommitDelayed,
    /// A process stands still for as long as it likes, before any step.
    Pause,
    /// A process stands still between its look at the clock and the first byte.
    PauseBeforeSend,
    /// The whole machine stands still, and the clock does not.
    Suspend,
    /// Whoever runs an effect dies without a word.
    Vanish,
}

/// One small world.
#[derive(Clone, Debug)]
pub struct Setting {
    /// How many processes there are.
    pub processes: usize,
    /// Whether they share a store.
    pub shared: bool,
    /// The server.
    pub server: Kind,
    /// What to do with a refresh token whose fate is unknown.
    pub policy: AmbiguousPolicy,
    /// What may go wrong.
    pub kinds: Vec<Fault>,
    /// How often.
    pub faults: u8,
    /// How many demands each process gets; each refuses the token that is published.
    pub demands: u8,
    /// How many late refusals of an earlier token there are.
    pub late: u8,
    /// How many callers give up.
    pub cancels: u8,
    /// How many sign-ins there are after the first.
    pub sign_ins: u8,
    /// How many sign-outs.
    pub sign_outs: u8,
    /// How often nobody does anything for longer than the window.
    pub ages: u8,
    /// How many callers may wait.
    pub queue: usize,
    /// By how much the clock of each further process is ahead.
    pub skew: u64,
}

/// The server's window, in a world with short limits.
pub(super) const WINDOW: Duration = Duration::from_secs(5);

impl Setting {
    /// Nothing goes wrong.
    pub fn new(processes: usize, server: Kind, policy: AmbiguousPolicy) -> Self {
        Self {
            processes,
            shared: true,
            server,
            policy,
            kinds: Vec::new(),
            faults: 0,
            demands: 2,
            late: 0,
            cancels: 0,
            sign_ins: 0,
            sign_outs: 0,
            ages: 0,
            queue: 8,
            skew: 0,
        }
    }

    /// So many of these faults.
    #[must_use]
    pub fn with(mut self, faults: u8, kinds: &[Fault]) -> Self {
        (self.faults, self.kinds) = (faults, kinds.to_vec());
        self
    }

    /// The limits are short beside the fixed second of slack, so that few looks at the store make a term.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::default();
        config.persistence = if self.shared { Persistence::Shared } else { Persistence::Memory };
        config.ambiguous = self.policy;
        config.max_waiters = self.queue;
        config.exchange_limit = Duration::from_millis(700);
        config.save_limit = Duration::from_millis(10);
        config.send_limit = Duration::from_millis(10);
        config.skew = Duration::from_millis(10);
        config.jitter = Margin { at_most: Duration::ZERO, percent: 0 };
        config.backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_millis(100) };
        config.rate = Rate { starts: 3, window: Duration::from_millis(300) };
        config.cool_down = Duration::from_millis(2_000);
        config
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let policy = match self.policy {
            AmbiguousPolicy::NonRotating => "non-rotating".to_owned(),
            AmbiguousPolicy::UntilUsed => "until-used".to_owned(),
            AmbiguousPolicy::Once { last_resort, .. } => format!("once{}", resort(last_resort)),
            AmbiguousPolicy::Never { last_resort } => format!("never{}", resort(last_resort)),
        };
        let store = if self.shared { "shared" } else { "memory" };
        write!(
            f,
            "{}p {store} {:?} {policy} {} of {} faults",
            self.processes,
            self.server,
            self.faults,
            self.kinds.len()
        )?;
        write!(f, " demands={} late={} cancels={}", self.demands, self.late, self.cancels)?;
        write!(f, " in={} out={} ages={}", self.sign_ins, self.sign_outs, self.ages)
    }
}

fn resort(last: bool) -> &'static str {
    if last { "+last-resort" } else { "" }
}
