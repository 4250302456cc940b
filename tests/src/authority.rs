//! A model of an authorization server: it mints all tokens of a script and remembers what was presented to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::script::{How, Server};
use crate::vocabulary::{ExchangeError, Grant};

/// The server, with all that it knows.
#[derive(Clone, Debug)]
pub struct Authority {
    kind: Server,
    lifetime: Option<u64>,
    families: Vec<Family>,
    access: BTreeMap<String, AccessToken>,
    refresh: BTreeMap<String, RefreshToken>,
    presentations: Vec<Presentation>,
}

/// All tokens that go back to one sign-in.
#[derive(Clone, Debug)]
pub struct Family {
    /// The refresh token that is good now, if the family has one.
    pub active: Option<String>,
    /// Why none of it is good any more.
    pub end: Option<End>,
}

/// How a family ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A spent refresh token was presented: taken for theft.
    Reuse,
    /// The server's own decision.
    ByServer,
    /// The client asked for it.
    Revoked,
}

/// An access token the server minted.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// Index of its family.
    pub family: usize,
    /// Its lifetime in milliseconds, if the server told it.
    pub lifetime: Option<u64>,
}

/// A refresh token the server minted.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Index of its family.
    pub family: usize,
    /// Counts the refresh tokens of all families in the order in which they were minted.
    pub rank: usize,
    parent: Option<String>,
    first_used: Option<u64>,
}

/// A refresh token reached the server.
#[derive(Clone, Debug)]
pub struct Presentation {
    /// Milliseconds of true time, from which the clocks of processes may differ.
    pub at: u64,
    /// By which process.
    pub process: u8,
    /// The refresh token; `None` if the exchange needs none.
    pub refresh: Option<String>,
    /// Whether it was spent before, and its family not yet ended: what a strict server takes for theft.
    pub again: bool,
}

impl Authority {
    /// A server of this kind, whose access tokens live for so many milliseconds.
    pub fn new(kind: Server, lifetime: Option<u64>) -> Self {
        Self {
            kind,
            lifetime,
            families: Vec::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            presentations: Vec::new(),
        }
    }

    /// Somebody signs in.
    pub fn sign_in(&mut self, with_refresh_token: bool) -> Grant {
        self.families.push(Family { active: None, end: None });
        let family = self.families.len() - 1;
        let refresh_token = with_refresh_token.then(|| self.mint_refresh(family, None));
        self.mint_access(family, refresh_token, self.lifetime)
    }

    /// A refresh token is presented, or nothing if the exchange needs none.
    ///
    /// # Errors
    /// What the client is told if it gets no grant.
    pub fn present(
        &mut self,
        refresh: Option<&str>,
        how: How,
        process: u8,
        at: u64,
    ) -> Result<Grant, ExchangeError> {
        let declined = match how {
            How::Unavailable => Some(ExchangeError::Transient(None)),
            How::RetryAfter(after) => Some(ExchangeError::Transient(Some(after))),
            How::Unexplained => Some(ExchangeError::Unexplained),
            How::Interaction => Some(ExchangeError::Interaction),
            How::Misconfigured => Some(ExchangeError::Misconfigured),
            How::InvalidRequest => Some(ExchangeError::InvalidRequest),
            How::InvalidScope => Some(ExchangeError::InvalidScope),
            _ => None,
        };
        let again = declined.is_none() && refresh.is_some_and(|refresh| self.is_spent(refresh));
        self.presentations.push(Presentation { at, process, refresh: refresh.map(str::to_owned), again });
        if let Some(error) = declined {
            return Err(error);
        }
        let lifetime = match how {
            How::Expired => Some(0),
            How::Unlimited => None,
            _ => self.lifetime,
        };
        match refresh {
            None => {
                if self.families.is_empty() {
                    self.families.push(Family { active: None, end: None });
                }
                Ok(self.mint_access(self.families.len() - 1, None, lifetime))
            }
            Some(refresh) => self.rotate(refresh, how, lifetime, at).ok_or(ExchangeError::Permanent),
        }
    }

