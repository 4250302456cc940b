//! The text form of a script: one line for the world, then one step a line; `#` begins a comment.
//!
//! ```text
//! # A late refusal starts nothing.
//! world store=memory server=strict lifetime=5m
//! A refuses 0
//! A hears well
//! A refuses 1
//! ```

use std::fmt;
use std::str::FromStr;

use crate::script::{How, Script, Sending, Server, Step, World};
use crate::subject::Policy;

/// A line that is not part of the language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

const SENDINGS: [(&str, Sending); 3] =
    [("promptly", Sending::Promptly), ("too-late", Sending::TooLate), ("slowly", Sending::Slowly)];

const ENDS: [(&str, How); 16] = [
    ("well", How::Well),
    ("nothing", How::Lost),
    ("nothing-but-it-arrived", How::AnswerLost),
    ("nothing-yet", How::Delayed),
    ("not-sent", How::NotSent),
    ("unavailable", How::Unavailable),
    ("unexplained", How::Unexplained),
    ("refused", How::Refused),
    ("interaction", How::Interaction),
    ("misconfigured", How::Misconfigured),
    ("invalid-request", How::InvalidRequest),
    ("invalid-scope", How::InvalidScope),
    ("expired-grant", How::Expired),
    ("unlimited-grant", How::Unlimited),
    ("no-refresh-token", How::NoRefreshToken),
    ("same-refresh-token", How::SameRefreshToken),
];

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.world)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = if self.shared { "shared" } else { "memory" };
        write!(f, "world processes={} store={store} server=", self.processes)?;
        match self.server {
            Server::Strict => write!(f, "strict"),
            Server::Lenient => write!(f, "lenient"),
            Server::Window(window) => write!(f, "window:{}", Span(window)),
            Server::LastWins(window) => write!(f, "last-wins:{}", Span(window)),
            Server::Static => write!(f, "static"),
        }?;
        match self.policy {
            Policy::NonRotating => write!(f, " policy=non-rotating"),
            Policy::Once { window, last_resort } => {
                write!(f, " policy=once:{}{}", Span(window), suffix(last_resort))
            }
            Policy::UntilUsed => write!(f, " policy=until-used"),
            Policy::Never { last_resort } => write!(f, " policy=never{}", suffix(last_resort)),
        }?;
        match self.lifetime {
            Some(lifetime) => write!(f, " lifetime={}", Span(lifetime)),
            None => write!(f, " lifetime=unknown"),
        }?;
        write!(f, " queue={} seed={}", self.queue, self.seed)?;
        if self.ambient {
            write!(f, " refresh=ambient")?;
        }
        if self.cold {
            write!(f, " start=cold")?;
        }
        Ok(())
    }
}

fn suffix(last_resort: bool) -> &'static str {
    if last_resort { ":last-resort" } else { "" }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Want(p) => write!(f, "{} wants", Name(p)),
            Self::Refuse(p, which) => write!(f, "{} refuses {which}", Name(p)),
            Self::RefuseUnknown(p) => write!(f, "{} refuses unknown", Name(p)),
            Self::Accept(p, which) => write!(f, "{} accepts {which}", Name(p)),
            Self::Cancel(p, which) => write!(f, "{} cancels {which}", Name(p)),
            Self::SignIn(p, true) => write!(f, "{} signs-in", Name(p)),
            Self::SignIn(p, false) => write!(f, "{} signs-in no-refresh-token", Name(p)),
            Self::SignOut(p) => write!(f, "{} signs-out", Name(p)),
            Self::Reset(p) => write!(f, "{} resets", Name(p)),
            Self::Send(p, sending) => write!(f, "{} sends {}", Name(p), word(&SENDINGS, sending)),
            Self::Answer(p, How::RetryAfter(span)) => {
                write!(f, "{} hears retry-after {}", Name(p), Span(span))
            }
            Self::Answer(p, How::Broken(span)) => {
                write!(f, "{} hears broken-retry-after {}", Name(p), Span(span))
            }
            Self::Answer(p, how) => write!(f, "{} hears {}", Name(p), word(&ENDS, how)),
            Self::Watch(p) => write!(f, "{} watches", Name(p)),
            Self::Late(p) => write!(f, "{} hears-late", Name(p)),
            Self::Repeat(p) => write!(f, "{} hears-again", Name(p)),
            Self::Abandon(p) => write!(f, "{} abandons", Name(p)),
            Self::Crash(p) => write!(f, "{} crashes", Name(p)),
            Self::Timeout(p) => write!(f, "{} wakes", Name(p)),
            Self::Clock(p, by) => {
                let sign = if by < 0 { '-' } else { '+' };
                write!(f, "{} clock {sign}{}", Name(p), Span(by.unsigned_abs()))
            }
            Self::Wait(span) => write!(f, "wait {}", Span(span)),
            Self::Land => write!(f, "land"),
        }
    }
}

/// The letter of a process.
pub(crate) struct Name(pub(crate) u8);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(b'A'.saturating_add(self.0)))
    }
}

