//! Which tokens exist, and what each is worth: sessions, called families as in RFC 9700.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    time::Instant,
};

use super::{OldAccessToken, OnReplay, Policy, Reuse, Rotation, Successor, Tag, TokenKind, Verdict};

/// A pair of tokens. The values are readable up to a random end: `at-<family>-<generation>-<random>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
}

/// What the token endpoint makes of a refresh token.
pub(super) struct Exchanged {
    pub(super) verdict: Verdict,
    /// The tokens, unless it is refused.
    pub(super) issued: Option<Issued>,
}

/// All tokens of a server.
#[derive(Debug, Default)]
pub(super) struct Families {
    /// The family with number `n` is at index `n - 1`.
    all: Vec<Family>,
    access: BTreeMap<String, AccessToken>,
    refresh: BTreeMap<String, RefreshToken>,
}

#[derive(Debug)]
struct Family {
    /// The number of the user's first family.
    user: u32,
    generation: u32,
    current: Issued,
    /// Whether a token of the current generation was used.
    used: bool,
    revoked: bool,
}

#[derive(Debug)]
struct AccessToken {
    tag: Tag,
    ends: Option<Instant>,
    revoked: bool,
}

#[derive(Debug)]
struct RefreshToken {
    tag: Tag,
    spent: Option<Spent>,
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    first_at: Instant,
    /// The generation that it yielded last.
    successor: u32,
    /// How often it was presented again.
    reused: u32,
}

impl Families {
    /// Starts a family: of a new user, or of the one whose first family has this number.
    pub(super) fn issue(&mut self, user: Option<u32>, policy: &Policy, now: Instant) -> Issued {
        let family = u32::try_from(self.all.len()).unwrap_or(u32::MAX).saturating_add(1);
        let issued = self.mint(family, 0, None, policy, now);
        let user = user.unwrap_or(family);
        self.all.push(Family { user, generation: 0, current: issued.clone(), used: false, revoked: false });
        issued
    }

    /// Exchanges a refresh token.
    pub(super) fn exchange(&mut self, refresh_token: &str, policy: &Policy, now: Instant) -> Exchanged {
        let Some(RefreshToken { tag, spent }) = self.refresh.get(refresh_token) else { return refused() };
        let (tag, spent) = (*tag, *spent);
        let Some(family) = self.family(tag.family) else { return refused() };
        if family.revoked {
            return refused();
        }
        if family.current.refresh_token == refresh_token {
            return self.grant(refresh_token, tag.family, policy, now);
        }
        let graced = spent
            .is_some_and(|spent| spent.successor == family.generation && grace(spent, family, policy, now));
        match (graced, policy.successor, policy.on_replay) {
            (true, Successor::Same, _) => {
                let issued = family.current.clone();
                let tag = Tag { kind: TokenKind::Access, generation: family.generation, ..tag };
                self.note_spent(refresh_token, tag.generation, now);
                Exchanged { verdict: Verdict::Repeated(tag), issued: Some(issued) }
            }
            (true, Successor::New, _) | (false, _, OnReplay::Ignore) => {
                self.grant(refresh_token, tag.family, policy, now)
            }
            (false, _, OnReplay::InvalidGrant) => {
                Exchanged { verdict: Verdict::Replayed { spent: tag, family_revoked: false }, issued: None }
            }
            (false, _, OnReplay::RevokeFamily) => {
                family.revoked = true;
                Exchanged { verdict: Verdict::Replayed { spent: tag, family_revoked: true }, issued: None }
            }
            (false, _, OnReplay::RevokeUser) => {
                let user = family.user;
                self.all
                    .iter_mut()
                    .filter(|family| family.user == user)
                    .for_each(|family| family.revoked = true);
                Exchanged { verdict: Verdict::Replayed { spent: tag, family_revoked: true }, issued: None }
            }
        }
    }

    /// What a resource server has to think of an access token. An accepted one counts as used.
    pub(super) fn judge(&mut self, access_token: &str, now: Instant) -> Verdict {
        let Some(token) = self.access.get(access_token) else { return Verdict::Unknown };
        let (tag, expired, revoked) = (token.tag, token.ends.is_some_and(|ends| ends <= now), token.revoked);
        match self.family(tag.family) {
            Some(family) if !revoked && !family.revoked => {
                if expired {
                    return Verdict::Expired(tag);
                }
                family.used |= tag.generation == family.generation;
                Verdict::Accepted(tag)
            }
            _ => Verdict::Dead(tag),
        }
    }

