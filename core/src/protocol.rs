//! The claim protocol: what to do next with a refresh token that other processes may hold too.
//!
//! One primitive: a record under a version, replaced by compare-and-set. A claim is committed before the refresh token
//! is presented; that, not a lock, is what makes a second presentation impossible when a process dies or stalls.
//! Everything here is a pure function of what was read; [`Machine`](crate::Machine) carries it out. A machine without a
//! store takes the same decisions about a record that nobody else can touch.

use core::time::Duration;

use crate::{
    AmbiguousPolicy, Body, Claimant, Config, FailureKind, Grant, Holder, Persistence, Record, Renewal,
    SessionId, Timestamp,
};

/// What a run may do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// This identity is over: another took its place, or it was signed out or deleted elsewhere (rule 10).
    Ended(FailureKind),
    /// Write the grant in hand.
    Save,
    /// The grant in hand was written before, only the answer was lost.
    Saved,
    /// Drop the grant in hand and take the stored one; never revoke it (rule 6).
    Supersede,
    /// Take the newer token that is stored.
    Adopt,
    /// Nothing is left to do.
    Rest,
    /// Give back a claim of one's own.
    Release,
    /// Write down that the server refused this refresh token (rule 9).
    Mark,
    /// Wait for another process: look again.
    Watch,
    /// Claim the refresh token for presentation number `n`, the first byte to leave no later than `latest`.
    Claim { n: u32, latest: Timestamp },
    /// There is no token to be had.
    Fail(FailureKind),
}

/// How much the demand for a token wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: the run is there for what is owed to the store.
    Nothing,
    /// A newer token, but the present one still serves (CORE-16).
    Soon,
    /// A token.
    Now,
}

/// A grant in hand that is not in the store: the only copy of a successor.
#[derive(Clone, Debug)]
pub(crate) struct Unsaved {
    pub(crate) grant: Grant,
    pub(crate) obtained_at: Timestamp,
    /// The serial whose refresh token was spent for it.
    pub(crate) spent: u64,
    /// Which presentation of that refresh token yielded it.
    pub(crate) n: u32,
    /// Whether callers have it already, because saving took too long.
    pub(crate) installed: bool,
}

/// What this process knows about the refresh token of one serial.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lineage {
    pub(crate) serial: u64,
    /// The highest presentation number that this process may really have sent.
    pub(crate) sent: u32,
    /// The server's last word on it, if it was a final one.
    pub(crate) verdict: Option<FailureKind>,
    /// The application asked to try a refused refresh token once more.
    pub(crate) forgiven: bool,
}

/// What a decision is taken on.
pub(crate) struct View<'a> {
    pub(crate) config: &'a Config,
    pub(crate) now: Timestamp,
    pub(crate) me: Claimant,
    pub(crate) need: Need,
    /// The identity of this epoch, if it is known yet.
    pub(crate) session: Option<SessionId>,
    /// The serial of the newest token this process knows.
    pub(crate) serial: u64,
    pub(crate) lineage: Lineage,
    pub(crate) unsaved: Option<&'a Unsaved>,
    /// For how long the version just read has been watched.
    pub(crate) credit: Duration,
    /// Whether a claim of this process is neither used up nor given back, for all it knows.
    pub(crate) claimed: bool,
}