    fn rotate(&mut self, refresh: &str, how: How, lifetime: Option<u64>, at: u64) -> Option<Grant> {
        let kind = self.kind;
        let known = self.refresh.get_mut(refresh)?;
        let first_used = known.first_used;
        let index = known.family;
        let family = self.families.get_mut(index)?;
        if how == How::Refused {
            family.end.get_or_insert(End::ByServer);
        }
        if family.end.is_some() {
            return None;
        }
        let active = family.active.clone()?;
        if active == refresh {
            return Some(match (kind, how) {
                (Server::Static, _) | (_, How::NoRefreshToken) => self.mint_access(index, None, lifetime),
                (_, How::SameRefreshToken) => self.mint_access(index, Some(refresh.to_owned()), lifetime),
                _ => {
                    known.first_used = Some(at);
                    let successor = self.mint_refresh(index, Some(refresh));
                    self.mint_access(index, Some(successor), lifetime)
                }
            });
        }
        let in_window = |window: u64| first_used.is_some_and(|first| at <= first.saturating_add(window));
        let is_parent = self.refresh.get(&active)?.parent.as_deref() == Some(refresh);
        match kind {
            Server::Window(window) if is_parent && in_window(window) => {
                Some(self.mint_access(index, Some(active), lifetime))
            }
            Server::LastWins(window) if is_parent && in_window(window) => {
                let successor = self.mint_refresh(index, Some(refresh));
                Some(self.mint_access(index, Some(successor), lifetime))
            }
            Server::Lenient | Server::Static => None,
            Server::Strict | Server::Window(_) | Server::LastWins(_) => {
                self.families.get_mut(index)?.end = Some(End::Reuse);
                None
            }
        }
    }

    /// The client revokes a refresh token, and with it the whole grant (RFC 7009 §2.1).
    pub fn revoke(&mut self, refresh: &str) {
        if let Some(family) = self.refresh.get(refresh).and_then(|known| self.families.get_mut(known.family))
        {
            family.end.get_or_insert(End::Revoked);
        }
    }

    fn mint_refresh(&mut self, family: usize, parent: Option<&str>) -> String {
        let rank = self.refresh.len();
        let minted = format!("rt{rank}");
        let parent = parent.map(str::to_owned);
        self.refresh.insert(minted.clone(), RefreshToken { family, rank, parent, first_used: None });
        if let Some(family) = self.families.get_mut(family) {
            family.active = Some(minted.clone());
        }
        minted
    }

    fn mint_access(&mut self, family: usize, refresh_token: Option<String>, lifetime: Option<u64>) -> Grant {
        let access_token = format!("at{}", self.access.len());
        self.access.insert(access_token.clone(), AccessToken { family, lifetime });
        Grant { access_token, refresh_token, lifetime }
    }

    /// What is known of an access token.
    pub fn access_token(&self, value: &str) -> Option<&AccessToken> {
        self.access.get(value)
    }

    /// What is known of a refresh token.
    pub fn refresh_token(&self, value: &str) -> Option<&RefreshToken> {
        self.refresh.get(value)
    }

    /// All families, in the order of their sign-ins.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// All presentations, in order of arrival.
    pub fn presentations(&self) -> &[Presentation] {
        &self.presentations
    }

    /// The refresh tokens that are good now.
    pub fn active(&self) -> BTreeSet<String> {
        self.families
            .iter()
            .filter(|family| family.end.is_none())
            .filter_map(|family| family.active.clone())
            .collect()
    }

    fn is_spent(&self, refresh: &str) -> bool {
        let family = self.refresh.get(refresh).and_then(|known| self.families.get(known.family));
        family.is_some_and(|family| family.end.is_none() && family.active.as_deref() != Some(refresh))
    }
}