    /// The tag of a token of either kind.
    pub(super) fn tag(&self, token: &str) -> Option<Tag> {
        let access = self.access.get(token).map(|token| token.tag);
        access.or_else(|| self.refresh.get(token).map(|token| token.tag))
    }

    /// All tokens.
    pub(super) fn tokens(&self) -> Vec<String> {
        self.access.keys().chain(self.refresh.keys()).cloned().collect()
    }

    /// The newest tokens of a family.
    pub(super) fn current(&self, family: u32) -> Option<Issued> {
        let index = usize::try_from(family).ok()?.checked_sub(1)?;
        self.all.get(index).map(|family| family.current.clone())
    }

    pub(super) fn expire(&mut self, access_token: &str, now: Instant) -> Option<Tag> {
        let token = self.access.get_mut(access_token)?;
        token.ends = Some(now);
        Some(token.tag)
    }

    /// Revokes an access token alone, or with a refresh token its whole family (RFC 7009 §2.1).
    pub(super) fn revoke(&mut self, token: &str) -> Option<Tag> {
        if let Some(access) = self.access.get_mut(token) {
            access.revoked = true;
            return Some(access.tag);
        }
        let tag = self.refresh.get(token)?.tag;
        self.revoke_family(tag.family);
        Some(tag)
    }

    pub(super) fn revoke_family(&mut self, family: u32) {
        if let Some(family) = self.family(family) {
            family.revoked = true;
        }
    }

    pub(super) fn families_revoked(&self) -> usize {
        self.all.iter().filter(|family| family.revoked).count()
    }

    fn grant(&mut self, presented: &str, number: u32, policy: &Policy, now: Instant) -> Exchanged {
        let Some(family) = self.family(number) else { return refused() };
        let generation = family.generation.saturating_add(1);
        let old = family.current.access_token.clone();
        let kept = (policy.rotation != Rotation::Always).then(|| presented.to_owned());

        let issued = self.mint(number, generation, kept, policy, now);
        if let Some(family) = self.family(number) {
            (family.generation, family.current, family.used) = (generation, issued.clone(), false);
        }
        if issued.refresh_token != presented {
            self.note_spent(presented, generation, now);
        }
        if policy.old_access_token == OldAccessToken::Dies {
            self.revoke(&old);
        }
        let tag = Tag { kind: TokenKind::Access, family: number, generation };
        Exchanged { verdict: Verdict::Granted(tag), issued: Some(issued) }
    }

    fn note_spent(&mut self, refresh_token: &str, successor: u32, now: Instant) {
        if let Some(token) = self.refresh.get_mut(refresh_token) {
            token.spent = Some(match token.spent {
                None => Spent { first_at: now, successor, reused: 0 },
                Some(spent) => Spent { successor, reused: spent.reused.saturating_add(1), ..spent },
            });
        }
    }

    fn mint(
        &mut self,
        family: u32,
        generation: u32,
        kept: Option<String>,
        policy: &Policy,
        now: Instant,
    ) -> Issued {
        let tag = |kind| Tag { kind, family, generation };
        let access_token = value(tag(TokenKind::Access));
        let ends = policy.lifetime.and_then(|lifetime| now.checked_add(lifetime));
        let access = AccessToken { tag: tag(TokenKind::Access), ends, revoked: false };
        self.access.insert(access_token.clone(), access);

        let refresh_token = kept.unwrap_or_else(|| {
            let refresh_token = value(tag(TokenKind::Refresh)) + &policy.refresh_token_tail;
            self.refresh
                .insert(refresh_token.clone(), RefreshToken { tag: tag(TokenKind::Refresh), spent: None });
            refresh_token
        });
        Issued { access_token, refresh_token }
    }

    fn family(&mut self, number: u32) -> Option<&mut Family> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.all.get_mut(index)
    }
}

/// Whether a spent refresh token that yielded the current grant may be presented once more.
fn grace(spent: Spent, family: &Family, policy: &Policy, now: Instant) -> bool {
    match policy.reuse {
        Reuse::Refuse => false,
        Reuse::Within(window) => now.saturating_duration_since(spent.first_at) <= window,
        Reuse::UntilUsed => !family.used,
        Reuse::Times(times) => spent.reused < times,
    }
}

fn refused() -> Exchanged {
    Exchanged { verdict: Verdict::Refused("invalid_grant"), issued: None }
}

/// 128 bits that nobody can guess, without a dependency: the keys of `RandomState` come from the system.
fn value(tag: Tag) -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{tag}-{:016x}{:016x}", random(), random())
}
