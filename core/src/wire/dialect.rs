use alloc::{string::String, vec::Vec};

use crate::{
    ExchangeError, Grant, Secret, Timestamp, TokenType,
    wire::{
        ErrorReply, IdTokenSubject, Reply,
        classify::{Endpoint, classify},
        expires_in,
        json::{Object, Unusable, unquote},
    },
};

/// The longest token that is taken, in bytes. A longer one could be received, but no server would read it (SEC-06).
const MAX_TOKEN: usize = 64 * 1024;
/// How many further members of an answer are kept, and how long they may be together, in bytes.
const MAX_EXTRA_MEMBERS: usize = 32;
const MAX_EXTRA_BYTES: usize = 64 * 1024;

/// How one kind of endpoint says what it has to say.
pub(super) struct Dialect<'a> {
    /// Where the access token stands: a dotted path.
    pub(super) access_token: &'a str,
    /// Where the refresh token stands.
    pub(super) refresh_token: &'a str,
    /// Where the lifetime stands.
    pub(super) expires_in: &'a str,
    /// Whether the answer has to name the type of the token.
    pub(super) token_type: TokenTypeMember,
    /// What an error without an explanation means.
    pub(super) endpoint: Endpoint,
    /// Whose ID Tokens may be in the answer, if anybody looks.
    pub(super) id_tokens_of: Option<&'a IdTokenSubject>,
    /// What the user knows about errors of this endpoint.
    pub(super) rule: fn(&ErrorReply<'_>) -> Option<ExchangeError>,
}

/// Whether the answer has to name the type of the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenTypeMember {
    /// RFC 6749 §5.1.
    Required,
    /// Bearer, if it does not.
    Optional,
}

impl Dialect<'_> {
    pub(super) fn read(&self, reply: &Reply<'_>, now: Timestamp) -> Result<Grant, ExchangeError> {
        let object = Some(reply.body).filter(|body| body.len() <= super::MAX_BODY).and_then(Object::parse);
        let error = ErrorReply::new(reply, object.as_ref(), now);
        if let Some(object) = object.as_ref().filter(|_| error.is_success())
            && let Ok(grant) = self.grant(object)
        {
            let admitted = self.admits(object);
            return if admitted { Ok(grant) } else { Err(ExchangeError::Permanent) };
        }
        Err((self.rule)(&error).unwrap_or_else(|| classify(self.endpoint, &error)))
    }

    /// As [`read`](Self::read), for an endpoint that may put everything into cookies: `None` is a success that says
    /// nothing more, with no content or with JSON in which there is no access token (COOK-02). A page is none.
    pub(super) fn read_renewal(
        &self,
        reply: &Reply<'_>,
        now: Timestamp,
    ) -> Result<Option<Grant>, ExchangeError> {
        let object = Object::parse(reply.body);
        let silent = match &object {
            Some(object) => matches!(object.find(self.access_token), Ok(None)),
            None => reply.body.trim_ascii().is_empty(),
        };
        let error = ErrorReply::new(reply, object.as_ref(), now);
        if silent && reply.body.len() <= super::MAX_BODY && error.is_success() {
            return Ok(None);
        }
        self.read(reply, now).map(Some)
    }

    /// A grant, or nothing: a half-understood answer is not used. Its refresh token might be lost that way, but a
    /// wrong one would be presented otherwise.
    fn grant(&self, object: &Object<'_>) -> Result<Grant, Unusable> {
        let access_token = token(object, self.access_token)?.ok_or(Unusable)?;
        let mut grant =
            Grant::new(access_token).map_err(|_| Unusable)?.with_token_type(self.token_type(object)?);
        // An empty refresh token is no refresh token: the old one stays (XRSP-03).
        if let Some(refresh_token) = token(object, self.refresh_token)? {
            grant = grant.with_refresh_token(refresh_token).map_err(|_| Unusable)?;
        }
        if let Some(lifetime) = object.find(self.expires_in).ok().flatten().and_then(expires_in::lifetime) {
            grant = grant.with_lifetime(lifetime);
        }
        if let Some(scope) = scope(object) {
            grant = grant.with_scope(scope);
        }
        Ok(self.with_extra(grant, object))
    }

    /// A type that is not understood makes the answer useless (AUTH-02), whatever it has cost.
    fn token_type(&self, object: &Object<'_>) -> Result<TokenType, Unusable> {
        match object.text("token_type")? {
            Some(name) => TokenType::parse(&name).filter(|known| *known != TokenType::Cookie).ok_or(Unusable),
            None if self.token_type == TokenTypeMember::Optional => Ok(TokenType::Bearer),
            None => Err(Unusable),
        }
    }

    /// Another user's answer does not enter this session (XRSP-08). There need not be an ID Token in it.
    fn admits(&self, object: &Object<'_>) -> bool {
        let Some(subject) = self.id_tokens_of else { return true };
        match object.text("id_token") {
            Ok(id_token) => id_token.is_none_or(|id_token| subject.has(&id_token)),
            Err(Unusable) => false,
        }
    }

    fn with_extra(&self, grant: Grant, object: &Object<'_>) -> Grant {
        let read = [self.access_token, self.refresh_token, self.expires_in, "token_type", "scope"]
            .map(|path| path.split('.').next().unwrap_or(path));
        let mut room = MAX_EXTRA_BYTES;
        object
            .members()
            .filter(|(name, _)| !read.contains(name))
            .filter(|(name, json)| {
                let rest = room.checked_sub(name.len().saturating_add(json.len()));
                room = rest.unwrap_or(room);
                rest.is_some()
            })
            .take(MAX_EXTRA_MEMBERS)
            .fold(grant, |grant, (name, json)| grant.with_extra(name, Secret::from(json)))
    }
}

fn token(object: &Object<'_>, path: &str) -> Result<Option<String>, Unusable> {
    match object.text(path)? {
        Some(token) if token.len() > MAX_TOKEN => Err(Unusable),
        token => Ok(token),
    }
}

/// The scope; some servers send a list instead of the text of RFC 6749 §3.3. Anything else says nothing (XRSP-06).
fn scope(object: &Object<'_>) -> Option<String> {
    let json = object.find("scope").ok().flatten()?;
    let list = || serde_json::from_str::<Vec<String>>(json).ok();
    unquote(json).or_else(|| Some(list()?.join(" "))).filter(|scope| !scope.is_empty())
}
