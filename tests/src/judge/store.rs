//! What the store goes through: no record goes back, no sign-out is undone (I-11, PERS-05, SESS-04, rules 5, 6, 11).

use std::collections::BTreeSet;

use super::{Court, Violation};
use crate::authority::{Authority, RefreshToken};
use crate::history::History;
use crate::store::Write;
use crate::vocabulary::Body;

pub(super) fn check(history: &History, court: &mut Court) {
    let disordered = history.may_be_disordered();
    let mut gone = BTreeSet::new();
    for pair in history.store.writes().windows(2) {
        let [before, after] = pair else { continue };
        let violation = if before.record.session == after.record.session {
            same_session(history, before, after, disordered)
        } else {
            gone.insert(before.record.session);
            gone.contains(&after.record.session).then_some(("rule 11", "an ended session comes back"))
        };
        if let Some((rule, says)) = violation {
            court.violations.push(Violation {
                rule,
                at: after.position,
                says: format!("{says}: {:?} after {:?}", after.record, before.record),
            });
        }
    }
}

fn same_session(
    history: &History,
    before: &Write,
    after: &Write,
    disordered: bool,
) -> Option<(&'static str, &'static str)> {
    let (old, new) = (&before.record, &after.record);
    if old.body == Body::SignedOut && new.body != Body::SignedOut {
        return Some(("SESS-04", "a sign-out is undone"));
    }
    if new.body == Body::SignedOut {
        return None;
    }
    if new.serial < old.serial {
        return Some(("I-11", "the record goes back"));
    }
    if new.serial == old.serial && new.body != old.body {
        return Some(("PERS-05", "the credential changes under its serial"));
    }
    let rank = |write: &Write| rank(&history.authority, write);
    (rank(after) < rank(before) && !disordered)
        .then_some(("I-11", "the record goes back to an older refresh token"))
}

fn rank(authority: &Authority, write: &Write) -> Option<usize> {
    let refresh = write.record.grant()?.refresh_token.as_ref()?;
    authority.refresh_token(refresh).map(|token: &RefreshToken| token.rank)
}
