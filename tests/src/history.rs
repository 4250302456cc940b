//! What happened: all the judge gets to see.

use std::collections::BTreeSet;
use std::fmt;

use crate::authority::Authority;
use crate::script::{Server, World};
use crate::stage::Collapse;
use crate::store::{Store, Write};
use crate::subject::Settings;
use crate::text::Name;
use crate::vocabulary::{Input, Reply};

/// All calls of all machines in order, and what the store and the server saw.
#[derive(Clone, Debug)]
pub struct History {
    /// The setting.
    pub world: World,
    /// The settings of the machines.
    pub settings: Settings,
    /// The calls.
    pub entries: Vec<Entry>,
    /// The store at the end, with all its commits.
    pub store: Store,
    /// The server at the end, with all that was presented to it.
    pub authority: Authority,
    /// What went wrong in the world.
    pub faults: BTreeSet<Fault>,
    /// From which entry on nothing went wrong any more: all is answered, timers are served.
    pub calm: usize,
    /// From which entry on every machine is asked for a token again, all limits and delays being over.
    pub epilogue: usize,
    /// The refresh tokens that were good when the epilogue began.
    pub good: BTreeSet<String>,
    /// How many commits had succeeded by then.
    pub written: usize,
    /// Whether all came to rest.
    pub quiet: bool,
    /// Why a machine gave no reply, and to what, if one did not: the history ends there.
    pub collapse: Option<Collapse>,
}

impl History {
    /// Whether this went wrong.
    pub fn suffered(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Whether the older of two successors may be the good one, or the newer one be lost: requests may have overtaken
    /// each other, or successors differ and the owner of one was silent (limits 2 and 3 of the claim protocol).
    pub fn may_be_disordered(&self) -> bool {
        let differ = matches!(self.world.server, Server::LastWins(_)) || self.suffered(Fault::Whim);
        self.suffered(Fault::LateRequest) || (differ && self.suffered(Fault::Pause))
    }

    /// The last commit before the epilogue: what was stored when all had come to rest, without any demand.
    pub fn settled_record(&self) -> Option<&Write> {
        self.store.writes().get(..self.written)?.last()
    }

    /// The family of an access token: which sign-in it goes back to. `None` where exchanges need no refresh token,
    /// and so do not tell identities apart.
    pub fn family(&self, access_token: &str) -> Option<usize> {
        let minted = self.authority.access_token(access_token).filter(|_| !self.settings.ambient);
        minted.map(|minted| minted.family)
    }
}

/// One call of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Milliseconds of true time, from which the clocks of processes may differ.
    pub at: u64,
    /// Of which process.
    pub process: u8,
    /// What its clock showed.
    pub clock: u64,
    /// The call; `None`: the process was started, without memory.
    pub input: Option<Input>,
    /// What came out.
    pub reply: Reply,
}

/// What can go wrong in the world, as far as promises depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A request left after its send-by instant, or was held up in the network.
    LateRequest,
    /// Clocks were moved.
    Clocks,
    /// A process died.
    Crash,
    /// Somebody who ran an effect died, or the identity changed while it was out.
    Abandoned,
    /// A request or an answer of the server was lost.
    ExchangeLost,
    /// The store did not answer a commit.
    CommitLost,
    /// An effect took longer than a process may be silent.
    Pause,
    /// A server that rotates let a refresh token stay in force once.
    Whim,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = self.entries.first().map_or(0, |entry| entry.at);
        for (index, entry) in self.entries.iter().enumerate() {
            if index == self.calm {
                writeln!(f, "-- calm")?;
            }
            if index == self.epilogue {
                writeln!(f, "-- epilogue")?;
            }
            writeln!(f, "{index:>4} {:>9} ms {}", entry.at - begin, Name(entry.process))?;
            match &entry.input {
                None => writeln!(f, "       starts")?,
                Some(input) => writeln!(f, "       {input:?}  at {}", entry.clock)?,
            }
            writeln!(f, "       => {:?}, {:?}", entry.reply.answer, entry.reply.state)?;
            for output in &entry.reply.outputs {
                writeln!(f, "          {output:?}")?;
            }
        }
        match &self.collapse {
            Some(collapse) => writeln!(f, "     {collapse}"),
            None => Ok(()),
        }
    }
}
