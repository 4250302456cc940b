/// Why a text is not a record that this program can use, or a record cannot be made a text.
///
/// Says where and what, and never shows a value (SEC-04).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// More than [`Document::MAX_BYTES`](super::Document::MAX_BYTES).
    #[error("the record is larger than 4 MiB")]
    TooLarge,
    /// Not the JSON text of one object, or the object has a doubled member.
    #[error("the record is damaged or cut off at line {line}, column {column}")]
    Damaged {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A member is absent or has a value that it cannot have.
    #[error("the record is damaged: its member `{0}` is missing or has no possible value")]
    Member(&'static str),
    /// JSON, but the tag is not one of this format's.
    #[error("this is not a token-refresh record: its member `format` is something else")]
    NotARecord,
    /// Written by a newer program.
    #[error("the record is in format token-refresh/{revision}, and this program knows only token-refresh/1")]
    Newer {
        /// The number in the tag.
        revision: u64,
    },
    /// The record cannot be written: text that was given as JSON is none.
    #[error("an extra member of the grant is not JSON, so the record cannot be written")]
    Extra,
    /// Encrypted, and the store has no key.
    #[error("the record is encrypted, and the store was given no key")]
    Sealed,
    /// Not encrypted, though the store has a key. It is not read, since whoever can write the row could have put it
    /// there.
    #[error("the record is not encrypted, though the store was given a key")]
    NotSealed,
    /// No key opens it.
    #[error("the record is encrypted with another key or under another name, or was altered")]
    WrongKey,
    /// The operating system gave no random number.
    #[error("the operating system gave no random number")]
    NoRandomness,
}

impl FormatError {
    /// Keeps the place only: the text of such an error may show what stands there.
    #[expect(clippy::needless_pass_by_value, reason = "stands as `map_err(FormatError::damaged)`")]
    pub(super) fn damaged(error: serde_json::Error) -> Self {
        Self::Damaged { line: error.line(), column: error.column() }
    }
}
