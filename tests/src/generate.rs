//! Scripts by chance, and how to make a failing one smaller.
//!
//! One table of weights serves all: a script is made from numbers, wherever they come from. [`Scripts`] is the
//! proptest strategy, [`script`] takes a seed, and [`from_numbers`] takes what a fuzzer found.

use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::script::{How, Script, Sending, Server, Step, World};
use crate::shrink::Shrinking;
use crate::subject::Policy;

/// A family of worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One process without a store.
    Memory,
    /// One process with a store.
    Stored,
    /// Two or three processes with one store.
    Several,
}

/// The strategy for scripts of a family: so many steps at most.
#[derive(Clone, Copy, Debug)]
pub struct Scripts {
    /// In which worlds.
    pub family: Family,
    /// The greatest number of steps.
    pub steps: usize,
}

impl Strategy for Scripts {
    type Tree = Shrinking;
    type Value = Script;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = proptest::num::u64::ANY.new_tree(runner)?.current();
        Ok(Shrinking::new(script(self.family, self.steps, seed)))
    }
}

impl ValueTree for Shrinking {
    type Value = Script;

    fn current(&self) -> Script {
        self.candidate().clone()
    }

    fn simplify(&mut self) -> bool {
        self.failed()
    }

    fn complicate(&mut self) -> bool {
        self.passed()
    }
}

/// The script of this seed.
pub fn script(family: Family, steps: usize, seed: u64) -> Script {
    let mut state = seed;
    let mut next = move || {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let length = usize::try_from(next()).unwrap_or_default() % (steps + 1);
    let numbers: Vec<u64> = std::iter::repeat_with(&mut next).take(length + 1).collect();
    from_numbers(family, &numbers)
}

/// The script that these numbers stand for: the first is the world, each other one is a step, or a few that lead
/// somewhere.
pub fn from_numbers(family: Family, numbers: &[u64]) -> Script {
    let mut first = Numbers(numbers.first().copied().unwrap_or_default());
    let weather = if first.below(4) == 0 { Weather::Fair } else { Weather::Rough };
    let world = world(family, weather, &mut first);
    let mut steps = Vec::new();
    for number in numbers.iter().skip(1) {
        let mut numbers = Numbers(*number);
        if world.shared && numbers.below(12) == 0 {
            contest(&world, weather, &mut numbers, &mut steps);
        } else {
            steps.push(step(&world, weather, &mut numbers));
        }
    }
    Script { world, steps }
}

/// Whether things go wrong in the world.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    Rough,
}

fn world(family: Family, weather: Weather, numbers: &mut Numbers) -> World {
    let window = [30_000, 30_000, 30_000, 60_000, 5_000][numbers.below(5)];
    let server = match numbers.below(8) {
        0..=2 => Server::Strict,
        3 => Server::Lenient,
        4 | 5 => Server::Window(window),
        6 => Server::LastWins(window),
        _ => Server::Static,
    };
    let policy = match numbers.below(8) {
        0 | 1 => Policy::Once { window, last_resort: true },
        2 | 3 => Policy::Once { window, last_resort: false },
        4 => Policy::Never { last_resort: true },
        5 => Policy::Never { last_resort: false },
        6 => Policy::UntilUsed,
        _ if server == Server::Static => Policy::NonRotating,
        _ => Policy::Once { window, last_resort: true },
    };
    World {
        processes: match family {
            Family::Memory | Family::Stored => 1,
            Family::Several => [2, 2, 2, 3][numbers.below(4)],
        },
        shared: family != Family::Memory,
        ambient: numbers.below(16) == 0,
        cold: numbers.below(16) == 0,
        server,
        policy,
        lifetime: [Some(300_000), Some(300_000), Some(3_600_000), Some(30_000), None][numbers.below(5)],
        queue: [100, 100, 2, 1][numbers.below(4)],
        seed: numbers.below(if weather == Weather::Fair { 50 } else { 1000 }) as u64,
    }
}

/// One process presents the stored refresh token; a second one may wait for it, take over, and do so too.
fn contest(world: &World, weather: Weather, numbers: &mut Numbers, steps: &mut Vec<Step>) {
    let first = numbers.process(world);
    let second = numbers.process(world);
    for p in [first, second] {
        steps.extend([Step::Refuse(p, 0), Step::Watch(p), Step::Answer(p, How::Well)]);
        match numbers.below(4) {
            0 => return,
            1 if weather == Weather::Rough => steps.push(Step::Crash(p)),
            _ => steps.push(Step::Send(p, Sending::Promptly)),
        }
    }
}

fn step(world: &World, weather: Weather, numbers: &mut Numbers) -> Step {
    let p = numbers.process(world);
    let rough = weather == Weather::Rough;
    let which = |numbers: &mut Numbers| [0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5][numbers.below(12)];
    match numbers.below(if rough { 116 } else { 100 }) {
        0..=14 => Step::Want(p),
        15..=26 => Step::Refuse(p, which(numbers)),
        27..=29 => Step::Accept(p, which(numbers)),
        30..=33 => Step::Cancel(p, which(numbers)),
        34..=35 => Step::SignIn(p, numbers.below(8) > 0),
        36 => Step::SignOut(p),
        37 => Step::Reset(p),
        38..=43 => Step::Send(p, Sending::Promptly),
        44..=48 => Step::Watch(p),
        49..=79 => Step::Answer(p, if rough { how(numbers) } else { How::Well }),
        80..=84 => Step::Timeout(p),
        85..=96 => Step::Wait(if rough { span(numbers) } else { [1, 50, 500, 2_000][numbers.below(4)] }),
        97 => Step::Repeat(p),
        98 => Step::RefuseUnknown(p),
        99..=102 => Step::Late(p),
        103..=105 => Step::Land,
        106 | 107 => Step::Abandon(p),
        108 | 109 => Step::Crash(p),
        110 => Step::Clock(p, [-5_000, -500, 500, 5_000, 3_600_000][numbers.below(5)]),
        111 => Step::Send(p, Sending::TooLate),
        112 => Step::Send(p, Sending::Slowly),
        _ => Step::Wait(span(numbers)),
    }
}

fn how(numbers: &mut Numbers) -> How {
    match numbers.below(44) {
        0..=19 => How::Well,
        20..=23 => How::Lost,
        24..=26 => How::AnswerLost,
        27 | 28 => How::Delayed,
        29 => How::NotSent,
        30 => How::Unavailable,
        31 => How::RetryAfter([7_000, 90_000, 7_200_000][numbers.below(3)]),
        32 => How::Unexplained,
        33 => How::Refused,
        34 => How::Interaction,
        35 => How::Misconfigured,
        36 => How::Expired,
        37 => How::Unlimited,
        38 => How::NoRefreshToken,
        39 => How::InvalidRequest,
        40 | 41 => How::InvalidScope,
        42 => How::Broken([7_000, 90_000, 7_200_000][numbers.below(3)]),
        _ => How::SameRefreshToken,
    }
}

/// Around all limits of the default settings.
fn span(numbers: &mut Numbers) -> u64 {
    [
        1, 50, 500, 500, 1_000, 2_000, 2_001, 5_000, 10_000, 13_000, 15_000, 16_000, 30_000, 60_000, 230_000,
        245_000, 295_000, 7_200_000,
    ][numbers.below(18)]
}

/// A number that is used up from its low end.
struct Numbers(u64);

impl Numbers {
    fn process(&mut self, world: &World) -> u8 {
        u8::try_from(self.below(world.processes.into())).unwrap_or_default()
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        let digit = self.0 % bound;
        self.0 /= bound;
        usize::try_from(digit).unwrap_or_default()
    }
}
