//! Breadth first, so that what is found is shortest.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::process::Call;
use super::rules::Past;
use super::world::{Move, World};
use super::{Setting, Violation, must};
use crate::{Acquire, Action, Effect, Event, Grant, Ticket};

/// What an exploration found.
#[derive(Debug)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Moves between them, those included that led to a known state.
    pub moves: usize,
    /// States in which nothing can happen any more.
    pub ends: usize,
    /// How long it took.
    pub took: Duration,
    /// What was seen on the way.
    pub reached: BTreeSet<&'static str>,
    /// The first rule that is broken, and how one gets there.
    pub violation: Option<(Violation, Vec<Move>)>,
    /// Whether all of it was explored.
    pub complete: bool,
}

/// Explores a world to its end, or to so many states, or to the first violation.
pub fn explore(setting: &Setting, most: usize) -> Report {
    let begin = Instant::now();
    let mut search = Search::default();
    let outcome = search.run(setting, most);
    let (violation, complete) = match outcome {
        Ok(complete) => (None, complete),
        Err((violation, path)) => (Some((violation, path)), false),
    };
    Report {
        states: search.from.len(),
        moves: search.edges.len(),
        ends: search.ends,
        took: begin.elapsed(),
        reached: search.reached,
        violation,
        complete,
    }
}

#[derive(Default)]
struct Search {
    seen: HashMap<u128, u32>,
    /// By which move from which state a state was first reached.
    from: Vec<Option<(u32, Move)>>,
    edges: Vec<(u32, u32)>,
    ends: usize,
    reached: BTreeSet<&'static str>,
}

type Found = (Violation, Vec<Move>);

impl Search {
    fn run(&mut self, setting: &Setting, most: usize) -> Result<bool, Found> {
        let first = World::new(setting).map_err(|violation| (violation, Vec::new()))?;
        self.seen.insert(first.key(setting), 0);
        self.from.push(None);
        let mut level = vec![(0_u32, first)];
        while !level.is_empty() {
            let mut next = Vec::new();
            for (state, world) in level {
                if self.from.len() > most {
                    return Ok(false);
                }
                let moves = world.moves(setting);
                probe(&world, setting).map_err(|violation| self.found(violation, state, None))?;
                let mut ends = true;
                for step in moves {
                    let mut after = world.clone();
                    after
                        .make(setting, step)
                        .map_err(|violation| self.found(violation, state, Some(step)))?;
                    self.reached.extend(&after.past.labels.0);
                    let key = after.key(setting);
                    let fresh = u32::try_from(self.from.len()).expect("fewer states than that");
                    let known = *self.seen.entry(key).or_insert(fresh);
                    if known == state {
                        // Time goes on, and nothing depends on it any more.
                        continue;
                    }
                    ends = false;
                    self.edges.push((state, known));
                    if known == fresh {
                        self.from.push(Some((state, step)));
                        next.push((fresh, after));
                    }
                }
                if ends {
                    self.ends += 1;
                    Past::rests(&world, setting).map_err(|violation| self.found(violation, state, None))?;
                }
            }
            level = next;
        }
        self.no_run_is_endless().map_err(|violation| self.found(violation, 0, None))?;
        Ok(true)
    }

    /// Without a cycle every run ends, if only whoever can go on does so at last.
    fn no_run_is_endless(&self) -> Result<(), Violation> {
        let mut into = vec![0_u32; self.from.len()];
        for (_, to) in &self.edges {
            into[*to as usize] += 1;
        }
        let mut out: Vec<Vec<u32>> = vec![Vec::new(); self.from.len()];
        for (from, to) in &self.edges {
            out[*from as usize].push(*to);
        }
        let mut open: Vec<u32> = vec![0];
        let mut sorted = 0;
        while let Some(state) = open.pop() {
            sorted += 1;
            for to in &out[state as usize] {
                into[*to as usize] -= 1;
                if into[*to as usize] == 0 {
                    open.push(*to);
                }
            }
        }
        must(sorted == self.from.len(), "I-19", || {
            format!("{} states lie on or behind a cycle", self.from.len() - sorted)
        })
    }

    fn found(&self, violation: Violation, state: u32, last: Option<Move>) -> Found {
        let back =
            std::iter::successors(self.from[state as usize], |(before, _)| self.from[*before as usize]);
        let mut path: Vec<Move> = last.into_iter().chain(back.map(|(_, step)| step)).collect();
        path.reverse();
        (violation, path)
    }
}

/// What has to be possible in any state, without leaving it.
fn probe(world: &World, setting: &Setting) -> Result<(), Violation> {
    for (index, process) in world.processes.iter().enumerate() {
        let clock = world.clock(setting, index);
        let mut other = process.clone();
        let unknown = Event::Abandoned { ticket: Ticket(u64::MAX) };
        must(other.call(&Call::Event(unknown), clock).misuse, "I-25", || {
            "an unknown ticket is taken".to_owned()
        })?;
        let grant = Grant::new("a255").expect("it is a token");
        let reply = other.call(&Call::SignIn(grant, 99), clock);
        let exchanges = |actions: &[Action]| {
            actions.iter().any(|action| matches!(action, Action::Run(Effect::Exchange { .. })))
        };
        let mut fine = !exchanges(&reply.actions);
        let reply = other.call(&Call::Acquire, clock);
        fine &= !exchanges(&reply.actions) && matches!(reply.acquire, Some(Acquire::Ready(_)));
        must(fine, "I-21", || format!("process {index} signs in, and has no token"))?;
    }
    Ok(())
}