/// A span in its largest whole unit.
pub(crate) struct Span(pub(crate) u64);

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = UNITS
            .into_iter()
            .find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size))
            .unwrap_or(("ms", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

fn word<T: PartialEq + Copy>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("?", |(word, _)| word)
}

impl FromStr for Script {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut world = World::default();
        let mut steps = Vec::new();
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.split('#').next().unwrap_or_default();
            let words: Vec<&str> = content.split_whitespace().collect();
            let parsed = match words.as_slice() {
                [] => Ok(()),
                ["world", settings @ ..] => settings.iter().try_for_each(|setting| world.read(setting)),
                words => step(words).map(|step| steps.push(step)),
            };
            parsed.map_err(|what| ParseError { line, what })?;
        }
        Ok(Self { world, steps })
    }
}

impl World {
    fn read(&mut self, setting: &str) -> Result<(), String> {
        let unknown = || format!("what is \"{setting}\"?");
        let (name, value) = setting.split_once('=').ok_or_else(unknown)?;
        let parts: Vec<&str> = value.split(':').collect();
        match (name, parts.as_slice()) {
            ("processes", [count]) => self.processes = number(count)?,
            ("store", ["memory"]) => self.shared = false,
            ("store", ["shared"]) => self.shared = true,
            ("server", ["strict"]) => self.server = Server::Strict,
            ("server", ["lenient"]) => self.server = Server::Lenient,
            ("server", ["window", window]) => self.server = Server::Window(span(window)?),
            ("server", ["last-wins", window]) => self.server = Server::LastWins(span(window)?),
            ("server", ["static"]) => self.server = Server::Static,
            ("policy", ["non-rotating"]) => self.policy = Policy::NonRotating,
            ("policy", ["once", window, rest @ ..]) => {
                self.policy = Policy::Once { window: span(window)?, last_resort: last_resort(rest)? };
            }
            ("policy", ["until-used"]) => self.policy = Policy::UntilUsed,
            ("policy", ["never", rest @ ..]) => {
                self.policy = Policy::Never { last_resort: last_resort(rest)? };
            }
            ("lifetime", ["unknown"]) => self.lifetime = None,
            ("lifetime", [lifetime]) => self.lifetime = Some(span(lifetime)?),
            ("queue", [length]) => self.queue = number(length)?,
            ("seed", [seed]) => self.seed = number(seed)?,
            ("refresh", ["ambient"]) => self.ambient = true,
            ("start", ["cold"]) => self.cold = true,
            _ => return Err(unknown()),
        }
        Ok(())
    }
}

fn last_resort(rest: &[&str]) -> Result<bool, String> {
    match rest {
        [] => Ok(false),
        ["last-resort"] => Ok(true),
        _ => Err("a policy ends in :last-resort or not at all".to_owned()),
    }
}

fn step(words: &[&str]) -> Result<Step, String> {
    let unknown = || format!("what is \"{}\"?", words.join(" "));
    let (first, rest) = words.split_first().ok_or_else(unknown)?;
    let p = match *first {
        "A" => 0,
        "B" => 1,
        "C" => 2,
        "wait" => {
            let [wait] = rest else { return Err(unknown()) };
            return Ok(Step::Wait(span(wait)?));
        }
        "land" if rest.is_empty() => return Ok(Step::Land),
        _ => return Err(unknown()),
    };
    Ok(match rest {
        ["wants"] => Step::Want(p),
        ["refuses", "unknown"] => Step::RefuseUnknown(p),
        ["refuses", which] => Step::Refuse(p, number(which)?),
        ["accepts", which] => Step::Accept(p, number(which)?),
        ["cancels", which] => Step::Cancel(p, number(which)?),
        ["signs-in"] => Step::SignIn(p, true),
        ["signs-in", "no-refresh-token"] => Step::SignIn(p, false),
        ["signs-out"] => Step::SignOut(p),
        ["resets"] => Step::Reset(p),
        ["sends", sending] => Step::Send(p, value(&SENDINGS, sending).ok_or_else(unknown)?),
        ["hears", "retry-after", after] => Step::Answer(p, How::RetryAfter(span(after)?)),
        ["hears", "broken-retry-after", after] => Step::Answer(p, How::Broken(span(after)?)),
        ["hears", how] => Step::Answer(p, value(&ENDS, how).ok_or_else(unknown)?),
        ["watches"] => Step::Watch(p),
        ["hears-late"] => Step::Late(p),
        ["hears-again"] => Step::Repeat(p),
        ["abandons"] => Step::Abandon(p),
        ["crashes"] => Step::Crash(p),
        ["wakes"] => Step::Timeout(p),
        ["clock", by] => {
            let (sign, distance) = match by.split_at_checked(1) {
                Some(("-", distance)) => (-1, distance),
                Some(("+", distance)) => (1, distance),
                _ => return Err("a clock is moved by +span or -span".to_owned()),
            };
            Step::Clock(p, sign * i64::try_from(span(distance)?).map_err(|_| unknown())?)
        }
        _ => return Err(unknown()),
    })
}

fn value<T: Copy>(words: &[(&'static str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
}

fn span(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let size = value(&UNITS, &text[digits.len()..]).ok_or_else(|| format!("\"{text}\" is no span"))?;
    number::<u64>(digits)?.checked_mul(size).ok_or_else(|| format!("\"{text}\" is too long"))
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no number here"))
}
