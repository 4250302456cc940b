//! What a record says, without its secrets.

use std::time::{Duration, SystemTime};

use humantime::{format_duration, format_rfc3339_seconds};
use serde_json::{Value, json};
use token_refresh_hyper::driver::{Body, Holder, SessionId, Stored, Timestamp};

/// What the credentials file says, as far as anybody may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    version: u64,
    record: Option<Known>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    session: SessionId,
    generation: u64,
    content: Content,
    /// The server refused the refresh token.
    refused: bool,
    /// How often the refresh token may have been presented.
    presented: u32,
    holder: Option<Holder>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Tokens { end: Option<Timestamp>, has_refresh_token: bool, scope: Option<String> },
    Vacant,
    SignedOut,
}

/// What somebody who asks for a token now can expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The access token is good, as far as the file knows.
    Good,
    /// It has ended, and the next who asks refreshes it.
    Due,
    /// Somebody has the claim on the refresh token and is refreshing it.
    Refreshing,
    /// The first token is yet to be fetched.
    Vacant,
    /// It has ended or will, and there is nothing to refresh it with.
    NeedsSignIn,
    SignedOut,
    /// Nobody has ever signed in.
    NoRecord,
}

impl From<Stored> for Facts {
    fn from(stored: Stored) -> Self {
        let record = stored.record.map(|record| Known {
            session: record.session,
            generation: record.serial,
            content: match &record.body {
                Body::Grant { grant, obtained_at } => Content::Tokens {
                    end: grant.lifetime().map(|lifetime| obtained_at.after(lifetime)),
                    has_refresh_token: grant.refresh_token().is_some(),
                    scope: grant.scope().map(str::to_owned),
                },
                Body::Vacant => Content::Vacant,
                Body::SignedOut => Content::SignedOut,
            },
            refused: record.refused,
            presented: record.presented,
            holder: record.holder,
        });
        Self { version: stored.version.0, record }
    }
}

impl Facts {
    pub(crate) fn state(&self, now: Timestamp) -> State {
        let Some(record) = &self.record else { return State::NoRecord };
        match &record.content {
            Content::SignedOut => State::SignedOut,
            _ if record.holder.is_some() => State::Refreshing,
            Content::Vacant => State::Vacant,
            Content::Tokens { end, has_refresh_token, .. } => {
                let ended = end.is_some_and(|end| end <= now);
                match (ended, *has_refresh_token && !record.refused) {
                    (false, _) => State::Good,
                    (true, true) => State::Due,
                    (true, false) => State::NeedsSignIn,
                }
            }
        }
    }

    /// For people: names and values.
    pub(crate) fn rows(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        let Some(record) = &self.record else { return rows };
        rows.push(("generation", format!("{}, version {} of the record", record.generation, self.version)));
        if let Content::Tokens { end, has_refresh_token, scope } = &record.content {
            rows.push(("access token", end.map_or("its end is not known".into(), |end| when(end, now))));
            rows.push((
                "refresh token",
                match (has_refresh_token, record.refused, record.presented) {
                    (false, ..) => "none".to_owned(),
                    (true, true, _) => "refused by the server".to_owned(),
                    (true, false, 0) => "not used yet".to_owned(),
                    (true, false, 1) => "may have been presented once".to_owned(),
                    (true, false, times) => format!("may have been presented {times} times"),
                },
            ));
            rows.extend(scope.clone().map(|scope| ("scope", scope)));
        }
        rows.push((
            "claim",
            record.holder.map_or("held by nobody".into(), |holder| format!("held by {}", name(holder))),
        ));
        rows
    }

