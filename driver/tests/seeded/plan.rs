//! What a seed decides: the session, what goes wrong with each call of a port, and what the callers do.

use std::time::Duration;

use token_refresh_driver::{AmbiguousPolicy, Backoff, Config, Margin};

/// How long a spent refresh token may be presented again.
pub(crate) const WINDOW: Duration = Duration::from_secs(40);
/// How long an access token lives.
pub(crate) const LIFETIME: Duration = Duration::from_secs(300);

/// A reproducible choice (`SplitMix64`).
#[derive(Clone)]
pub(crate) struct Choice(u64);

impl Choice {
    /// Of one seed, for one purpose, the so many-th time: so that threads do not take each other's choices.
    pub(crate) fn of(seed: u64, purpose: &str, number: u64) -> Self {
        let purpose = purpose.bytes().fold(seed, |mixed, byte| Self(mixed ^ u64::from(byte)).next());
        Self(purpose ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    /// Mostly none, often short, now and then longer than any limit.
    pub(crate) fn delay(&mut self) -> Duration {
        Duration::from_millis(match self.below(20) {
            0..10 => 0,
            10..17 => self.below(400),
            17..19 => self.below(4_000),
            _ => self.below(20_000),
        })
    }
}

/// How the server treats a spent refresh token, and what the session is told of it.
pub(crate) fn policy(choice: &mut Choice) -> AmbiguousPolicy {
    let last_resort = choice.below(2) == 0;
    match choice.below(3) {
        0 => AmbiguousPolicy::Never { last_resort },
        1 => AmbiguousPolicy::Once { window: WINDOW, last_resort },
        _ => AmbiguousPolicy::NonRotating,
    }
}

/// Without what the machine draws at random, as far as it can be without.
pub(crate) fn config(ambiguous: AmbiguousPolicy) -> Config {
    let mut config = Config::default();
    config.ambiguous = ambiguous;
    config.jitter = Margin { at_most: Duration::ZERO, percent: 0 };
    config.backoff = Backoff { base: Duration::ZERO, cap: Duration::ZERO };
    config
}

/// What becomes of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Well,
    NotSent,
    /// The connection breaks before the server has acted, or after.
    LostBefore,
    LostAfter,
    /// The transport panics, before the first byte or after the server has acted.
    PanicBefore,
    PanicAfter,
    /// The server does not act, and says so.
    Busy,
    /// The server has acted and says something else.
    Error,
    Garbled,
}

/// A token request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) connect: Duration,
    pub(crate) before: Duration,
    pub(crate) after: Duration,
    pub(crate) fate: Fate,
    /// The client tries to send it again by itself.
    pub(crate) again: bool,
    /// A blocking transport does not keep its time limit.
    pub(crate) overruns: bool,
}

impl Request {
    pub(crate) const WELL: Self = Self {
        connect: Duration::ZERO,
        before: Duration::ZERO,
        after: Duration::ZERO,
        fate: Fate::Well,
        again: false,
        overruns: false,
    };

    pub(crate) fn draw(choice: &mut Choice) -> Self {
        const FATES: [Fate; 8] = [
            Fate::NotSent,
            Fate::LostBefore,
            Fate::LostAfter,
            Fate::PanicBefore,
            Fate::PanicAfter,
            Fate::Busy,
            Fate::Error,
            Fate::Garbled,
        ];
        let fate = if choice.below(2) == 0 { Fate::Well } else { FATES[choice.index(FATES.len())] };
        let (connect, before, after) = (choice.delay(), choice.delay(), choice.delay());
        Self { connect, before, after, fate, again: choice.below(4) == 0, overruns: choice.below(3) == 0 }
    }
}

/// What becomes of a call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreFate {
    Well,
    /// A load fails, or a commit does and is not written.
    Fails,
    /// A load shows what was there before; a commit is written, and its answer is lost.
    Deceives,
    /// A commit is answered as lost, and written later, if it still fits.
    Late,
    PanicBefore,
    PanicAfter,
}

impl StoreFate {
    pub(crate) fn draw(choice: &mut Choice) -> Self {
        match choice.below(20) {
            0 => Self::Fails,
            1 | 2 => Self::Deceives,
            3 => Self::Late,
            4 => Self::PanicBefore,
            5 => Self::PanicAfter,
            _ => Self::Well,
        }
    }
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// It comes with a refusal of the token that its session had when it was planned.
    pub(crate) refuses: bool,
    pub(crate) limit: Duration,
    pub(crate) comes_after: Duration,
    /// When a caller that is a future gives up.
    pub(crate) gives_up_after: Option<Duration>,
}

impl Demand {
    pub(crate) const PATIENT: Self = Self {
        refuses: false,
        limit: Duration::from_secs(3_600),
        comes_after: Duration::ZERO,
        gives_up_after: None,
    };

    pub(crate) fn draw(choice: &mut Choice) -> Self {
        Self {
            refuses: choice.below(3) > 0,
            limit: [0, 1, 30, 30, 600].map(Duration::from_secs)[choice.index(5)],
            comes_after: choice.delay(),
            gives_up_after: (choice.below(5) == 0).then(|| choice.delay()),
        }
    }
}

/// What the application does besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    SignIn,
    SignOut,
    Reset,
    Accept,
}

impl Deed {
    /// Mostly nothing.
    pub(crate) fn draw(choice: &mut Choice) -> Option<Self> {
        match choice.below(12) {
            0 | 1 => Some(Self::SignIn),
            2 => Some(Self::SignOut),
            3 => Some(Self::Reset),
            4..7 => Some(Self::Accept),
            _ => None,
        }
    }
}
