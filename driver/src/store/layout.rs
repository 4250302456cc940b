//! How a record is laid out as JSON. Reading is the mirror image, in `document.rs`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use serde::Serialize;
use serde_json::value::RawValue;
use token_refresh_core::{Body, Grant, Record, Secret, Timestamp, Version};
use zeroize::Zeroizing;

use super::{Document, FormatError, document::Unknown};

#[derive(Serialize)]
pub(super) struct Layout<'a> {
    format: &'static str,
    version: String,
    session: String,
    serial: String,
    born: u32,
    contested: bool,
    refused: bool,
    presented: u32,
    first_at_ms: u64,
    holder: Option<HolderLayout>,
    body: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<GrantLayout<'a>>,
    #[serde(flatten)]
    unknown: BTreeMap<&'a str, &'a RawValue>,
}

#[derive(Serialize)]
struct HolderLayout {
    claimant: String,
    term_ms: u64,
}

#[derive(Serialize)]
struct GrantLayout<'a> {
    obtained_at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_ms: Option<u64>,
    token_type: &'static str,
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<&'a str, &'a RawValue>,
    #[serde(flatten)]
    unknown: BTreeMap<&'a str, &'a RawValue>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(
        version: Version,
        record: &'a Record,
        unknown: &'a Unknown,
    ) -> Result<Self, FormatError> {
        let (body, grant) = match &record.body {
            Body::Grant { grant, obtained_at } => {
                ("grant", Some(GrantLayout::new(grant, *obtained_at, unknown)?))
            }
            Body::Vacant => ("vacant", None),
            Body::SignedOut => ("signed_out", None),
        };
        Ok(Self {
            format: Document::FORMAT,
            version: version.0.to_string(),
            session: record.session.0.to_string(),
            serial: record.serial.to_string(),
            born: record.born,
            contested: record.contested,
            refused: record.refused,
            presented: record.presented,
            first_at_ms: record.first_at.as_millis(),
            holder: record.holder.map(|holder| HolderLayout {
                claimant: holder.claimant.0.to_string(),
                term_ms: millis(holder.term),
            }),
            body,
            grant,
            unknown: raw(unknown.of_record.iter().map(|(name, json)| (name.as_str(), json)))?,
        })
    }

    /// The text. It is measured first, because a buffer that grows leaves copies of the tokens behind.
    pub(super) fn to_text(&self) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let mut size = Size(0);
        serde_json::to_writer(&mut size, self).map_err(FormatError::damaged)?;
        if size.0 > Document::MAX_BYTES {
            return Err(FormatError::TooLarge);
        }
        let mut text = Zeroizing::new(Vec::with_capacity(size.0));
        serde_json::to_writer(&mut *text, self).map_err(FormatError::damaged)?;
        Ok(text)
    }
}

impl<'a> GrantLayout<'a> {
    fn new(grant: &'a Grant, obtained_at: Timestamp, unknown: &'a Unknown) -> Result<Self, FormatError> {
        Ok(Self {
            obtained_at_ms: obtained_at.as_millis(),
            lifetime_ms: grant.lifetime().map(millis),
            token_type: grant.token_type().scheme(),
            access_token: grant.access_token().expose(),
            refresh_token: grant.refresh_token().map(Secret::expose),
            scope: grant.scope(),
            extra: raw(grant.extra())?,
            unknown: raw(unknown.of_grant.iter().map(|(name, json)| (name.as_str(), json)))?,
        })
    }
}

fn raw<'a>(
    members: impl Iterator<Item = (&'a str, &'a Secret)>,
) -> Result<BTreeMap<&'a str, &'a RawValue>, FormatError> {
    members
        .map(|(name, json)| {
            let json = serde_json::from_str(json.expose()).map_err(|_| FormatError::Extra)?;
            Ok((name, json))
        })
        .collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Counts what is written.
struct Size(usize);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
