use token_refresh_core::Version;
use zeroize::Zeroizing;

use super::{Document, FormatError, Seal};

/// How a database keeps one credential: a version that it can compare, and a text that it does not look into, encrypted
/// or not.
#[derive(Clone, Debug)]
pub struct RowFormat {
    name: String,
    seal: Option<Seal>,
}

impl RowFormat {
    /// For the credential of this name; encrypted, if there is a [`Seal`].
    pub fn new(name: impl Into<String>, seal: Option<Seal>) -> Self {
        Self { name: name.into(), seal }
    }

    /// The name of the credential.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text for the row.
    ///
    /// # Errors
    /// As [`Document::encode`]; [`FormatError::NoRandomness`].
    pub fn encode(&self, document: &Document) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        match &self.seal {
            Some(seal) => seal.seal(&self.name, document).map(|text| Zeroizing::new(text.into_bytes())),
            None => document.encode(),
        }
    }

    /// What the row holds, given its version and its text.
    ///
    /// # Errors
    /// As [`Document::decode`]; the errors of encryption; [`FormatError::Member`] if the text belongs to another version.
    pub fn decode(&self, version: Version, text: &[u8]) -> Result<Document, FormatError> {
        let document = match &self.seal {
            Some(seal) => seal.open(&self.name, text)?,
            None => Document::decode(text)?,
        };
        if document.version == version { Ok(document) } else { Err(FormatError::Member("version")) }
    }
}
