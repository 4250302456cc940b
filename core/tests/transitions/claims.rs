//! The claim protocol as a picture: what becomes of the record that processes share, found by letting two machines use
//! one store in every way that chance comes upon.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use token_refresh_core::{
    Action, Body, CommitError, Config, Effect, Event, ExchangeError, Grant, Machine, Persistence, Record,
    StoreError, Stored, Ticket, Timestamp, TokenId, Version,
};

use crate::picture::{Arrow, Picture, Place, place};

/// What the record says about its refresh token.
const PLACES: [Place; 8] = [
    place("No record", "nobody has signed in", [115, 60], false),
    place("Signed out", "final for this session", [115, 200], false),
    place("Free", "never presented", [450, 60], true),
    place("Resting", "new, and for one term nobody's", [480, 165], true),
    place("Claimed", "by who presents it now", [940, 60], true),
    place("Claimed again", "its second or a later time", [940, 250], true),
    place("In doubt", "nobody's, and maybe spent", [940, 440], true),
    place("Refused", "by the server: sign in", [115, 440], true),
];

/// What a commit does to the record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Claim,
    TakeOver,
    Save,
    GiveBack,
    Mark,
    SignIn,
    SignOut,
}

pub(crate) fn svg() -> String {
    let mut deeds = BTreeMap::<(&str, &str), Vec<Deed>>::new();
    for (from, to, deed) in explore() {
        let shown = match deed {
            // From everywhere; the legend says so.
            Deed::SignIn => ["No record", "Signed out"].contains(&from),
            Deed::SignOut => from == "Free",
            Deed::Claim | Deed::TakeOver | Deed::Save | Deed::GiveBack | Deed::Mark => from != to,
        };
        if shown {
            deeds.entry((from, to)).or_default().push(deed);
        }
    }
    let arrows: Vec<Arrow<'_>> = deeds
        .iter()
        .map(|((from, to), deeds)| {
            let words: Vec<&str> = deeds.iter().map(|deed| deed.words()).collect();
            Arrow { from, to, class: deeds[0].class(), label: Some(words.join(", ")) }
        })
        .collect();
    Picture {
        title: "What becomes of a record that processes share",
        height: 520,
        places: &PLACES,
        legend: "Every arrow is a compare-and-set. A sign-in leads from everywhere to Free, a sign-out to Signed out.",
    }
    .svg(&arrows)
}

impl Deed {
    fn words(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::TakeOver => "take over",
            Self::Save => "save",
            Self::GiveBack => "give back",
            Self::Mark => "mark",
            Self::SignIn => "sign in",
            Self::SignOut => "sign out",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Claim | Self::TakeOver => "to",
            Self::Save | Self::SignIn => "done",
            Self::GiveBack => "again",
            Self::Mark | Self::SignOut => "fail",
        }
    }
}

/// From which state to which, by what.
type Changes = BTreeSet<(&'static str, &'static str, Deed)>;

fn explore() -> Changes {
    let mut found = Changes::new();
    for seed in 0..10_000 {
        let mut world = World::new(seed);
        for _ in 0..200 {
            world.step(&mut found);
        }
    }
    found
}

/// Two processes, the store that they share, and a server.
struct World {
    chance: u64,
    now: Timestamp,
    stored: Stored,
    processes: [Process; 2],
    granted: u32,
}

