//! Kills, stops and restarts workers.

use std::{
    io,
    time::{Duration, Instant},
};

use crate::{rng::Rng, workers::Workers};

/// The same seed gives the same blows, though never at the same moments of what the workers do.
pub(crate) struct Chaos {
    rng: Rng,
    next: Instant,
    ambush: Ambush,
    resumes: Vec<(Instant, u32)>,
    restarts: Vec<Instant>,
    pub(crate) kills: u32,
    pub(crate) stops: u32,
}

/// Many blows wait for the worker that presents a refresh token, since those of a blind man would hardly ever matter.
enum Ambush {
    No,
    /// Until somebody presents.
    Laid,
    /// On this worker, at this instant: while its answer is under way, while it is saved, or a little later.
    Sprung(Instant, u32),
}

impl Chaos {
    pub(crate) fn new(rng: Rng) -> Self {
        let next = Instant::now() + Duration::from_secs(1);
        let (resumes, restarts) = (Vec::new(), Vec::new());
        Self { rng, next, ambush: Ambush::No, resumes, restarts, kills: 0, stops: 0 }
    }

    /// Does what is due. `presenting` is the worker that has a refresh token on the wire.
    pub(crate) fn step(
        &mut self,
        workers: &mut Workers,
        presenting: impl Fn() -> Option<u32>,
    ) -> io::Result<()> {
        let now = Instant::now();
        for (_, pid) in self.resumes.extract_if(.., |(due, _)| *due <= now) {
            workers.resume(pid)?;
        }
        for _ in self.restarts.extract_if(.., |due| *due <= now) {
            workers.spawn()?;
        }
        match self.ambush {
            Ambush::Laid => {
                if let Some(pid) = presenting() {
                    self.ambush = Ambush::Sprung(now + self.rng.between(0, 350), pid);
                }
            }
            Ambush::Sprung(due, pid) if due <= now => {
                self.ambush = Ambush::No;
                self.strike(workers, pid, now)?;
            }
            Ambush::Sprung(..) | Ambush::No => {}
        }
        if self.next <= now {
            self.next = now + self.rng.between(80, 400);
            let ambush = self.rng.below(3) == 0;
            match self.rng.pick(&workers.pids()) {
                _ if ambush => {
                    if matches!(self.ambush, Ambush::No) {
                        self.ambush = Ambush::Laid;
                    }
                }
                Some(pid) => self.strike(workers, pid, now)?,
                None => {}
            }
        }
        Ok(())
    }

    fn strike(&mut self, workers: &mut Workers, pid: u32, now: Instant) -> io::Result<()> {
        match self.rng.below(10) {
            // The one in ambush was late.
            _ if !workers.is_alive(pid) => Ok(()),
            // One that is stopped can be killed as well.
            0..4 => {
                self.kills += 1;
                self.restarts.push(now + self.rng.between(50, 500));
                workers.kill(pid)
            }
            // Stopped twice is stopped once.
            _ if workers.is_stopped(pid) => Ok(()),
            // So short that nobody may notice.
            4..8 => self.stop(workers, pid, now, 20, 400),
            // So long that others take over, or nearly.
            _ => self.stop(workers, pid, now, 800, 4500),
        }
    }

    fn stop(
        &mut self,
        workers: &mut Workers,
        pid: u32,
        now: Instant,
        least: u64,
        most: u64,
    ) -> io::Result<()> {
        self.stops += 1;
        workers.stop(pid)?;
        self.resumes.push((now + self.rng.between(least, most), pid));
        Ok(())
    }
}
