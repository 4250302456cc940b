//! What makes two states the same.
//!
//! A state is told by the `Debug` text of all its parts, so that a new member of the machine cannot be forgotten. The
//! numbers in it that only name something are replaced: instants by their distance from now, versions by theirs from
//! the version in force, ids by the order in which they occur. How long ago something was is told only as long as it
//! can matter.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};

/// Takes in the text piece by piece, as `write!` yields it.
pub(super) struct Key {
    now: u64,
    version: u64,
    sessions: HashMap<u64, u64>,
    claimants: HashMap<u64, u64>,
    tickets: HashMap<u64, u64>,
    /// What the next number is.
    kind: Kind,
    digits: Option<u64>,
    word: String,
    /// What is being told.
    field: String,
    hashers: [DefaultHasher; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Instant,
    Version,
    Session,
    Claimant,
    Ticket,
}

impl Key {
    pub(super) fn new(version: u64) -> Self {
        let mut second = DefaultHasher::new();
        second.write_u8(1);
        Self {
            now: 0,
            version,
            sessions: HashMap::new(),
            claimants: HashMap::new(),
            tickets: HashMap::new(),
            kind: Kind::Plain,
            digits: None,
            word: String::new(),
            field: String::new(),
            hashers: [DefaultHasher::new(), second],
        }
    }

    /// What follows is told by this clock, and has tickets of its own.
    pub(super) fn part(&mut self, now: u64, what: impl fmt::Debug) {
        self.now = now;
        self.tickets.clear();
        write!(self, "{what:?};").expect("a key takes any text");
    }

    pub(super) fn finish(self) -> u128 {
        let [first, second] = self.hashers.map(|hasher| hasher.finish());
        u128::from(first) << 64 | u128::from(second)
    }

    fn hash(&mut self, bytes: &[u8]) {
        for hasher in &mut self.hashers {
            hasher.write(bytes);
        }
    }

    fn number(&mut self, number: u64) {
        let fresh = |known: &mut HashMap<u64, u64>| {
            let next = known.len() as u64;
            *known.entry(number).or_insert(next)
        };
        let named = match self.kind {
            Kind::Plain => number,
            Kind::Instant if number == 0 || number == u64::MAX => number,
            Kind::Instant => {
                let past = self.now.saturating_sub(number).min(matters(&self.field));
                (1 << 40) + number.saturating_sub(self.now) - past
            }
            Kind::Version => self.version.wrapping_sub(number),
            Kind::Session => fresh(&mut self.sessions),
            Kind::Claimant => fresh(&mut self.claimants),
            Kind::Ticket => fresh(&mut self.tickets),
        };
        self.hash(&named.to_le_bytes());
    }
}

/// For how many milliseconds the past of a field matters, with the limits of a [`Setting`](super::Setting).
fn matters(field: &str) -> u64 {
    match field {
        // Only lifetimes count from here, and the tokens of these worlds have none; or it is only told to observers.
        "obtained_at" | "started" => 0,
        // It is due, or it is not.
        "look_at" | "give_up_at" | "retry" | "pause" | "breaker" | "until" | "not_before" | "send_by" => 1,
        // The send limit, and the term.
        "claimed_at" => 11,
        "written_at" => 1_800,
        // The save limit.
        "trouble_since" => 11,
        // The rate window.
        "starts" => 301,
        // Twice the longest pause between two looks.
        "seen_at" => 1_001,
        // The cool-down.
        "fruitless_at" => 2_001,
        // The server's window, and a clock that is ahead.
        _ => 5_100,
    }
}

impl Write for Key {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte.is_ascii_digit() && (self.digits.is_some() || self.word.is_empty()) {
                self.digits =
                    Some(self.digits.unwrap_or(0).wrapping_mul(10).wrapping_add((byte - b'0').into()));
                continue;
            }
            if let Some(number) = self.digits.take() {
                self.number(number);
                self.kind = Kind::Plain;
            }
            if byte.is_ascii_alphanumeric() || byte == b'_' {
                self.word.push(byte as char);
                continue;
            }
            if byte == b'(' {
                self.kind = match self.word.as_str() {
                    "Timestamp" => Kind::Instant,
                    "Version" => Kind::Version,
                    "SessionId" => Kind::Session,
                    "Claimant" => Kind::Claimant,
                    "Ticket" => Kind::Ticket,
                    _ => Kind::Plain,
                };
            }
            if byte == b':' && !self.word.is_empty() {
                self.field.clone_from(&self.word);
            }
            if !self.word.is_empty() {
                let word = std::mem::take(&mut self.word);
                self.hash(word.as_bytes());
                self.word = word;
                self.word.clear();
            }
            if byte != b' ' {
                self.hash(&[byte]);
            }
        }
        Ok(())
    }
}
