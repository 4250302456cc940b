//! A sequence chart: who said what to whom, in order.

/// A sequence chart. Build it with [`participant`](Self::participant), and then item by item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chart {
    participants: Vec<Participant>,
    items: Vec<Item>,
}

/// Somebody who takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// What it is.
    pub role: Role,
    /// Its name.
    pub name: String,
}

/// What a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The program's own code, which sends requests.
    Callers,
    /// What is tested.
    Client,
    /// What grants tokens.
    AuthorizationServer,
    /// What is called with an access token.
    Api,
    /// Where the credential is kept.
    Store,
}

/// The place of a participant in one chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane(usize);

/// One line of a chart. Instants are milliseconds since its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Something goes from one participant to another.
    Message {
        /// When.
        at: u64,
        /// From whom.
        from: Lane,
        /// To whom.
        to: Lane,
        /// What.
        text: String,
        /// What kind of thing.
        manner: Manner,
        /// Whether it arrives.
        fate: Fate,
    },
    /// Something happens to one participant, or one should know about it.
    Note {
        /// When.
        at: u64,
        /// To whom.
        lane: Lane,
        /// What.
        text: String,
    },
    /// From here on something is different for all.
    Divider {
        /// When.
        at: u64,
        /// What.
        text: String,
    },
    /// Here a rule is broken.
    Violation {
        /// When.
        at: u64,
        /// By whom, if that is known.
        lane: Option<Lane>,
        /// How.
        text: String,
    },
    /// What stands before is repeated.
    Repeated {
        /// When the last repetition ended.
        at: u64,
        /// How many of the items before are meant.
        items: usize,
        /// How often they are repeated.
        times: usize,
    },
}

/// What kind of thing a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Asks for something.
    Call,
    /// Gives what was asked for.
    Answer,
    /// Refuses it.
    Refusal,
}

/// Whether a message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does.
    Arrives,
    /// It is lost on its way.
    Lost,
}

impl Chart {
    /// Adds somebody at the right side.
    pub fn participant(&mut self, role: Role, name: impl Into<String>) -> Lane {
        self.participants.push(Participant { role, name: name.into() });
        Lane(self.participants.len() - 1)
    }

    /// Something is asked for.
    pub fn call(&mut self, from: Lane, to: Lane, text: impl Into<String>, at: u64) {
        self.message(from, to, text, Manner::Call, Fate::Arrives, at);
    }

    /// It is given.
    pub fn answer(&mut self, from: Lane, to: Lane, text: impl Into<String>, at: u64) {
        self.message(from, to, text, Manner::Answer, Fate::Arrives, at);
    }

    /// It is refused.
    pub fn refusal(&mut self, from: Lane, to: Lane, text: impl Into<String>, at: u64) {
        self.message(from, to, text, Manner::Refusal, Fate::Arrives, at);
    }

    /// Something goes from one to another.
    pub fn message(
        &mut self,
        from: Lane,
        to: Lane,
        text: impl Into<String>,
        manner: Manner,
        fate: Fate,
        at: u64,
    ) {
        self.items.push(Item::Message { at, from, to, text: text.into(), manner, fate });
    }

    /// Something happens to one participant.
    pub fn note(&mut self, lane: Lane, text: impl Into<String>, at: u64) {
        self.items.push(Item::Note { at, lane, text: text.into() });
    }

    /// From here on something is different for all.
    pub fn divider(&mut self, text: impl Into<String>, at: u64) {
        self.items.push(Item::Divider { at, text: text.into() });
    }

    /// Here a rule is broken.
    pub fn violation(&mut self, lane: Option<Lane>, text: impl Into<String>, at: u64) {
        self.items.push(Item::Violation { at, lane, text: text.into() });
    }

    /// All that take part, from left to right.
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// All that happens, from top to bottom.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Says "and so on" where up to four items are repeated, as by a process that looks at the store again and again.
    pub(super) fn fold(&mut self) {
        let mut folded: Vec<Item> = Vec::new();
        let mut rest = self.items.as_slice();
        'items: while let Some(first) = rest.first() {
            for length in [1, 2, 4] {
                let Some((block, after)) = rest.split_at_checked(length) else { break };
                let times = after.chunks_exact(length).take_while(|next| same(block, next)).count();
                if times > 1 {
                    let (repeated, after) = after.split_at(times * length);
                    folded.extend_from_slice(block);
                    let at = repeated.last().map_or(first.at(), Item::at);
                    folded.push(Item::Repeated { at, items: length, times });
                    rest = after;
                    continue 'items;
                }
            }
            folded.push(first.clone());
            rest = &rest[1..];
        }
        self.items = folded;
    }
}

impl Lane {
    /// Counted from the left, beginning with 0.
    pub fn index(self) -> usize {
        self.0
    }
}

impl Role {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Callers => "callers",
            Self::Client => "client",
            Self::AuthorizationServer => "authorization server",
            Self::Api => "API",
            Self::Store => "store",
        }
    }
}

impl Item {
    /// When.
    pub fn at(&self) -> u64 {
        match self {
            Self::Message { at, .. }
            | Self::Note { at, .. }
            | Self::Divider { at, .. }
            | Self::Violation { at, .. }
            | Self::Repeated { at, .. } => *at,
        }
    }

    fn without_time(&self) -> Self {
        let mut item = self.clone();
        match &mut item {
            Self::Message { at, .. }
            | Self::Note { at, .. }
            | Self::Divider { at, .. }
            | Self::Violation { at, .. }
            | Self::Repeated { at, .. } => *at = 0,
        }
        item
    }
}

fn same(some: &[Item], others: &[Item]) -> bool {
    some.iter().map(Item::without_time).eq(others.iter().map(Item::without_time))
}