impl View<'_> {
    /// What to do about the record that was just read.
    pub(crate) fn decide(&self, found: Option<&Record>) -> Decision {
        let Some(record) = found else { return self.decide_on_nothing() };
        if self.session.is_some_and(|mine| mine != record.session) {
            return Decision::Ended(FailureKind::SessionEnded);
        }
        let (grant, refresh) = match &record.body {
            Body::Grant { grant, .. } => (Some(grant), grant.refresh_token().is_some()),
            Body::Vacant => (None, false),
            Body::SignedOut if self.session.is_some() => return Decision::Ended(FailureKind::SignedOut),
            Body::SignedOut => return self.unless_idle(Decision::Fail(FailureKind::SignedOut)),
        };
        if let Some(unsaved) = self.unsaved {
            return unsaved.decide(record);
        }
        if record.serial > self.serial && grant.is_some() {
            return Decision::Adopt;
        }
        if self.need == Need::Nothing {
            return self.decide_on_debts(record);
        }
        if record.refused && !self.lineage.forgiven {
            return Decision::Fail(self.lineage.verdict.unwrap_or(FailureKind::Refused));
        }
        match self.lineage.verdict {
            Some(FailureKind::Interaction) => return Decision::Fail(FailureKind::Interaction),
            Some(_) => return Decision::Mark,
            None => {}
        }
        if !refresh && self.config.renewal == Renewal::RefreshToken {
            return Decision::Fail(FailureKind::NoRefreshToken);
        }
        let Some(n) = self.presentation(record) else { return Decision::Watch };
        match self.latest(n, record.first_at) {
            Some(latest) => Decision::Claim { n, latest },
            None => Decision::Fail(FailureKind::Uncertain),
        }
    }

    /// Nobody wants a token; what is owed to the store?
    fn decide_on_debts(&self, record: &Record) -> Decision {
        let refused = self.lineage.verdict.is_some_and(|kind| kind != FailureKind::Interaction);
        match (self.claimed, refused && !record.refused) {
            (true, true) => Decision::Mark,
            // An unanswered claim that is not there may still land; any commit prevents it.
            (true, false) => Decision::Release,
            (false, _) => Decision::Rest,
        }
    }

    fn decide_on_nothing(&self) -> Decision {
        if self.need == Need::Nothing && self.session.is_none() && self.claimed {
            return Decision::Release;
        }
        match (self.session, self.config.renewal) {
            (Some(_), _) => Decision::Ended(FailureKind::NoCredentials),
            (None, Renewal::Ambient | Renewal::Cookie) => {
                self.unless_idle(Decision::Claim { n: 1, latest: Timestamp::MAX })
            }
            (None, Renewal::RefreshToken) => self.unless_idle(Decision::Fail(FailureKind::NoCredentials)),
        }
    }

    fn unless_idle(&self, decision: Decision) -> Decision {
        if self.need == Need::Nothing { Decision::Rest } else { decision }
    }

    /// The number that the next presentation gets, or `None` while somebody else may be presenting.
    fn presentation(&self, record: &Record) -> Option<u32> {
        let next = record.presented.saturating_add(1);
        match record.holder {
            // A claim that was written and never used: the same number again (rule 2).
            Some(holder) if holder.claimant == self.me && record.presented > self.lineage.sent => {
                Some(record.presented)
            }
            Some(holder) if holder.claimant == self.me => Some(next),
            Some(holder) => {
                let term = holder.term.max(self.config.term()).min(Config::MAX_TERM);
                // While the access token serves, a silent claimant costs nothing (rule 13).
                let patient = self.need == Need::Soon && !self.config.ambiguous.is_harmless();
                (self.credit >= term && !patient).then_some(next)
            }
            // After a contested save the new refresh token rests for one term (rule 7).
            None if record.presented == 0 && record.contested && self.credit < self.rest() => None,
            // The application asked to try a refused one once more: as if never presented.
            None if record.refused => Some(1),
            None => Some(next),
        }
    }

    /// For how long a refresh token rests after a contested save. Alone, there is nobody to wait for.
    fn rest(&self) -> Duration {
        match self.config.persistence {
            Persistence::Memory => Duration::ZERO,
            Persistence::Shared => self.config.term(),
        }
    }

    /// Until when presentation `n` may leave by the policy for ambiguous refresh tokens; `None` if it may not (I-02).
    fn latest(&self, n: u32, first_at: Timestamp) -> Option<Timestamp> {
        if n <= 1 {
            return Some(Timestamp::MAX);
        }
        let last_resort = self.config.ambiguous.last_resort() && self.need == Need::Now;
        let prompt = match self.config.ambiguous {
            AmbiguousPolicy::NonRotating => Some(Timestamp::MAX),
            AmbiguousPolicy::UntilUsed => (n == 2).then_some(Timestamp::MAX),
            AmbiguousPolicy::Once { window, .. } if n == 2 => self.prompt(first_at, window),
            AmbiguousPolicy::Once { .. } | AmbiguousPolicy::Never { .. } => None,
        };
        if last_resort { Some(Timestamp::MAX) } else { prompt }
    }

    /// A prompt presentation has to be over inside the server's window, which counts from the first one.
    fn prompt(&self, first_at: Timestamp, window: Duration) -> Option<Timestamp> {
        let Config { exchange_limit, send_limit, skew, .. } = *self.config;
        let latest = first_at.after(window).before(exchange_limit.saturating_add(skew));
        let plausible = first_at <= self.now.after(skew);
        (plausible && self.now.after(send_limit) <= latest).then_some(latest)
    }
}

