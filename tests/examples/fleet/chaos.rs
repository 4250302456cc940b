//! Kills, stops and restarts workers.

use std::{
    io,
    time::{Duration, Instant},
};

use crate::workers::Workers;

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

/// Splitmix64: small, and good enough to choose whom to hit.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// A span of so many milliseconds.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least))
    }

    fn pick(&mut self, pids: &[u32]) -> Option<u32> {
        let index = self.below(pids.len().max(1) as u64);
        usize::try_from(index).ok().and_then(|index| pids.get(index)).copied()
    }
}
