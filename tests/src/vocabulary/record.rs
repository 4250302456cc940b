//! What a shared store keeps.

use serde::{Deserialize, Serialize};

use super::Grant;

/// What the store keeps under one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Which identity.
    pub session: u64,
    /// Raised by one with every grant saved.
    pub serial: u64,
    /// Number of the presentation that yielded this grant.
    pub born: u32,
    /// Whether another presentation of its parent might still have been under way.
    pub contested: bool,
    /// The credential.
    pub body: Body,
    /// Whether the server refused this serial's refresh token.
    pub refused: bool,
    /// How often it may have been presented.
    pub presented: u32,
    /// Since when.
    pub first_at: u64,
    /// Who holds the claim: which machine, and for how long the others wait for it.
    pub holder: Option<Holder>,
}

/// Who holds the claim on a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Which machine.
    pub claimant: u64,
    /// For how long the others wait.
    pub term: u64,
}

/// The credential of a record, or its absence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A credential.
    Grant {
        /// The tokens.
        #[serde(flatten)]
        grant: Grant,
        /// From when the lifetime counts.
        obtained_at: u64,
    },
    /// None yet.
    Vacant,
    /// None any more.
    SignedOut,
}

impl Record {
    /// The grant, if there is one.
    pub fn grant(&self) -> Option<&Grant> {
        match &self.body {
            Body::Grant { grant, .. } => Some(grant),
            Body::Vacant | Body::SignedOut => None,
        }
    }
}
