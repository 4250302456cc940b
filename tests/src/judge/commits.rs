//! What a commit may change, and when: the sign-in, the tombstone, the claim, the save, the mark, the release.

use super::claims::Process;
use super::presentations::permits;
use super::view::Source;
use super::{Case, Court};
use crate::subject::Policy;
use crate::vocabulary::{Body, Holder, Input, Record};

/// The longest term that anybody waits for.
const MAX_TERM: u64 = 60_000;

/// What a commit is for.
enum Kind {
    Tombstone,
    SignIn,
    Claim,
    Save,
    Mark,
    Release,
    /// The same record once more, or nothing over nothing: it keeps an unanswered claim from landing.
    Fence,
}

impl Process {
    /// Holds a commit against the rules for what it is.
    pub(super) fn commit(
        &mut self,
        case: &Case,
        known: Option<&(u64, Option<Record>)>,
        expected: u64,
        record: &Record,
        court: &mut Court,
    ) {
        let version = known.map_or(0, |(version, _)| *version);
        court.must(expected == version, "I-23", || {
            format!("a commit is conditional on version {expected}, but was decided on {version}")
        });
        let base = known.and_then(|(_, record)| record.as_ref());
        match (self.kind(base, record), base) {
            (Kind::Tombstone, _) => self.tombstone(case, base, record, court),
            (Kind::SignIn, _) => sign_in(case, record, court),
            (Kind::Claim, Some(base)) => self.claim(case, base, record, court),
            (Kind::Claim, None) => self.first_claim(case, record, court),
            (Kind::Save, Some(base)) => self.save(case, base, record, court),
            (Kind::Mark, Some(base)) => self.mark(base, record, court),
            (Kind::Release, Some(base)) => self.release(case, base, record, court),
            (Kind::Fence, _) => {}
            (Kind::Save | Kind::Mark | Kind::Release, None) => {
                court.must(false, "rule 1", || format!("nothing is stored, and {record:?} is written"));
            }
        }
    }

    fn kind(&self, base: Option<&Record>, record: &Record) -> Kind {
        let own = record.holder.is_some_and(|holder| Some(holder.claimant) == self.claimant);
        match base {
            _ if record.body == Body::SignedOut => Kind::Tombstone,
            _ if record.born == 0
                && record.serial == 1
                && base.is_none_or(|base| base.session != record.session) =>
            {
                Kind::SignIn
            }
            None if record.holder.is_some() => Kind::Claim,
            None if record.body == Body::Vacant => Kind::Fence,
            None => Kind::Save,
            Some(base) if (base.session, base.serial) != (record.session, record.serial) => Kind::Save,
            Some(base) if base == record && !own => Kind::Fence,
            Some(base) if record.holder.is_some() && (own || base.holder != record.holder) => Kind::Claim,
            Some(base) if record.refused && !base.refused => Kind::Mark,
            Some(_) => Kind::Release,
        }
    }

    fn tombstone(&self, case: &Case, base: Option<&Record>, record: &Record, court: &mut Court) {
        court.must(self.signed_out, "PERS-05", || "a tombstone, though nobody signed out".to_owned());
        // (The tombstone of a sign-in that was withdrawn before it was known to be written goes over anything.)
        let base = base.filter(|base| base.session == record.session);
        let stored = base.and_then(Record::grant).and_then(|grant| case.history.family(&grant.access_token));
        court.must(stored.is_none() || self.left.is_none() || stored == self.left, "rule 10", || {
            "the tombstone goes over another identity than the one that was signed out".to_owned()
        });
    }

    fn first_claim(&mut self, case: &Case, record: &Record, court: &mut Court) {
        self.name(case, record, court);
        court.must(record.presented == 1 && record.first_at == case.view.now, "MP-03", || {
            format!("the first claim is {record:?}")
        });
    }

    /// A claim names this machine and its term, and comes after whatever is in hand.
    fn name(&mut self, case: &Case, record: &Record, court: &mut Court) {
        let Some(Holder { claimant, term }) = record.holder else { return };
        let own = *self.claimant.get_or_insert(claimant);
        court.must(claimant == own, "MP-03", || format!("a claim in the name of {claimant}"));
        court
            .must(term == case.history.settings.term(), "rule 4", || format!("a claim with the term {term}"));
        court.must(self.unsaved.is_none(), "rule 5", || {
            "a claim, though a grant in hand is not saved".to_owned()
        });
    }

