//! What happens to the machines in one test, as data.
//!
//! Steps name things relatively ("the token before the last", "the effect that is out"), so that any step can be
//! executed in any state, and a script from which steps were removed is still a script. That is what makes shrinking
//! work. The text form is in [`text`](crate::text).

use crate::subject::{Policy, Settings};

/// A world, and what happens in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Where it happens.
    pub world: World,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// The setting of a script. Spans in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// How many machines there are, 1 to 3.
    pub processes: u8,
    /// Whether they share a store; without one each is alone with its credential.
    pub shared: bool,
    /// Whether an exchange needs no refresh token.
    pub ambient: bool,
    /// Whether the script begins before anybody has signed in.
    pub cold: bool,
    /// How the authorization server treats refresh tokens.
    pub server: Server,
    /// How the machines treat a refresh token whose fate is unknown.
    pub policy: Policy,
    /// The lifetime of access tokens, if the server tells it.
    pub lifetime: Option<u64>,
    /// How many callers may wait at one machine.
    pub queue: usize,
    /// Where all seeds come from.
    pub seed: u64,
}

/// How an authorization server treats refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Rotates; a second presentation revokes the family.
    Strict,
    /// Rotates; a second presentation is refused, and that is all.
    Lenient,
    /// Rotates; inside the window, counted from the first use, the parent of the active refresh token yields the
    /// same successor again. Anything else revokes the family.
    Window(u64),
    /// The same, but each presentation yields a new successor, and only the last one is good.
    LastWins(u64),
    /// Does not rotate.
    Static,
}

/// One thing that happens. The first member is the machine it happens to, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request asks for a token.
    Want(u8),
    /// The resource server refuses a token: 0 is the newest that was published.
    Refuse(u8, u8),
    /// The resource server refuses a token that never existed.
    RefuseUnknown(u8),
    /// The resource server takes a token.
    Accept(u8, u8),
    /// A waiting caller goes: 0 is the last that came.
    Cancel(u8, u8),
    /// New credentials; `false`: without refresh token.
    SignIn(u8, bool),
    /// The end of the session.
    SignOut(u8),
    /// The application clears a failure.
    Reset(u8),
    /// The request of the exchange that is out leaves the machine.
    Send(u8, Sending),
    /// The effect that was begun last comes to an end.
    Answer(u8, How),
    /// Loads are answered as they should be until something else is under way: a machine that waits for another one
    /// looks at the store again and again.
    Watch(u8),
    /// The effect that was begun first comes to an end, however long ago that was.
    Late(u8),
    /// The end of an effect is told a second time.
    Repeat(u8),
    /// Whoever ran the effect that was begun last dies.
    Abandon(u8),
    /// The process dies and starts again without memory.
    Crash(u8),
    /// The machine is told that time has passed.
    Timeout(u8),
    /// The clock of one process is moved.
    Clock(u8, i64),
    /// Time passes, for all.
    Wait(u64),
    /// What was delayed longest on its way to the store or to the server arrives.
    Land,
}

/// How a request leaves the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// In time, or not at all.
    Promptly,
    /// After a pause between the look at the clock and the first byte.
    TooLate,
    /// In time, but it is held up in the network until [`Step::Land`].
    Slowly,
}

/// How an effect comes to an end. What does not fit the effect counts as `Well`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As it should.
    Well,
    /// Nothing arrived, nothing came back.
    Lost,
    /// It arrived, and nothing came back.
    AnswerLost,
    /// Nothing came back, and it arrives later, at [`Step::Land`]. A load yields what was stored before.
    Delayed,
    /// Exchange: nothing was sent.
    NotSent,
    /// Exchange: the server cannot do it now.
    Unavailable,
    /// The same, and it says when to come back.
    RetryAfter(u64),
    /// Exchange: an error that explains nothing.
    Unexplained,
    /// Exchange: the server has revoked the family.
    Refused,
    /// Exchange: the server wants the user.
    Interaction,
    /// Exchange: the server rejects the client.
    Misconfigured,
    /// Exchange: `invalid_request`.
    InvalidRequest,
    /// Exchange: `invalid_scope`.
    InvalidScope,
    /// Exchange: it is done, and then the server breaks down: a 500 that says when to come back.
    Broken(u64),
    /// Exchange: a grant that has expired already.
    Expired,
    /// Exchange: a grant of unknown lifetime.
    Unlimited,
    /// Exchange: a grant without refresh token; the old one stays good.
    NoRefreshToken,
    /// Exchange: a grant with the old refresh token, which stays good.
    SameRefreshToken,
}

impl World {
    /// The settings of its machines.
    pub fn settings(&self) -> Settings {
        Settings {
            shared: self.shared,
            ambient: self.ambient,
            policy: self.policy,
            max_waiters: self.queue,
            ..Settings::default()
        }
    }
}

impl Default for World {
    /// One process that has signed in at a strict server, without store.
    fn default() -> Self {
        Self {
            processes: 1,
            shared: false,
            ambient: false,
            cold: false,
            server: Server::Strict,
            policy: Settings::default().policy,
            lifetime: Some(300_000),
            queue: 100,
            seed: 1,
        }
    }
}
