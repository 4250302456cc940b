//! What is known about every process of the run: who was killed and who was stopped, when, and what each reported.

use std::{
    collections::BTreeMap,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::report::{self, Report, What};

/// Shared by whoever knows something. All instants count from its beginning.
pub(crate) struct Evidence {
    begin: Instant,
    unix: Duration,
    known: Mutex<Known>,
}

#[derive(Clone, Default)]
pub(crate) struct Known {
    pub(crate) fates: BTreeMap<u32, Fate>,
    pub(crate) served: u64,
    pub(crate) served_at: Duration,
    pub(crate) failed: BTreeMap<String, u64>,
    pub(crate) failed_at: Duration,
    pub(crate) taken_over: u64,
    /// What must not happen, whoever is killed.
    pub(crate) violations: Vec<String>,
}

/// What happened to one process.
#[derive(Clone, Default)]
pub(crate) struct Fate {
    pub(crate) killed: Option<Duration>,
    pub(crate) pauses: Vec<Pause>,
    /// When it said that it could not save a grant.
    pub(crate) unsaved: Vec<Duration>,
}

/// The process did not run.
#[derive(Clone, Copy)]
pub(crate) struct Pause {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// Stopped by a signal, and not just without a processor.
    pub(crate) stopped: bool,
}

impl Evidence {
    pub(crate) fn begin() -> Arc<Self> {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let evidence = Arc::new(Self { begin: Instant::now(), unix, known: Mutex::default() });
        evidence.watch_this_process();
        evidence
    }

    pub(crate) fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn violation(&self, what: String) {
        self.known().violations.push(what);
    }

    pub(crate) fn killed(&self, pid: u32) {
        self.known().fates.entry(pid).or_default().killed = Some(self.now());
    }

    pub(crate) fn stopped(&self, pid: u32) {
        let pause = Pause { from: self.now(), to: Duration::MAX, stopped: true };
        self.known().fates.entry(pid).or_default().pauses.push(pause);
    }

    pub(crate) fn continued(&self, pid: u32) {
        let now = self.now();
        let mut known = self.known();
        let pauses = &mut known.fates.entry(pid).or_default().pauses;
        if let Some(pause) = pauses.iter_mut().rfind(|pause| pause.stopped) {
            pause.to = now;
        }
    }

    pub(crate) fn reported(&self, pid: u32, report: Report) {
        let at = report.at.saturating_sub(self.unix);
        let mut known = self.known();
        match report.what {
            What::Served(0) => {}
            What::Served(count) => {
                known.served += count;
                known.served_at = known.served_at.max(at);
            }
            What::Failed(why) => {
                *known.failed.entry(why).or_default() += 1;
                known.failed_at = known.failed_at.max(at);
            }
            What::Unsaved => known.fates.entry(pid).or_default().unsaved.push(at),
            What::TakenOver => known.taken_over += 1,
            What::Starved(span) => {
                let pause = Pause { from: at.saturating_sub(span), to: at, stopped: false };
                known.fates.entry(pid).or_default().pauses.push(pause);
            }
        }
    }

    /// The servers run in this process, and a busy machine holds them up as well.
    fn watch_this_process(self: &Arc<Self>) {
        let evidence = Arc::clone(self);
        report::when_starved(move |late| evidence.reported(process::id(), Report::now(What::Starved(late))));
    }
}

impl Fate {
    /// For how long it did not run in this time.
    pub(crate) fn paused(&self, from: Duration, to: Duration) -> Duration {
        let mut pauses: Vec<(Duration, Duration)> =
            self.pauses.iter().map(|pause| (pause.from.max(from), pause.to.min(to))).collect();
        pauses.sort_unstable();
        let (mut total, mut counted) = (Duration::ZERO, from);
        for (begin, end) in pauses {
            total += end.saturating_sub(begin.max(counted));
            counted = counted.max(end);
        }
        total
    }

    /// For how long it ran in this time.
    pub(crate) fn ran(&self, from: Duration, to: Duration) -> Duration {
        to.saturating_sub(from).saturating_sub(self.paused(from, to))
    }
}