    fn claim(&mut self, case: &Case, base: &Record, record: &Record, court: &mut Court) {
        self.name(case, record, court);
        court.must(record.body == base.body && record.born == base.born, "PERS-05", || {
            "a claim changes the credential".to_owned()
        });
        court.must(!is_fresh(case, base), "MP-02", || {
            "a claim, though the stored access token is fresh, and was not refused to this process".to_owned()
        });
        self.waited(case, base, court);
        let line = (record.session, record.serial);
        let refused = base.refused || self.refused.contains(&line);
        court.must(!refused || self.reset, "rule 9", || {
            format!("a claim on the refused refresh token of {line:?}")
        });
        // What the application wants to be tried once more counts as never presented.
        if !refused && !self.forgiven.contains(&line) {
            self.number(case, base, record, court);
        }
    }

    /// A foreign claim was watched for its term, a refresh token from a contested save rested for one.
    fn waited(&self, case: &Case, base: &Record, court: &mut Court) {
        let (credit, own_term) = (self.watch.credit, case.history.settings.term());
        if let Some(holder) = base.holder.filter(|holder| Some(holder.claimant) != self.claimant) {
            let term = holder.term.max(own_term).min(MAX_TERM);
            court.must(credit >= term, "rule 4", || {
                format!("a claim is taken over after {credit} ms of watching; its term is {term} ms")
            });
        } else if base.holder.is_none() && base.presented == 0 && base.contested {
            court.must(credit >= own_term, "rule 7", || {
                format!("after a contested save the refresh token rested {credit} ms, not {own_term} ms")
            });
        }
    }

    /// The number of a presentation, the instant of the first one, and whether the policy lets it happen.
    fn number(&self, case: &Case, base: &Record, record: &Record, court: &mut Court) {
        let (settings, now, n) = (&case.history.settings, case.view.now, record.presented);
        let line = (record.session, record.serial);
        let own = base.holder.is_some_and(|holder| Some(holder.claimant) == self.claimant);
        let unsent = own && self.sent.get(&line).copied().unwrap_or_default() < base.presented;
        let right = if unsent { base.presented } else { base.presented + 1 };
        let late = n == base.presented + 1 && self.late.contains(&line);
        let harmless = settings.policy == Policy::NonRotating && n.abs_diff(right) <= 1;
        court.must(n == right || late || harmless, "rule 2", || {
            format!("presentation {right} is claimed as {n}")
        });
        let first_at = if n == 1 { now } else { base.first_at };
        court.must(record.first_at == first_at, "rule 4", || {
            format!("the first presentation was at {first_at}, and is said to be at {}", record.first_at)
        });
        // What is reserved covers the time until the first byte, and clocks that differ; a first presentation that is
        // still to come by this clock says that they differ by more.
        let plausible = base.first_at <= now + settings.skew;
        let by = if plausible { now + settings.send_limit + settings.skew } else { u64::MAX / 2 };
        let may = permits(settings, n, by, first_at, !is_usable(case, base));
        court.must(may.is_some(), "rule 3", || {
            format!("presentation {n} is claimed {} ms after the first", now.saturating_sub(first_at))
        });
    }

    fn save(&self, case: &Case, base: &Record, record: &Record, court: &mut Court) {
        let heard = record.grant().and_then(|grant| case.view.heard.get(&grant.access_token));
        let news = case.view.news(case.entry);
        let obtained_at =
            heard.map(|heard| heard.obtained_at).or(news.map(|(_, obtained_at, _)| obtained_at));
        let body = matches!(&record.body, Body::Grant { obtained_at: at, .. } if Some(*at) == obtained_at);
        court.must(body, "TIME-08", || format!("what is saved was obtained at {obtained_at:?}: {record:?}"));
        let Some(unsaved) = &self.unsaved else {
            court.must(false, "rule 6", || format!("nothing is to be saved, and {record:?} is written"));
            return;
        };
        let foreign = base.holder.is_some_and(|holder| Some(holder.claimant) != self.claimant);
        let access = record.grant().map(|grant| grant.access_token.as_str());
        court.must(access == Some(unsaved.grant.access_token.as_str()), "rule 5", || {
            format!("{} is in hand, and {access:?} is saved", unsaved.grant.access_token)
        });
        court.must(unsaved.belongs_over(base), "rule 5", || {
            format!("the grant for {:?} is saved over {:?}", unsaved.spent, (base.session, base.serial))
        });
        let kept = base.grant().and_then(|grant| grant.refresh_token.clone());
        let refresh = unsaved.grant.refresh_token.clone().or(kept);
        court.must(
            record.grant().and_then(|grant| grant.refresh_token.clone()) == refresh,
            "XRSP-03",
            || format!("the refresh token in force is {refresh:?}, and another one is saved"),
        );
        let form = record.session == base.session
            && record.serial == base.serial + 1
            && record.born == unsaved.n
            && record.presented == 0
            && record.holder.is_none()
            && !record.refused;
        court.must(form, "MP-07", || format!("over {base:?} is saved {record:?}"));
        // (Where another process presented later, it may be under way too.)
        let may_be = unsaved.n > 1 || foreign;
        let right = record.contested || !may_be;
        court.must(right && (may_be || !record.contested || base.presented > unsaved.n), "rule 7", || {
            format!("presentation {}, foreign holder: {foreign}, saved as {record:?}", unsaved.n)
        });
    }

