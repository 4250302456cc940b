use std::time::Duration;

use token_refresh_core::{
    Body, Claimant, Grant, Holder, Record, Secret, SessionId, Timestamp, TokenType, Version,
};
use zeroize::Zeroizing;

use super::{
    FormatError,
    layout::Layout,
    members::{Members, Raw},
};

#[doc = include_str!("../../docs/record-format.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The version under which the record was committed.
    pub version: Version,
    /// The record.
    pub record: Record,
    unknown: Unknown,
}

/// Members that this program does not know: those of another or of a newer one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) of_record: Raw,
    pub(super) of_grant: Raw,
}

impl Document {
    /// The value of the member `format`.
    pub const FORMAT: &str = "token-refresh/1";
    /// A longer text is neither read nor written: 4 MiB. An answer of a token endpoint has at most 1 MiB.
    pub const MAX_BYTES: usize = 4 << 20;

    /// What a commit writes over `previous`: the new record under the next version, and the members of other programs.
    ///
    /// Members beside the record's are kept for ever, those inside the grant as long as the session lasts: they may
    /// hold what belongs to the tokens, and must not outlive a sign-out.
    #[must_use]
    pub fn replacing(previous: Option<&Self>, version: Version, record: Record) -> Self {
        let mut unknown = previous.map(|previous| previous.unknown.clone()).unwrap_or_default();
        let goes_on = previous.is_some_and(|previous| previous.record.session == record.session)
            && matches!(record.body, Body::Grant { .. });
        if !goes_on {
            unknown.of_grant.clear();
        }
        Self { version, record, unknown }
    }

    /// The text, at most [`MAX_BYTES`](Self::MAX_BYTES) of UTF-8. Spans are cut to whole milliseconds.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`]; [`FormatError::Extra`] if an extra member of the grant is not JSON.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        Layout::new(self.version, &self.record, &self.unknown)?.to_text()
    }

    /// Reads the text. A time that cannot be one is taken for unknown (TIME-08); anything else that is missing or wrong
    /// is an error, since a guess could present a refresh token twice.
    ///
    /// # Errors
    /// [`FormatError`]: what is wrong, and where.
    pub fn decode(text: &[u8]) -> Result<Self, FormatError> {
        if text.len() > Self::MAX_BYTES {
            return Err(FormatError::TooLarge);
        }
        if text.starts_with(Self::SEALED.as_bytes()) {
            return Err(FormatError::Sealed);
        }
        let mut members = Members::parse(text)?;
        check_format(&mut members)?;
        let (body, of_grant) = body(&mut members)?;
        let document = Self {
            version: Version(members.number("version")?),
            record: Record {
                session: SessionId(members.number("session")?),
                serial: members.number("serial")?,
                born: members.take("born")?,
                contested: members.take("contested")?,
                body,
                refused: members.take("refused")?,
                presented: members.take("presented")?,
                first_at: timestamp(&mut members, "first_at_ms"),
                holder: members.object("holder")?.map(holder).transpose()?,
            },
            unknown: Unknown { of_record: members.rest(), of_grant },
        };
        Ok(document)
    }

    /// What an encrypted document begins with.
    pub(super) const SEALED: &str = "token-refresh-sealed/1:";
}

fn check_format(members: &mut Members<'_>) -> Result<(), FormatError> {
    let tag: String = members.take("format").map_err(|_| FormatError::NotARecord)?;
    if tag == Document::FORMAT {
        return Ok(());
    }
    let revision = tag.strip_prefix("token-refresh/").and_then(|revision| revision.parse().ok());
    Err(revision.map_or(FormatError::NotARecord, |revision| FormatError::Newer { revision }))
}

/// The body, and the unknown members of its grant.
fn body(members: &mut Members<'_>) -> Result<(Body, Raw), FormatError> {
    let kind: String = members.take("body")?;
    match (kind.as_str(), members.object("grant")?) {
        ("grant", Some(members)) => grant(members),
        ("vacant", None) => Ok((Body::Vacant, Raw::new())),
        ("signed_out", None) => Ok((Body::SignedOut, Raw::new())),
        ("grant" | "vacant" | "signed_out", _) => Err(FormatError::Member("grant")),
        _ => Err(FormatError::Member("body")),
    }
}

fn grant(mut members: Members<'_>) -> Result<(Body, Raw), FormatError> {
    let token_type: String = members.take("token_type")?;
    let token_type = TokenType::parse(&token_type).ok_or(FormatError::Member("token_type"))?;
    let access_token = Secret::new(members.take::<String>("access_token")?);
    let mut grant = Grant::new(access_token)
        .map_err(|_| FormatError::Member("access_token"))?
        .with_token_type(token_type);
    if let Some(refresh_token) = members.find::<String>("refresh_token")? {
        grant = grant.with_refresh_token(refresh_token).map_err(|_| FormatError::Member("refresh_token"))?;
    }
    if let Some(lifetime) = members.millis("lifetime_ms") {
        grant = grant.with_lifetime(Duration::from_millis(lifetime));
    }
    if let Some(scope) = members.find::<String>("scope")? {
        grant = grant.with_scope(scope);
    }
    let extra = members.object("extra")?.map(Members::rest).unwrap_or_default();
    grant = extra.into_iter().fold(grant, |grant, (name, json)| grant.with_extra(name, json));
    let obtained_at = timestamp(&mut members, "obtained_at_ms");
    Ok((Body::Grant { grant, obtained_at }, members.rest()))
}

fn holder(mut members: Members<'_>) -> Result<Holder, FormatError> {
    Ok(Holder {
        claimant: Claimant(members.number("claimant")?),
        // Whoever watches the claim uses the larger of this and its own.
        term: Duration::from_millis(members.millis("term_ms").unwrap_or(0)),
    })
}

/// Zero stands for "unknown": the core counts nothing from it.
fn timestamp(members: &mut Members<'_>, name: &str) -> Timestamp {
    Timestamp::from_millis(members.millis(name).unwrap_or(0))
}
