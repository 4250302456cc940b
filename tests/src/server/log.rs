//! What a server saw and did, request by request.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Headers, message::Request};

/// How much of a request's content is kept, in bytes.
const KEPT_BODY: usize = 64 * 1024;

/// One request, from the arrival of its head. A later copy of the log may know more about it.
///
/// The fields hold tokens as they came: they are test values that only this server honours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which server saw it.
    pub server: String,
    /// When its head had been read, since the authorization server started.
    pub at: Duration,
    /// Its method; empty if its head was not read or could not be.
    pub method: String,
    /// Its target, with the query; empty like the method.
    pub target: String,
    /// Its fields.
    pub headers: Headers,
    /// The first 64 KiB of its content.
    pub body: Vec<u8>,
    /// The length of its content.
    pub body_len: usize,
    /// The [`digest`] of its content.
    pub body_digest: u64,
    /// The token that it carried, if the authorization server ever issued it: the access token in `Authorization` or
    /// the refresh token in the content.
    pub carried: Option<Tag>,
    /// What the server made of it.
    pub verdict: Verdict,
    /// How it ended.
    pub end: End,
    /// When it ended, counted as [`at`](Self::at).
    pub ended_at: Option<Duration>,
}

/// The readable part of a token's value, which is `<tag>-<random>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Which of the two tokens.
    pub kind: TokenKind,
    /// Which session, counted from 1 in the order of [`AuthorizationServer::issue`](super::AuthorizationServer::issue).
    pub family: u32,
    /// Which grant of the session; 0 is the issued one, every exchange that yields new tokens adds 1.
    pub generation: u32,
}

/// `at-1-0`: the access token of family 1, generation 0.
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            TokenKind::Access => "at",
            TokenKind::Refresh => "rt",
        };
        write!(f, "{kind}-{}-{}", self.family, self.generation)
    }
}

/// Access token or refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// Access token.
    Access,
    /// Refresh token.
    Refresh,
}

/// What a server made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it is held, it was dropped before, or a script answered in the server's place.
    Unprocessed,
    /// Nothing that concerns tokens: a redirect, an unknown path, a wrong method.
    Plain,

    /// Token endpoint: new tokens; this is the access token.
    Granted(Tag),
    /// Token endpoint: a spent refresh token within its grace; the tokens of its successor once more.
    Repeated(Tag),
    /// Token endpoint: this spent refresh token again, outside any grace.
    Replayed {
        /// The spent token.
        spent: Tag,
        /// Whether all tokens of its family died of it.
        family_revoked: bool,
    },
    /// Token or revocation endpoint: an error code of RFC 6749 §5.2, or of RFC 7009 §2.2.1.
    Refused(&'static str),
    /// Revocation endpoint: this token was revoked; a refresh token takes its family with it.
    Revoked(Tag),

    /// Resource: this token is good.
    Accepted(Tag),
    /// Resource: no bearer token.
    Missing,
    /// Resource: a token that was never issued.
    Unknown,
    /// Resource: this token is past its end.
    Expired(Tag),
    /// Resource: this token was revoked, or its family was.
    Dead(Tag),
    /// Resource: refused because the policy says so, whatever the token.
    ByOrder,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unprocessed => f.write_str("not processed"),
            Self::Plain | Self::Accepted(_) => Ok(()),
            Self::Granted(tag) => write!(f, "granted {tag}"),
            Self::Repeated(tag) => write!(f, "granted {tag} again"),
            Self::Replayed { family_revoked: true, .. } => f.write_str("replay: family revoked"),
            Self::Replayed { family_revoked: false, .. } => f.write_str("replay"),
            Self::Refused(code) => f.write_str(code),
            Self::Revoked(_) => f.write_str("revoked"),
            Self::Missing => f.write_str("no token"),
            Self::Unknown => f.write_str("unknown token"),
            Self::Expired(_) => f.write_str("expired"),
            Self::Dead(_) => f.write_str("revoked before"),
            Self::ByOrder => f.write_str("refused by order"),
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Not yet.
    Open,
    /// With this status. Set before the answer leaves, so that whoever has the answer finds it here.
    Answered(u16),
    /// With this status, and content that breaks off.
    Cut(u16),
    /// The server closed the connection without an answer, as scripted or because it stopped.
    Dropped,
    /// The client closed the connection before it had sent everything or read the answer.
    ClientGone,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("…"),
            Self::Answered(status) => write!(f, "{status}"),
            Self::Cut(status) => write!(f, "{status}, cut"),
            Self::Dropped => f.write_str("dropped"),
            Self::ClientGone => f.write_str("client gone"),
        }
    }
}

/// A digest of content, to compare two attempts byte for byte: FNV-1a with 64 bits. Not for hostile content.
pub fn digest(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The log of one server.
#[derive(Debug)]
pub(super) struct Log {
    server: String,
    start: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// How many were taken out before the first that is here.
    taken: usize,
    seen: VecDeque<Seen>,
}

/// A place in a log, counted from its first entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry(usize);

impl Log {
    pub(super) fn new(server: &str, start: Instant) -> Self {
        Self { server: server.to_owned(), start, kept: Mutex::default() }
    }

    /// Notes a request of which the head is known.
    pub(super) fn open(&self, head: &Request) -> Entry {
        let mut kept = self.kept();
        kept.seen.push_back(Seen {
            server: self.server.clone(),
            at: self.start.elapsed(),
            method: head.method.clone(),
            target: head.target.clone(),
            headers: head.headers.clone(),
            body: Vec::new(),
            body_len: 0,
            body_digest: digest(&[]),
            carried: None,
            verdict: Verdict::Unprocessed,
            end: End::Open,
            ended_at: None,
        });
        Entry(kept.taken + kept.seen.len() - 1)
    }

    /// Notes the content, and what is known of the token in it.
    pub(super) fn content(&self, entry: Entry, request: &Request, carried: Option<Tag>) {
        let digest = digest(&request.body);
        self.change(entry, |seen| {
            seen.body = request.body.iter().take(KEPT_BODY).copied().collect();
            seen.body_len = request.body.len();
            seen.body_digest = digest;
            seen.carried = carried;
        });
    }

    pub(super) fn verdict(&self, entry: Entry, verdict: Verdict) {
        self.change(entry, |seen| seen.verdict = verdict);
    }

    pub(super) fn end(&self, entry: Entry, end: End) {
        let now = self.start.elapsed();
        self.change(entry, |seen| (seen.end, seen.ended_at) = (end, Some(now)));
    }

    pub(super) fn copy(&self) -> Vec<Seen> {
        self.kept().seen.iter().cloned().collect()
    }

    /// Takes out what ended so long ago, up to the first that has not.
    pub(super) fn take(&self, ago: Duration) -> Vec<Seen> {
        let now = self.start.elapsed();
        let mut kept = self.kept();
        let over = |seen: &&Seen| seen.ended_at.is_some_and(|at| at.saturating_add(ago) <= now);
        let number = kept.seen.iter().take_while(over).count();
        kept.taken += number;
        kept.seen.drain(..number).collect()
    }

    /// How many requests fulfil this.
    pub(super) fn count(&self, wanted: impl Fn(&Seen) -> bool) -> usize {
        self.kept().seen.iter().filter(|seen| wanted(seen)).count()
    }

    fn change(&self, Entry(index): Entry, change: impl FnOnce(&mut Seen)) {
        let mut kept = self.kept();
        let place = index.checked_sub(kept.taken);
        if let Some(seen) = place.and_then(|place| kept.seen.get_mut(place)) {
            change(seen);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