    fn mark(&self, base: &Record, record: &Record, court: &mut Court) {
        let line = (base.session, base.serial);
        court.must(self.refused.contains(&line), "PERS-05", || {
            format!("{line:?} was not refused to this process, and is marked")
        });
        let holder = base.holder.filter(|holder| Some(holder.claimant) != self.claimant);
        let marked = Record { refused: true, holder, ..base.clone() };
        court.must(*record == marked, "PERS-05", || format!("{base:?} is marked as {record:?}"));
    }

    fn release(&self, case: &Case, base: &Record, record: &Record, court: &mut Court) {
        let line = (base.session, base.serial);
        let own = base.holder.is_some_and(|holder| Some(holder.claimant) == self.claimant);
        court.must(own, "rule 4", || "a foreign claim is cleared".to_owned());
        court.must(!self.dead.contains(&line) || record.refused, "rule 9", || {
            format!("the refresh token of {line:?} was refused, and is given back as if it were good")
        });
        let unsent = self.sent.get(&line).copied().unwrap_or_default() < base.presented;
        let right = base.presented - u32::from(unsent && base.presented > 0);
        // The number matters only where somebody may present it again.
        let harmless = case.history.settings.policy == Policy::NonRotating
            || self.forgiven.contains(&line)
            || record.refused;
        let late = harmless || (self.late.contains(&line) && record.presented == base.presented);
        court.must(record.presented == right || late, "rule 2", || {
            format!("{right} presentations may have been sent; the release says {}", record.presented)
        });
        let released = Record { presented: record.presented, holder: None, ..base.clone() };
        court.must(*record == released, "PERS-05", || format!("{base:?} is released as {record:?}"));
    }
}

fn sign_in(case: &Case, record: &Record, court: &mut Court) {
    let clean = record.presented == 0 && record.holder.is_none() && !record.refused && !record.contested;
    let access = record.grant().map(|grant| grant.access_token.as_str());
    let brought = case.view.news(case.entry).map(|(grant, ..)| grant.access_token.as_str());
    let given = access.is_some_and(|access| {
        case.view.heard.get(access).is_some_and(|heard| heard.by == Source::SignIn) || brought == Some(access)
    });
    court.must(clean && given, "rule 11", || format!("a sign-in is written as {record:?}"));
}

/// Whether the access token of this record may still be used by this process.
fn is_usable(case: &Case, record: &Record) -> bool {
    lives(case, record, case.history.settings.hard_margin.of(lifetime(record)))
}

/// Whether it is not even due to be refreshed in the background, wherever its soft end was drawn.
fn is_fresh(case: &Case, record: &Record) -> bool {
    let settings = &case.history.settings;
    let lifetime = lifetime(record);
    lives(case, record, settings.soft_margin.of(lifetime) + settings.jitter.of(lifetime))
}

fn lifetime(record: &Record) -> u64 {
    record.grant().and_then(|grant| grant.lifetime).unwrap_or_default()
}

fn lives(case: &Case, record: &Record, margin: u64) -> bool {
    let Body::Grant { grant, obtained_at } = &record.body else { return false };
    let refused = case.view.tokens.iter().any(|(id, known)| {
        known.token.access_token == grant.access_token
            && (known.refused || case.entry.input == Some(Input::Reject(*id)))
    });
    let over = grant.lifetime.is_some_and(|lifetime| case.view.now >= obtained_at + lifetime - margin);
    !refused && !over
}