struct Process {
    machine: Machine,
    /// The effect that is out.
    out: Option<Effect>,
    /// Exchanges without an answer.
    exchanges: Vec<Ticket>,
    token: Option<TokenId>,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let processes = [1, 2].map(|number| Process::new(seed * 2 + number, now));
        Self { chance: seed, now, stored: Stored::default(), processes, granted: 0 }
    }

    /// One thing happens to one process.
    fn step(&mut self, found: &mut Changes) {
        let (who, now) = (self.below(2), self.now);
        match self.below(100) {
            0 => self.sign_in(who),
            1 if self.below(4) == 0 => self.processes[who].machine.sign_out(now),
            // It dies, and starts anew.
            2 => self.processes[who] = Process::new(self.below(1 << 31) as u64, now),
            3 => self.processes[who].machine.reset(now),
            4..=8 => self.pass(Duration::from_secs(1)),
            9..=12 => self.pass(Duration::from_secs(16)),
            13 => self.pass(Duration::from_secs(3600)),
            14..=18 => self.late(who),
            19..=26 => {
                if let Some(token) = self.processes[who].token {
                    let _ = self.processes[who].machine.reject(token, now);
                }
            }
            27..=28 => {
                // The other one stands still.
                drop(self.processes[who].machine.acquire(now));
                for _ in 0..60 {
                    self.processes[who].drain();
                    self.answer(who, found);
                }
            }
            29..=38 => drop(self.processes[who].machine.acquire(now)),
            _ => self.answer(who, found),
        }
        self.processes[who].drain();
    }

    /// A number below this one.
    fn below(&mut self, end: usize) -> usize {
        // Numbers of Knuth's; the upper bits are the better ones.
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.chance >> 33).expect("31 bits") % end
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
        for process in &mut self.processes {
            process.machine.handle_timeout(self.now);
            process.drain();
        }
    }

    fn grant(&mut self) -> Grant {
        self.granted += 1;
        Grant::new(format!("at-{}", self.granted))
            .and_then(|grant| grant.with_refresh_token(format!("rt-{}", self.granted)))
            .expect("tokens of visible characters")
            .with_lifetime(Duration::from_secs(3600))
    }

    fn sign_in(&mut self, who: usize) {
        let grant = self.grant();
        self.processes[who].machine.sign_in(grant, self.now);
    }

    /// The effect that is out gets an answer.
    fn answer(&mut self, who: usize, found: &mut Changes) {
        let Some(effect) = self.processes[who].out.take() else { return };
        let event = match effect {
            Effect::Load { ticket, not_before } => {
                self.now = self.now.max(not_before);
                let result = if self.below(20) == 0 { Err(StoreError) } else { Ok(self.stored.clone()) };
                Event::Loaded { ticket, result }
            }
            Effect::Commit { ticket, expected, record } => {
                Event::Committed { ticket, result: self.commit(expected, record, found) }
            }
            Effect::Exchange { ticket, .. } => {
                self.processes[who].exchanges.retain(|exchange| *exchange != ticket);
                Event::Exchanged { ticket, sent_at: self.now, result: self.exchange() }
            }
            Effect::Revoke { .. } => return,
        };
        // An answer that came after all is nobody's any more.
        let _ = self.processes[who].machine.handle_event(event, self.now);
    }

    fn late(&mut self, who: usize) {
        if let Some(ticket) = self.processes[who].exchanges.pop() {
            let event = Event::Exchanged { ticket, sent_at: self.now, result: self.exchange() };
            let _ = self.processes[who].machine.handle_event(event, self.now);
        }
    }

    fn exchange(&mut self) -> Result<Grant, ExchangeError> {
        match self.below(8) {
            0 => Err(ExchangeError::Permanent),
            1 => Err(ExchangeError::Transient { retry_after: None }),
            2 => Err(ExchangeError::NotSent),
            3 | 4 => Err(ExchangeError::Ambiguous { retry_after: None }),
            _ => Ok(self.grant()),
        }
    }

    fn commit(
        &mut self,
        expected: Version,
        record: Record,
        found: &mut Changes,
    ) -> Result<Version, CommitError> {
        if self.below(20) == 0 {
            return Err(CommitError::Unavailable);
        }
        if expected != self.stored.version {
            return Err(CommitError::Conflict);
        }
        let before = self.stored.record.as_ref();
        found.insert((state(before), state(Some(&record)), deed(before, &record)));
        self.stored = Stored { version: Version(expected.0 + 1), record: Some(record) };
        // The answer may get lost.
        if self.below(20) == 0 { Err(CommitError::Unavailable) } else { Ok(self.stored.version) }
    }
}

impl Process {
    fn new(seed: u64, now: Timestamp) -> Self {
        let mut config = Config::default();
        config.persistence = Persistence::Shared;
        let machine = Machine::new(config, seed, now).expect("a configuration that works");
        Self { machine, out: None, exchanges: Vec::new(), token: None }
    }

    fn drain(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Publish(snapshot) => self.token = snapshot.map(|snapshot| snapshot.id).or(self.token),
                Action::Run(Effect::Revoke { .. }) | Action::Resolve { .. } | Action::Notify(_) => {}
                Action::Run(effect) => {
                    if let Effect::Exchange { ticket, .. } = effect {
                        self.exchanges.push(ticket);
                    }
                    self.out = Some(effect);
                }
            }
        }
    }
}

fn state(record: Option<&Record>) -> &'static str {
    let Some(record) = record else { return "No record" };
    match record.body {
        Body::Vacant => "No record",
        Body::SignedOut => "Signed out",
        Body::Grant { .. } if record.refused => "Refused",
        Body::Grant { .. } => match (record.holder, record.presented) {
            (Some(_), ..=1) => "Claimed",
            (Some(_), _) => "Claimed again",
            (None, 0) if record.contested => "Resting",
            (None, 0) => "Free",
            (None, _) => "In doubt",
        },
    }
}

fn deed(before: Option<&Record>, after: &Record) -> Deed {
    match before {
        _ if after.body == Body::SignedOut => Deed::SignOut,
        Some(before) if before.session == after.session => match (before.holder, after.holder) {
            _ if after.serial > before.serial => Deed::Save,
            _ if after.refused && !before.refused => Deed::Mark,
            (Some(old), Some(new)) if old.claimant != new.claimant => Deed::TakeOver,
            (_, Some(_)) => Deed::Claim,
            (_, None) => Deed::GiveBack,
        },
        Some(_) | None => Deed::SignIn,
    }
}