    /// For programs.
    pub(crate) fn json(&self, now: Timestamp) -> Value {
        let record = self.record.as_ref();
        let tokens = record.and_then(|record| match &record.content {
            Content::Tokens { end, has_refresh_token, scope } => {
                Some((*end, *has_refresh_token, scope.clone()))
            }
            Content::Vacant | Content::SignedOut => None,
        });
        let holder = record.and_then(|record| record.holder);
        json!({
            "state": self.state(now).word(),
            "version": self.version,
            "session": record.map(|record| format!("{:016x}", record.session.0)),
            "generation": record.map(|record| record.generation),
            "ends": tokens.as_ref().and_then(|(end, ..)| end.map(instant)),
            "has_refresh_token": tokens.as_ref().is_some_and(|(_, has, _)| *has),
            "refresh_token_refused": record.is_some_and(|record| record.refused),
            "presented": record.map(|record| record.presented),
            "scope": tokens.and_then(|(.., scope)| scope),
            "claim": holder.map(|holder| json!({
                "claimant": format!("{:016x}", holder.claimant.0),
                "term_ms": u64::try_from(holder.term.as_millis()).unwrap_or(u64::MAX),
            })),
        })
    }

    /// What has happened since then, in words.
    pub(crate) fn since(&self, earlier: &Self, now: Timestamp) -> String {
        let Some(record) = &self.record else { return "the record is gone".into() };
        let Some(before) = earlier.record.as_ref().filter(|before| before.session == record.session) else {
            return format!("a new session: {}", self.state(now).sentence());
        };
        let mut news = Vec::new();
        if record.content == Content::SignedOut && before.content != Content::SignedOut {
            news.push("signed out".to_owned());
        }
        if record.generation != before.generation {
            let end = match &record.content {
                Content::Tokens { end: Some(end), .. } => format!(", {}", when(*end, now)),
                _ => String::new(),
            };
            news.push(format!("new tokens, generation {}{end}", record.generation));
        }
        if record.refused && !before.refused {
            news.push("the server has refused the refresh token".to_owned());
        }
        match (before.holder, record.holder) {
            (None, Some(holder)) => news.push(format!("claimed by {}", name(holder))),
            (Some(before), Some(holder)) if before.claimant != holder.claimant => {
                news.push(format!("taken over by {}", name(holder)));
            }
            (Some(_), None) if news.is_empty() => news.push("the claim was given back".to_owned()),
            _ => {}
        }
        if news.is_empty() { format!("version {} of the record", self.version) } else { news.join("; ") }
    }
}

impl State {
    /// For programs.
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Due => "due",
            Self::Refreshing => "refreshing",
            Self::Vacant => "vacant",
            Self::NeedsSignIn => "needs_sign_in",
            Self::SignedOut => "signed_out",
            Self::NoRecord => "no_record",
        }
    }

    /// For people.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Good => "there is a good access token",
            Self::Due => "the access token has ended; whoever asks next refreshes it",
            Self::Refreshing => "a refresh is under way",
            Self::Vacant => "the first token is yet to be fetched",
            Self::NeedsSignIn => "the access token has ended and cannot be refreshed",
            Self::SignedOut => "signed out",
            Self::NoRecord => "nobody has signed in yet",
        }
    }

    pub(crate) fn needs_sign_in(self) -> bool {
        matches!(self, Self::NeedsSignIn | Self::SignedOut | Self::NoRecord)
    }
}

/// Who, and until when the others leave the claim alone.
fn name(holder: Holder) -> String {
    format!("{:016x}, for {} at most", holder.claimant.0, format_duration(holder.term))
}

fn when(end: Timestamp, now: Timestamp) -> String {
    let seconds = |span: Duration| format_duration(Duration::from_secs(span.as_secs()));
    if end <= now {
        format!("ended {} ago, at {}", seconds(now.since(end)), instant(end))
    } else {
        format!("ends in {}, at {}", seconds(end.since(now)), instant(end))
    }
}

/// As RFC 3339 writes it.
fn instant(instant: Timestamp) -> String {
    // Later than that, the calendar has no name for it.
    const LATEST: u64 = 253_402_300_799_000;
    let since = Duration::from_millis(instant.as_millis().min(LATEST));
    format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).to_string()
}
