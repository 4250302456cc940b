use std::fmt;

use base64ct::{Base64, Encoding};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, KeyInit},
};
use zeroize::Zeroizing;

use super::{Document, FormatError};

/// Encrypts records for a place that others can read: a database, its replicas and its backups.
///
/// XChaCha20-Poly1305 with a random nonce; the name of the credential is authenticated, so a text that was copied to
/// another name does not open. The text is `token-refresh-sealed/1:` and the Base64 form of nonce, ciphertext and tag.
///
/// # Limits
///
/// Whoever can write to the database can put an older text of the same credential back. Without encryption they could
/// do worse.
#[derive(Clone)]
pub struct Seal {
    /// The first one seals, all open.
    ciphers: Vec<XChaCha20Poly1305>,
}

impl Seal {
    /// Seals and opens with this key: 32 bytes from a random number generator, not a passphrase.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { ciphers: vec![XChaCha20Poly1305::new(key.into())] }
    }

    /// Opens with this key too, so that keys can be changed: first every process learns to open with the new key, then
    /// they seal with it and open with the old one, and after one more commit of each credential the old key can go.
    #[must_use]
    pub fn opening_also(mut self, key: &[u8; 32]) -> Self {
        self.ciphers.push(XChaCha20Poly1305::new(key.into()));
        self
    }

    pub(super) fn seal(&self, name: &str, document: &Document) -> Result<String, FormatError> {
        let [cipher, ..] = self.ciphers.as_slice() else { return Err(FormatError::WrongKey) };
        let mut nonce = XNonce::default();
        getrandom::fill(&mut nonce).map_err(|_| FormatError::NoRandomness)?;
        let mut text = document.encode()?;
        cipher.encrypt_in_place(&nonce, &context(name), &mut *text).map_err(|_| FormatError::TooLarge)?;
        let sealed = [&nonce, text.as_slice()].concat();
        Ok([Document::SEALED, &Base64::encode_string(&sealed)].concat())
    }

    pub(super) fn open(&self, name: &str, text: &[u8]) -> Result<Document, FormatError> {
        let text = text.strip_prefix(Document::SEALED.as_bytes()).ok_or(FormatError::NotSealed)?;
        // A third longer for the encoding, and a little for nonce and tag.
        if text.len() / 2 > Document::MAX_BYTES {
            return Err(FormatError::TooLarge);
        }
        let text = str::from_utf8(text).map_err(|_| FormatError::WrongKey)?;
        let sealed = Base64::decode_vec(text).map_err(|_| FormatError::WrongKey)?;
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(FormatError::WrongKey)?;
        let nonce = XNonce::from(*nonce);
        let text = self.ciphers.iter().find_map(|cipher| {
            let mut text = Zeroizing::new(sealed.to_vec());
            cipher.decrypt_in_place(&nonce, &context(name), &mut *text).ok().map(|()| text)
        });
        Document::decode(&text.ok_or(FormatError::WrongKey)?)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(..)")
    }
}

/// What is authenticated beside the text.
fn context(name: &str) -> Vec<u8> {
    [Document::SEALED, name].concat().into_bytes()
}
