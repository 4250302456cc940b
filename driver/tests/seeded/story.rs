//! What happens in a run, whichever the loop: callers and deeds while things go wrong, then a time without faults.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use token_refresh_driver::{Config, Error, Session, SessionBuilder, Token, TokenId};

use crate::{
    faults::{Rest, Way},
    plan::{Choice, Deed, Demand, config, policy},
    world::World,
};

/// Longer than anything is waited for, and than any token lives.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);

/// One of the two loops, and callers for it.
pub(crate) trait Loop: Rest {
    fn open(&self, builder: SessionBuilder, way: Way<Self>, shared: bool) -> Session;

    /// Somebody asks for a token, or for another than this one; `then` is told how long it took, and the answer.
    fn ask(
        &self,
        session: &Session,
        refused: Option<TokenId>,
        demand: Demand,
        then: impl FnOnce(Duration, Result<Token, Error>) + Send + 'static,
    );

    fn settle(&self, session: &Session, then: impl FnOnce(Result<(), Error>) + Send + 'static);

    fn later(&self, after: Duration, work: impl FnOnce() + Send + 'static);

    /// Returns when all of the above have come to an end.
    fn complete(&self, sessions: &[Session]);

    /// As [`complete`](Self::complete), but no time passes except what sessions wait for themselves: no caller is late.
    fn complete_in_time(&self);

    /// Returns when nobody but the caller has the world.
    fn leave(&self, world: &Arc<World>);
}

pub(crate) fn play<L: Loop>(seed: u64, of: &L) {
    let mut choice = Choice::of(seed, "run", 0);
    let world = Arc::new(World::new(seed, policy(&mut choice)));
    let (shared, number) = [(false, 1), (true, 1), (true, 2)][choice.index(3)];
    let open = |who| {
        let way = Way { world: Arc::clone(&world), who, time: of.clone() };
        let config: Config = config(world.policy);
        of.open(Session::builder().config(config), way, shared)
    };
    let sessions: Vec<Session> = (0..number).map(open).collect();
    sessions[0].sign_in(world.issue());

    for _ in 0..4 {
        for _ in 0..=choice.below(4) {
            let (session, demand) = (&sessions[choice.index(number)], Demand::draw(&mut choice));
            let told = Arc::clone(&world);
            let refused = session.current().filter(|_| demand.refuses);
            let id = refused.as_ref().map(Token::id);
            of.ask(session, id, demand, move |waited, answer| {
                told.answered(refused.as_ref(), waited, demand.limit, &answer);
            });
        }
        if let Some(deed) = Deed::draw(&mut choice) {
            let (session, world) = (sessions[choice.index(number)].clone(), Arc::clone(&world));
            of.later(choice.delay(), move || does(&session, deed, &world));
        }
        of.complete(&sessions);
        pass(of, &sessions, [1, 20, 100, 400][choice.index(4)]);
    }

    world.heal();
    recover(of, &world, &sessions);
    in_the_end(of, &world, &sessions);
    drop(sessions);
    of.leave(&world);
    world.assert_nothing_wrong();
}

fn does(session: &Session, deed: Deed, world: &World) {
    match deed {
        Deed::SignIn => session.sign_in(world.issue()),
        Deed::SignOut => session.sign_out(),
        Deed::Reset => {
            world.state().reset = true;
            session.reset();
        }
        Deed::Accept => {
            if let Some(token) = session.current() {
                session.accept(token.id());
            }
        }
    }
}

/// Nothing goes wrong any more. What cannot be mended by asking is mended by a sign-in.
fn recover<L: Loop>(of: &L, world: &Arc<World>, sessions: &[Session]) {
    settle(of, world, sessions);
    pass(of, sessions, LONG.as_secs());
    are_served(of, world, sessions);
    pass(of, sessions, 60);
    if !are_served(of, world, sessions) {
        sessions[0].sign_in(world.issue());
        settle(of, world, sessions);
        // The other session hears of it when its token ends, and fails those who had asked for the user before.
        pass(of, sessions, LONG.as_secs());
        are_served(of, world, sessions);
    }
    settle(of, world, sessions);
    pass(of, sessions, LONG.as_secs());
}

/// All tokens have expired, and everybody is served by one refresh; then they are refused, and everybody is again.
fn in_the_end<L: Loop>(of: &L, world: &Arc<World>, sessions: &[Session]) {
    for refuses in [false, true] {
        let before = world.state().grants;
        let tokens: Vec<_> = sessions.iter().map(Session::current).collect();
        // One session after the other: who waits for another's claim waits for time.
        let answers: Vec<_> = sessions
            .iter()
            .zip(tokens)
            .flat_map(|(session, token)| {
                let answers = asks(of, world, session, token.as_ref().filter(|_| refuses), 3);
                of.complete_in_time();
                std::mem::take(&mut *answers.lock().unwrap())
            })
            .collect();
        let tokens: Vec<_> = answers.iter().flatten().map(|token| token.secret().clone()).collect();
        let served = tokens.len() == answers.len() && tokens.iter().all(|token| *token == tokens[0]);
        let refreshes = world.state().grants - before;
        if !served || refreshes != 1 {
            world.wrong(format!("refused: {refuses}; without faults, {refreshes} refreshes and {answers:?}"));
        }
        for (session, token) in sessions.iter().filter_map(|session| Some((session, session.current()?))) {
            session.accept(token.id());
        }
    }
    settle(of, world, sessions);
}

/// Whether all sessions have a token for whoever asks.
fn are_served<L: Loop>(of: &L, world: &Arc<World>, sessions: &[Session]) -> bool {
    let answers: Vec<_> = sessions.iter().map(|session| asks(of, world, session, None, 1)).collect();
    of.complete(sessions);
    answers.iter().all(|answers| answers.lock().unwrap().iter().all(Result::is_ok))
}

/// So many ask for a token, or for another than this one.
fn asks<L: Loop>(
    of: &L,
    world: &Arc<World>,
    session: &Session,
    refused: Option<&Token>,
    number: usize,
) -> Arc<Mutex<Vec<Result<Token, Error>>>> {
    let answers = Arc::<Mutex<Vec<_>>>::default();
    for _ in 0..number {
        let (world, answers, refused) = (Arc::clone(world), Arc::clone(&answers), refused.cloned());
        let id = refused.as_ref().map(Token::id);
        of.ask(session, id, Demand::PATIENT, move |waited, answer| {
            world.answered(refused.as_ref(), waited, LONG, &answer);
            answers.lock().unwrap().push(answer);
        });
    }
    answers
}

fn settle<L: Loop>(of: &L, world: &Arc<World>, sessions: &[Session]) {
    for session in sessions {
        let world = Arc::clone(world);
        of.settle(session, move |settled| {
            if settled.is_err() {
                world.wrong("a session does not settle");
            }
        });
    }
    of.complete_in_time();
}

fn pass<L: Loop>(of: &L, sessions: &[Session], seconds: u64) {
    of.later(Duration::from_secs(seconds), || {});
    of.complete(sessions);
}
