//! Makes a failing script smaller.

use crate::script::{How, Script, Server, Step, World};

/// A search for the smallest script that still fails: ask for the [`candidate`](Self::candidate), run it, and say
/// whether it [`failed`](Self::failed) or [`passed`](Self::passed). Needs nothing of the subject but its verdict, so
/// it works for subjects in another process too.
#[derive(Clone, Debug)]
pub struct Shrinking {
    best: Script,
    candidate: Script,
    /// Which change of `best` is tried next.
    next: Change,
    /// Whether anything helped since the first change was tried.
    progress: bool,
}

/// One way to make a script simpler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Leave out so many steps from this one on.
    Remove {
        length: usize,
        from: usize,
    },
    /// Replace this step by a simpler one.
    Step {
        index: usize,
        attempt: usize,
    },
    /// Make the world simpler.
    World {
        attempt: usize,
    },
    End,
}

impl Shrinking {
    /// Begins with a script that fails.
    pub fn new(failing: Script) -> Self {
        let first = Change::Remove { length: failing.steps.len(), from: 0 };
        Self { best: failing.clone(), candidate: failing, next: first, progress: false }
    }

    /// The script to run now.
    pub fn candidate(&self) -> &Script {
        &self.candidate
    }

    /// The candidate failed: it is the smallest so far. `false`: there is nothing more to try.
    pub fn failed(&mut self) -> bool {
        if self.candidate != self.best {
            self.progress = true;
            self.best = self.candidate.clone();
        }
        self.advance()
    }

    /// The candidate did not fail. `false`: there is nothing more to try, and the candidate is the smallest again.
    pub fn passed(&mut self) -> bool {
        self.advance()
    }

    fn advance(&mut self) -> bool {
        loop {
            if self.next == Change::End {
                if !self.progress {
                    self.candidate = self.best.clone();
                    return false;
                }
                self.progress = false;
                self.next = Change::Remove { length: self.best.steps.len(), from: 0 };
            }
            let tried = self.next;
            self.next = self.after(tried);
            if let Some(simpler) = self.apply(tried).filter(|simpler| *simpler != self.best) {
                self.candidate = simpler;
                return true;
            }
        }
    }

    fn apply(&self, change: Change) -> Option<Script> {
        let mut script = self.best.clone();
        match change {
            Change::Remove { length, from } => {
                let to = from.saturating_add(length).min(script.steps.len());
                script.steps.drain(from.min(to)..to);
            }
            Change::Step { index, attempt } => {
                let step = script.steps.get_mut(index)?;
                *step = simpler_step(*step, attempt)?;
            }
            Change::World { attempt } => simplify_world(&mut script.world, attempt)?,
            Change::End => return None,
        }
        Some(script)
    }

    fn after(&self, change: Change) -> Change {
        let steps = self.best.steps.len();
        match change {
            Change::Remove { length, from } if from + length < steps => {
                Change::Remove { length, from: from + length }
            }
            Change::Remove { length, .. } if length > 1 => Change::Remove { length: length / 2, from: 0 },
            Change::Remove { .. } => Change::Step { index: 0, attempt: 0 },
            Change::Step { index, attempt } if attempt < 3 => Change::Step { index, attempt: attempt + 1 },
            Change::Step { index, .. } if index + 1 < steps => Change::Step { index: index + 1, attempt: 0 },
            Change::Step { .. } => Change::World { attempt: 0 },
            Change::World { attempt } if attempt < 8 => Change::World { attempt: attempt + 1 },
            Change::World { .. } | Change::End => Change::End,
        }
    }
}

fn simpler_step(step: Step, attempt: usize) -> Option<Step> {
    Some(match (step, attempt) {
        (Step::Answer(p, how), 0) if how != How::Well => Step::Answer(p, How::Well),
        (Step::Answer(p, How::AnswerLost | How::Delayed), 1) => Step::Answer(p, How::Lost),
        (Step::Refuse(p, which), 0) if which > 0 => Step::Refuse(p, 0),
        (Step::Wait(span), 0) if span > 1000 => Step::Wait(1000),
        (Step::Wait(span), 1) if span > 1 => Step::Wait(1),
        (Step::Late(p), 0) => Step::Answer(p, How::Well),
        _ => return None,
    })
}

fn simplify_world(world: &mut World, attempt: usize) -> Option<()> {
    let simple = World::default();
    match attempt {
        0 if world.processes > 1 => world.processes -= 1,
        1 => world.server = Server::Strict,
        2 => world.policy = simple.policy,
        3 => world.lifetime = simple.lifetime,
        4 => world.queue = simple.queue,
        5 => world.cold = false,
        6 => world.seed = simple.seed,
        7 if world.processes == 1 => world.shared = false,
        8 => world.ambient = false,
        _ => return None,
    }
    Some(())
}
