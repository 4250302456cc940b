//! How a script ends: everything comes to rest, and then everybody asks once more.

use super::Executor;
use crate::history::History;
use crate::script::{Script, Step};

/// So many rounds are enough for everything that can be owed.
const ROUNDS: usize = 400;
/// Longer than every limit, delay and lifetime that a world has.
const LONG: u64 = 2 * 3_600_000;

impl Executor<'_> {
    pub(super) fn finish(mut self, script: &Script) -> History {
        let calm = self.entries.len();
        let mut quiet = self.calm_down();
        self.pass(LONG);
        let epilogue = self.entries.len();
        let good = self.authority.active();
        let written = self.store.writes().len();
        for _ in 0..2 {
            for p in 0..self.processes.len() {
                self.step(Step::Want(u8::try_from(p).unwrap_or_default()));
                quiet &= self.calm_down();
            }
            self.pass(self.settings.send_limit);
        }
        History {
            world: script.world.clone(),
            settings: self.settings,
            entries: self.entries,
            store: self.store,
            authority: self.authority,
            faults: self.faults,
            calm,
            epilogue,
            good,
            written,
            quiet,
            collapse: self.collapse,
        }
    }

    /// Answers everything as it should be and serves timers until nothing is under way, owed or waited for.
    pub(super) fn calm_down(&mut self) -> bool {
        while !self.delayed.is_empty() {
            self.land();
        }
        for _ in 0..ROUNDS {
            if self.collapse.is_some() {
                return false;
            }
            let mut busy = false;
            for p in 0..self.processes.len() {
                let p = u8::try_from(p).unwrap_or_default();
                let clock = self.clock(p);
                let process = self.process(p);
                if !process.outstanding.is_empty() {
                    busy = true;
                    self.step(Step::Late(p));
                } else if process.is_busy() && process.timeout.is_some_and(|due| due <= clock) {
                    busy = true;
                    self.step(Step::Timeout(p));
                }
            }
            if !busy && !self.wait_for_a_timer() {
                return self.processes.iter().all(|process| !process.is_busy());
            }
        }
        false
    }

    fn wait_for_a_timer(&mut self) -> bool {
        let due = self.processes.iter().filter(|process| process.is_busy()).filter_map(|process| {
            process.timeout.map(|due| due.saturating_add_signed(process.offset.saturating_neg()))
        });
        let Some(due) = due.min() else { return false };
        self.now = self.now.max(due);
        true
    }
}
