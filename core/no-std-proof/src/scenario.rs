use alloc::{borrow::ToOwned as _, string::String, vec::Vec};

use token_refresh_core::{
    Acquire, Action, Config, Effect, Event, Failure, FailureKind, Grant, Machine, Outcome, Secret, Ticket,
    Timestamp, TokenId,
    wire::{ClientAuth, OAuthClient, Reply},
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The refresh token that the second exchange presents. The control believes in a client that forgets the rotation.
const ROTATED: &str = if cfg!(feature = "control-exit") { "rt-1" } else { "rt-2" };

/// What has to hold. The number is the exit code of the program if it does not.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// The script is sound: its tokens are valid, and each effect is answered once.
    Script = 1,
    /// After a sign-in the token is served, and nothing is started.
    SignIn = 2,
    /// Two callers whose token was refused start one exchange, which presents the refresh token (CORE-01).
    OneExchange = 3,
    /// Both get the new token (CORE-02).
    BothServed = 4,
    /// A refusal of the old token that comes late gets the new token at once and starts nothing (CORE-04).
    LateRefusal = 5,
    /// The next exchange presents the rotated refresh token.
    Rotation = 6,
    /// If that is refused, all three who wait are told (CORE-02).
    AllFailed = 7,
    /// Who asks afterwards is told the same, and nothing is started (CORE-07).
    FailureKept = 8,
}

pub(crate) fn run() -> Result<(), Check> {
    let machine = Machine::new(Config::default(), 0x5eed, NOW).map_err(|_| Check::Script)?;
    let client = OAuthClient::new(ClientAuth::None { client_id: "proof".into() });
    let mut world = World { machine, client };
    let first = sign_in(&mut world)?;
    let second = success(&mut world, first)?;
    late_refusal(&mut world, first, second)?;
    failure(&mut world, second)
}

fn sign_in(world: &mut World) -> Result<TokenId, Check> {
    let grant = Grant::new("at-1").and_then(|grant| grant.with_refresh_token("rt-1"));
    world.machine.sign_in(grant.map_err(|_| Check::Script)?, NOW);
    match world.machine.acquire(NOW) {
        Acquire::Ready(token) if world.drain().is_empty() => Ok(token.id),
        Acquire::Ready(_) | Acquire::Wait(_) | Acquire::Failed(_) => Err(Check::SignIn),
    }
}

fn success(world: &mut World, refused: TokenId) -> Result<TokenId, Check> {
    let waiting = (0..2).all(|_| matches!(world.machine.reject(refused, NOW), Acquire::Wait(_)));
    let ticket = world.drain().only_exchange("rt-1").filter(|_| waiting).ok_or(Check::OneExchange)?;

    world.answer(ticket, 200, r#"{"access_token":"at-2","token_type":"Bearer","refresh_token":"rt-2"}"#)?;
    match world.drain().outcomes.as_slice() {
        [Ok(one), Ok(other)] if one == other && one.access_token == Secret::from("at-2") => Ok(one.id),
        _ => Err(Check::BothServed),
    }
}

fn late_refusal(world: &mut World, old: TokenId, new: TokenId) -> Result<(), Check> {
    match world.machine.reject(old, NOW) {
        Acquire::Ready(token) if token.id == new && world.drain().is_empty() => Ok(()),
        Acquire::Ready(_) | Acquire::Wait(_) | Acquire::Failed(_) => Err(Check::LateRefusal),
    }
}

fn failure(world: &mut World, refused: TokenId) -> Result<(), Check> {
    let waiting = (0..3).all(|_| matches!(world.machine.reject(refused, NOW), Acquire::Wait(_)));
    let ticket = world.drain().only_exchange(ROTATED).filter(|_| waiting).ok_or(Check::Rotation)?;

    world.answer(ticket, 400, r#"{"error":"invalid_grant"}"#)?;
    let outcomes = world.drain().outcomes;
    if outcomes.len() != 3 || !outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(is_refusal)) {
        return Err(Check::AllFailed);
    }
    match world.machine.acquire(NOW) {
        Acquire::Failed(failure) if is_refusal(&failure) && world.drain().is_empty() => Ok(()),
        Acquire::Ready(_) | Acquire::Wait(_) | Acquire::Failed(_) => Err(Check::FailureKept),
    }
}

fn is_refusal(failure: &Failure) -> bool {
    failure.kind == FailureKind::Refused
}

/// The machine, and a driver for it that speaks OAuth 2 without a network.
struct World {
    machine: Machine,
    client: OAuthClient,
}

/// What the machine wants after one call: callers to be answered, and the bodies of token requests to be sent.
#[derive(Default)]
struct Batch {
    outcomes: Vec<Outcome>,
    exchanges: Vec<(Ticket, String)>,
}

impl World {
    fn drain(&mut self) -> Batch {
        let mut batch = Batch::default();
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Resolve { outcome, .. } => batch.outcomes.push(outcome),
                Action::Run(Effect::Exchange { ticket, refresh, .. }) => {
                    let request = refresh.map(|refresh| self.client.refresh(&refresh));
                    let body = request.map(|request| request.body().expose().to_owned());
                    batch.exchanges.push((ticket, body.unwrap_or_default()));
                }
                Action::Publish(_) | Action::Notify(_) | Action::Run(_) => {}
            }
        }
        batch
    }

    fn answer(&mut self, ticket: Ticket, status: u16, body: &str) -> Result<(), Check> {
        let result = self.client.read(&Reply { status, headers: &[], body: body.as_bytes() }, NOW);
        let event = Event::Exchanged { ticket, sent_at: NOW, result };
        self.machine.handle_event(event, NOW).map_err(|_| Check::Script)
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.exchanges.is_empty()
    }

    /// The exchange, if there is just one, it presents this refresh token, and nobody is answered yet.
    fn only_exchange(&self, refresh: &str) -> Option<Ticket> {
        match self.exchanges.as_slice() {
            [(ticket, body)] if self.outcomes.is_empty() => {
                let presented = body.split('&').find_map(|pair| pair.strip_prefix("refresh_token="));
                (presented == Some(refresh)).then_some(*ticket)
            }
            _ => None,
        }
    }
}
