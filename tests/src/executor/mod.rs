//! Runs a script: plays the drivers, the clocks, the store and the server around the machines under test.

mod effects;
mod rest;

use std::collections::{BTreeSet, VecDeque};

use crate::authority::Authority;
use crate::history::{Entry, Fault, History};
use crate::process::{Outstanding, Process};
use crate::script::{How, Script, Step};
use crate::stage::{Collapse, Local, Stage};
use crate::store::Store;
use crate::subject::{Settings, Subject};
use crate::text::Name;
use crate::vocabulary::{Effect, Event, Input, Output, Reply, TokenId};
use effects::{Delayed, Patience};

/// Runs a script with machines of this type: to its end, and then on until all has come to rest.
pub fn run<S: Subject>(script: &Script) -> History {
    run_on(&mut Local::<S>::default(), script)
}

/// The same, with the machines of this stage.
pub fn run_on(stage: &mut dyn Stage, script: &Script) -> History {
    let mut executor = Executor::new(stage, script);
    if !script.world.cold {
        executor.step(Step::SignIn(0, true));
        executor.calm_down();
    }
    executor.faults = BTreeSet::new();
    script.steps.iter().for_each(|step| executor.step(*step));
    executor.finish(script)
}

/// When scripts begin: late enough for clocks to be moved back.
const BEGINNING: u64 = 1_000_000_000;

struct Executor<'a> {
    stage: &'a mut dyn Stage,
    settings: Settings,
    seed: u64,
    ambient: bool,
    now: u64,
    processes: Vec<Process>,
    store: Store,
    authority: Authority,
    delayed: VecDeque<Delayed>,
    faults: BTreeSet<Fault>,
    entries: Vec<Entry>,
    collapse: Option<Collapse>,
}

impl<'a> Executor<'a> {
    fn new(stage: &'a mut dyn Stage, script: &Script) -> Self {
        let world = &script.world;
        let mut executor = Self {
            stage,
            settings: world.settings(),
            seed: world.seed,
            ambient: world.ambient,
            now: BEGINNING,
            processes: Vec::new(),
            store: Store::default(),
            authority: Authority::new(world.server, world.lifetime),
            delayed: VecDeque::new(),
            faults: BTreeSet::new(),
            entries: Vec::new(),
            collapse: None,
        };
        for p in 0..world.processes.clamp(1, 3) {
            executor.processes.push(Process::new());
            executor.start(p);
        }
        executor
    }

    fn seed_of(&self, process: u8, starts: u64) -> u64 {
        self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (u64::from(process) << 32) ^ starts
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Want(p) => self.call(p, Input::Acquire),
            Step::Refuse(p, which) => {
                let id = self.process(p).published(which);
                self.call(p, Input::Reject(id));
            }
            Step::RefuseUnknown(p) => {
                let TokenId { epoch, generation } = self.process(p).published(0);
                self.call(p, Input::Reject(TokenId { epoch, generation: generation + 7 }));
            }
            Step::Accept(p, which) => {
                let id = self.process(p).published(which);
                self.call(p, Input::Accept(id));
            }
            Step::Cancel(p, which) => {
                let waiter = self.process(p).waiter(which);
                self.call(p, Input::Cancel(waiter));
            }
            Step::SignIn(p, with_refresh_token) => {
                self.interrupt(p);
                let grant = self.authority.sign_in(with_refresh_token && !self.ambient);
                self.call(p, Input::SignIn(grant));
            }
            Step::SignOut(p) => {
                self.interrupt(p);
                self.call(p, Input::SignOut);
            }
            Step::Reset(p) => self.call(p, Input::Reset),
            Step::Timeout(p) => self.call(p, Input::Timeout),
            Step::Send(p, sending) => self.send(p, sending),
            Step::Answer(p, how) => {
                let newest = self.process(p).outstanding.len().checked_sub(1);
                if let Some(index) = newest {
                    self.answer(p, index, how, Patience::Limited);
                }
            }
            Step::Watch(p) => self.watch(p),
            Step::Late(p) => self.answer(p, 0, How::Well, Patience::Endless),
            Step::Repeat(p) => {
                if let Some(event) = self.process(p).told.clone() {
                    self.call(p, Input::Event(event));
                }
            }
            Step::Abandon(p) => {
                if let Some(Outstanding { effect, begun, .. }) = self.process(p).outstanding.pop() {
                    self.pause_since(begun);
                    self.faults.insert(Fault::Abandoned);
                    if let Some(ticket) = effect.ticket() {
                        self.call(p, Input::Event(Event::Abandoned { ticket }));
                    }
                }
            }
            Step::Crash(p) => self.crash(p),
            Step::Clock(p, by) => {
                self.faults.insert(Fault::Clocks);
                self.process(p).offset += by;
            }
            Step::Wait(span) => self.pass(span),
            Step::Land => self.land(),
        }
    }

    /// Every letter means one of the processes that there are.
    fn index(&self, p: u8) -> usize {
        usize::from(p) % self.processes.len()
    }

    fn name(&self, p: u8) -> u8 {
        u8::try_from(self.index(p)).unwrap_or_default()
    }

    fn process(&mut self, p: u8) -> &mut Process {
        let index = self.index(p);
        &mut self.processes[index]
    }

    fn clock(&self, p: u8) -> u64 {
        self.now.saturating_add_signed(self.processes[self.index(p)].offset)
    }

    fn pass(&mut self, span: u64) {
        self.now = self.now.saturating_add(span);
    }

    fn call(&mut self, p: u8, input: Input) {
        let clock = self.clock(p);
        let now = self.now;
        let name = self.name(p);
        // A machine that collapsed is not called again: the script runs out without it.
        if self.collapse.is_some() {
            return;
        }
        let reply = match self.stage.call(name, &input, clock) {
            Ok(reply) => reply,
            Err(collapse) => {
                self.collapse = Some(Collapse(format!("{collapse} (process {}, {input:?})", Name(name))));
                return;
            }
        };
        self.process(p).take(&input, &reply, now);
        for output in &reply.outputs {
            if let Output::Run(Effect::Revoke { refresh }) = output {
                self.authority.revoke(refresh);
            }
        }
        self.record(p, Some(input), reply);
    }

    fn record(&mut self, p: u8, input: Option<Input>, reply: Reply) {
        let process = self.name(p);
        self.entries.push(Entry { at: self.now, process, clock: self.clock(p), input, reply });
    }

    fn note(&mut self, fault: Fault, happened: bool) {
        if happened {
            self.faults.insert(fault);
        }
    }

    /// An effect has been out since then; that may be longer than a process may be silent.
    fn pause_since(&mut self, begun: u64) {
        self.note(Fault::Pause, self.now.saturating_sub(begun) > self.settings.term() / 2);
    }

    /// Nobody waits any more for what is out.
    fn interrupt(&mut self, p: u8) {
        let waits = !self.process(p).outstanding.is_empty();
        self.note(Fault::Abandoned, waits);
    }

    fn crash(&mut self, p: u8) {
        self.faults.insert(Fault::Crash);
        for outstanding in std::mem::take(&mut self.process(p).outstanding) {
            self.pause_since(outstanding.begun);
        }
        self.process(p).restart();
        self.start(p);
    }

    fn start(&mut self, p: u8) {
        let (name, clock) = (self.name(p), self.clock(p));
        let starts = self.process(p).starts;
        let seed = self.seed_of(p, starts);
        if let Err(collapse) = self.stage.start(name, &self.settings, seed, clock) {
            self.collapse.get_or_insert(Collapse(format!("{collapse} (process {}, start)", Name(name))));
        }
        self.record(p, None, Process::birth());
    }
}
