use core::time::Duration;

use crate::{Grant, Timestamp};

/// Version of a stored record. A store raises it by one on every commit and never uses one twice: not after a
/// sign-out, not after a deletion, not after a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// Names one identity of a stored record: drawn at random at sign-in, kept by every save and by the tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Names one machine: drawn at random at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claimant(pub u64);

/// What a load yields: the record, or its absence, under the version that a commit must name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The version now in force. An empty store has one too.
    pub version: Version,
    /// The record, if there is one.
    pub record: Option<Record>,
}

/// What a store keeps, whole. A store replaces it by compare-and-set on its [`Version`] and looks at nothing in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which identity this is.
    pub session: SessionId,
    /// Raised by one with every grant saved in this session; a sign-in saves the first, 1.
    pub serial: u64,
    /// Which presentation of the refresh token yielded this grant; 0 after a sign-in.
    pub born: u32,
    /// Whether another presentation of the same refresh token may still have been under way when this was saved.
    pub contested: bool,
    /// The credential, or the mark that it is gone.
    pub body: Body,
    /// Whether the server refused the refresh token of this serial. The access token may still be good.
    pub refused: bool,
    /// How often the refresh token of this serial may have been presented; 0: never.
    pub presented: u32,
    /// Wall-clock instant of the first of these presentations. A later one does not move it.
    pub first_at: Timestamp,
    /// Who holds the claim on the refresh token, if anybody.
    pub holder: Option<Holder>,
}

/// The credential, or the mark that it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A credential.
    Grant {
        /// The tokens.
        grant: Grant,
        /// From when its lifetime counts: the instant at which the request for it was sent, or of the sign-in.
        obtained_at: Timestamp,
    },
    /// No credential yet: a claim on the first grant where none is needed to get it (`Renewal::Ambient`, `Renewal::Cookie`).
    Vacant,
    /// The session was signed out. Final for this session (SESS-04).
    SignedOut,
}

/// Who holds the claim on a refresh token, and for how long to wait for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The machine that is about to present the refresh token.
    pub claimant: Claimant,
    /// How long the others watch an unchanged record before they take over.
    pub term: Duration,
}
