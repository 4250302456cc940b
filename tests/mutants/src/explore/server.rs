//! The authorization server of a small world. All that it remembers is part of a state.

use crate::{Grant, Secret, Timestamp};

/// How it treats refresh tokens; windows count from the first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rotates; a second presentation revokes the family.
    Strict,
    /// Rotates; a second presentation is refused, and that is all.
    Lenient,
    /// Rotates; inside the window the parent of the good refresh token yields the same successor again.
    Window,
    /// The same, but each presentation yields a new successor, and only the last one is good.
    LastWins,
    /// Does not rotate.
    Static,
}

/// A refresh token by its number.
pub(super) type Rt = u8;

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) families: Vec<Family>,
    refresh: Vec<Refresh>,
    /// The families of the access tokens.
    access: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) good: Rt,
    /// Why it is over, if it is.
    pub(super) end: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Refresh {
    family: u8,
    parent: Option<Rt>,
    first_used: Option<Timestamp>,
}

pub(super) const REUSE: &str = "reuse";
pub(super) const REVOKED: &str = "revoked";

impl Server {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, families: Vec::new(), refresh: Vec::new(), access: Vec::new() }
    }

    pub(super) fn sign_in(&mut self) -> Grant {
        let family = number(self.families.len());
        self.families.push(Family { good: number(self.refresh.len()), end: None });
        self.refresh.push(Refresh { family, parent: None, first_used: None });
        self.grant(family)
    }

    /// `None`: refused.
    pub(super) fn present(&mut self, rt: Rt, window: core::time::Duration, now: Timestamp) -> Option<Grant> {
        let known = self.refresh.get_mut(usize::from(rt))?;
        let (index, first) = (known.family, known.first_used);
        known.first_used.get_or_insert(now);
        let family = self.families.get_mut(usize::from(index))?;
        if family.end.is_some() {
            return None;
        }
        let good = family.good;
        if good == rt {
            if self.kind != Kind::Static {
                self.rotate(rt, index);
            }
            return Some(self.grant(index));
        }
        let in_window = first.is_some_and(|first| now <= first.after(window));
        let is_parent = self.refresh.get(usize::from(good))?.parent == Some(rt);
        match self.kind {
            Kind::Window if is_parent && in_window => Some(self.grant(index)),
            Kind::LastWins if is_parent && in_window => {
                self.rotate(rt, index);
                Some(self.grant(index))
            }
            Kind::Lenient | Kind::Static => None,
            Kind::Strict | Kind::Window | Kind::LastWins => {
                self.end(index, REUSE);
                None
            }
        }
    }

    pub(super) fn revoke(&mut self, rt: Rt) {
        self.end(self.family(rt), REVOKED);
    }

    pub(super) fn family(&self, rt: Rt) -> u8 {
        self.refresh.get(usize::from(rt)).map_or(u8::MAX, |known| known.family)
    }

    pub(super) fn family_of_access(&self, access: u8) -> u8 {
        self.access.get(usize::from(access)).copied().unwrap_or(u8::MAX)
    }

    /// The refresh token that is good now in this family, if the family is not over.
    pub(super) fn good(&self, family: u8) -> Option<Rt> {
        self.families.get(usize::from(family)).filter(|family| family.end.is_none()).map(|family| family.good)
    }

    fn end(&mut self, family: u8, why: &'static str) {
        if let Some(family) = self.families.get_mut(usize::from(family)) {
            family.end.get_or_insert(why);
        }
    }

    fn rotate(&mut self, parent: Rt, family: u8) {
        let minted = number(self.refresh.len());
        self.refresh.push(Refresh { family, parent: Some(parent), first_used: None });
        if let Some(family) = self.families.get_mut(usize::from(family)) {
            family.good = minted;
        }
    }

    /// The scope names both tokens, since `Debug` does not show them and a state is told by its `Debug` text.
    fn grant(&mut self, family: u8) -> Grant {
        let access = self.access.len();
        self.access.push(family);
        let good = self.families.get(usize::from(family)).map_or(0, |family| family.good);
        Grant::new(format!("a{access}"))
            .and_then(|grant| grant.with_refresh_token(format!("r{good}")))
            .expect("they are tokens")
            .with_scope(format!("a{access}r{good}"))
    }
}

/// The number of a token that the server minted.
pub(super) fn id(token: &Secret) -> u8 {
    token.expose().get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(u8::MAX)
}

pub(super) fn refresh_of(grant: &Grant) -> Rt {
    grant.refresh_token().map_or(u8::MAX, id)
}

fn number(count: usize) -> u8 {
    u8::try_from(count).expect("a small world mints few tokens")
}