impl Unsaved {
    fn decide(&self, record: &Record) -> Decision {
        if record.serial == self.spent {
            // Whoever holds the claim, and also over a refusal: it is the only copy (rule 5).
            Decision::Save
        } else if record.born == self.n && record.grant() == Some(&self.grant) {
            Decision::Saved
        } else if record.serial == self.spent.saturating_add(1)
            && (1..self.n).contains(&record.born)
            && record.holder.is_none()
            && record.presented == 0
        {
            // Of two successors the later one wins, as long as nobody has used the earlier (rule 7).
            Decision::Save
        } else {
            Decision::Supersede
        }
    }
}

impl AmbiguousPolicy {
    /// Whether presenting a refresh token again can do no harm.
    fn is_harmless(self) -> bool {
        match self {
            Self::NonRotating | Self::UntilUsed => true,
            Self::Once { .. } | Self::Never { .. } => false,
        }
    }

    /// Whether a refresh token of unknown fate may be presented once no access token is left.
    pub(crate) fn last_resort(self) -> bool {
        match self {
            Self::NonRotating | Self::UntilUsed => true,
            Self::Once { last_resort, .. } | Self::Never { last_resort } => last_resort,
        }
    }
}

/// The records that a run writes.
impl Record {
    pub(crate) fn signed_in(session: SessionId, grant: Grant, now: Timestamp) -> Self {
        let body = Body::Grant { grant, obtained_at: now };
        Self { serial: 1, body, ..Self::vacant(session) }
    }

    pub(crate) fn vacant(session: SessionId) -> Self {
        Self {
            session,
            serial: 0,
            born: 0,
            contested: false,
            body: Body::Vacant,
            refused: false,
            presented: 0,
            first_at: Timestamp::ZERO,
            holder: None,
        }
    }

    pub(crate) fn tombstone(session: SessionId) -> Self {
        Self { body: Body::SignedOut, ..Self::vacant(session) }
    }

    /// `first_at` is not moved by a later presentation (rule 4), and a claim is never cleared by anybody but its owner.
    pub(crate) fn claimed(self, me: Claimant, term: Duration, n: u32, now: Timestamp) -> Self {
        Self {
            holder: Some(Holder { claimant: me, term }),
            presented: n,
            first_at: if n == 1 { now } else { self.first_at },
            contested: false,
            refused: false,
            ..self
        }
    }

    /// Gives back an own claim. Its number is taken back only if it was not sent; those below it are the presentations of
    /// others, and stay.
    pub(crate) fn released(self, me: Claimant, sent: u32) -> Self {
        if !self.is_held_by(me) {
            return self;
        }
        let unsent = u32::from(sent < self.presented);
        Self { holder: None, presented: self.presented.saturating_sub(unsent), ..self }
    }

    pub(crate) fn marked(self, me: Claimant) -> Self {
        Self { holder: self.holder.filter(|holder| holder.claimant != me), refused: true, ..self }
    }

    pub(crate) fn renewed(&self, unsaved: &Unsaved, me: Claimant) -> Self {
        let foreign = self.holder.is_some_and(|holder| holder.claimant != me);
        let body = Body::Grant { grant: unsaved.grant.clone(), obtained_at: unsaved.obtained_at };
        Self {
            serial: self.serial.saturating_add(1),
            born: unsaved.n,
            // Whoever presented before, after or beside it: that request may still be under way (rule 7).
            contested: unsaved.n > 1 || self.presented > unsaved.n || foreign,
            body,
            ..Self::vacant(self.session)
        }
    }

    pub(crate) fn is_held_by(&self, claimant: Claimant) -> bool {
        self.holder.is_some_and(|holder| holder.claimant == claimant)
    }

    pub(crate) fn grant(&self) -> Option<&Grant> {
        match &self.body {
            Body::Grant { grant, .. } => Some(grant),
            Body::Vacant | Body::SignedOut => None,
        }
    }
}
