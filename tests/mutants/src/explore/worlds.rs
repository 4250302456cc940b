//! Which worlds are explored.

use super::server::Kind;
use super::setting::{Fault, Setting, WINDOW};
use crate::AmbiguousPolicy;

const ONCE: AmbiguousPolicy = AmbiguousPolicy::Once { window: WINDOW, last_resort: false };
const LAST_RESORT: AmbiguousPolicy = AmbiguousPolicy::Once { window: WINDOW, last_resort: true };
const NEVER: AmbiguousPolicy = AmbiguousPolicy::Never { last_resort: false };
const NEVER_BUT: AmbiguousPolicy = AmbiguousPolicy::Never { last_resort: true };

/// Servers, each with a policy that fits it.
const PAIRS: [(Kind, AmbiguousPolicy); 8] = [
    (Kind::Strict, LAST_RESORT),
    (Kind::Strict, NEVER),
    (Kind::Strict, NEVER_BUT),
    (Kind::Lenient, LAST_RESORT),
    (Kind::Window, ONCE),
    (Kind::Window, AmbiguousPolicy::UntilUsed),
    (Kind::LastWins, ONCE),
    (Kind::Static, AmbiguousPolicy::NonRotating),
];

/// What can become of a request.
const EXCHANGE: [Fault; 7] = [
    Fault::RequestLost,
    Fault::ReplyLost,
    Fault::ReplyDelayed,
    Fault::RequestDelayed,
    Fault::Transient,
    Fault::NotSent,
    Fault::PauseBeforeSend,
];

/// What can become of a look at the store, or of a commit.
const STORE: [Fault; 5] = [
    Fault::StoreUnavailable,
    Fault::StaleLoad,
    Fault::CommitLost,
    Fault::CommitUnanswered,
    Fault::CommitDelayed,
];

/// What can become of a process.
const PROCESS: [Fault; 4] = [Fault::Crash, Fault::Pause, Fault::Suspend, Fault::Vanish];

/// What can become of a sign-in or a sign-out.
const IDENTITY: [Fault; 5] =
    [Fault::ReplyDelayed, Fault::CommitLost, Fault::CommitUnanswered, Fault::CommitDelayed, Fault::Crash];

fn all() -> Vec<Fault> {
    [EXCHANGE.as_slice(), &STORE, &PROCESS].concat()
}

/// One process: callers who come together and wait, two identities, a token for each demand, one fault, one caller who
/// gives up, a queue of two.
pub fn alone(demands: u8) -> Vec<Setting> {
    let world = |(server, policy), shared| Setting {
        shared,
        demands,
        late: 1,
        cancels: 1,
        sign_ins: 1,
        queue: 2,
        ..Setting::new(1, server, policy).with(1, &all())
    };
    PAIRS.into_iter().flat_map(|pair| [world(pair, false), world(pair, true)]).collect()
}

/// Processes with one store, each with so many demands.
pub fn together(processes: usize, demands: u8, faults: u8) -> Vec<Setting> {
    let world = |(server, policy)| Setting {
        demands,
        ages: 1,
        ..Setting::new(processes, server, policy).with(faults, &all())
    };
    PAIRS.into_iter().map(world).collect()
}

/// Where the faults of the protocol show, one small world for each way to find them.
pub fn hunting_grounds() -> Vec<Setting> {
    let world = |processes, (server, policy), demands, kinds: &[Fault]| Setting {
        demands,
        ..Setting::new(processes, server, policy).with(1, kinds)
    };
    let mut grounds = vec![world(2, PAIRS[0], 1, &[])];
    // Claimed inside the window, paused, and gone on with after it.
    let two = [Fault::RequestLost, Fault::Pause];
    grounds.push(Setting { faults: 2, ..world(1, PAIRS[4], 1, &two) });
    // Those first that show most.
    let telling =
        [Fault::Pause, Fault::ReplyDelayed, Fault::Suspend, Fault::Transient, Fault::CommitUnanswered];
    let others = all().into_iter().filter(|kind| !telling.contains(kind));
    for kind in telling.into_iter().chain(others) {
        let pairs = [PAIRS[4], PAIRS[1], PAIRS[0], PAIRS[3], PAIRS[6], PAIRS[7]];
        grounds.extend(pairs.into_iter().map(|pair| world(2, pair, 1, &[kind])));
    }
    grounds.push(Setting { ages: 1, ..world(1, PAIRS[4], 2, &all()) });
    grounds.extend(identities(0));
    grounds.extend(identities(1));
    let two = [Fault::Pause, Fault::ReplyDelayed];
    grounds.extend([4, 3, 7].map(|pair| world(2, PAIRS[pair], 2, &two)));
    let two = [Fault::Crash, Fault::Pause, Fault::ReplyLost, Fault::CommitLost];
    grounds.push(Setting { ages: 1, faults: 2, ..world(2, PAIRS[4], 1, &two) });
    grounds
}

/// Faults of the protocol that show only in a world of their own, each with that world.
pub fn directed() -> Vec<(&'static str, Setting)> {
    let world = |processes, (server, policy), demands, faults, kinds: &[Fault]| Setting {
        demands,
        ..Setting::new(processes, server, policy).with(faults, kinds)
    };
    let (strict, window, last_wins) = (PAIRS[0], PAIRS[4], PAIRS[6]);
    let late = [Fault::ReplyDelayed, Fault::Pause];
    let signs_in = |sign_ins, kind| Setting { sign_ins, ..world(2, strict, 0, 1, &[kind]) };
    vec![
        ("exchange-without-store", world(1, window, 1, 1, &[Fault::StoreUnavailable])),
        ("elder-sibling-kept", world(2, last_wins, 1, 2, &late)),
        ("later-sibling-dropped", world(1, last_wins, 1, 2, &[Fault::ReplyDelayed])),
        ("never-contested", world(1, window, 1, 1, &[Fault::ReplyLost])),
        ("anchored-at-the-answer", world(1, window, 1, 1, &[Fault::CommitSlow])),
        ("suspend-counted", world(2, window, 2, 1, &[Fault::Suspend])),
        ("watch-not-restarted", world(2, window, 1, 2, &[Fault::Pause])),
        (
            "unsaved-not-owed",
            world(2, window, 1, 3, &[Fault::ReplyDelayed, Fault::CommitLost, Fault::StoreUnavailable]),
        ),
        ("sign-in-unrecognised", signs_in(1, Fault::CommitUnanswered)),
        ("unanswered-forgotten", signs_in(2, Fault::CommitDelayed)),
    ]
}

/// Two processes with one store, whose session is signed out, and another one signed in.
pub fn identities(faults: u8) -> Vec<Setting> {
    let world = |(server, policy)| Setting {
        demands: 1,
        sign_ins: 1,
        sign_outs: 1,
        ..Setting::new(2, server, policy).with(faults, &IDENTITY)
    };
    [PAIRS[0], PAIRS[4]].into_iter().map(world).collect()
}
