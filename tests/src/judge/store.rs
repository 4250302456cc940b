//! What the store goes through: no record goes back, no sign-out is undone (I-11, PERS-05, SESS-04, rules 5, 6, 11).

use std::collections::BTreeSet;

use super::Court;
use crate::authority::{Authority, RefreshToken};
use crate::history::History;
use crate::store::Write;
use crate::vocabulary::Body;

pub(super) fn check(history: &History, court: &mut Court) {
    let disordered = history.may_be_disordered();
    let mut gone = BTreeSet::new();
    for pair in history.store.writes().windows(2) {
        let [before, after] = pair else { continue };
        court.at = after.position;
        let (old, new) = (&before.record, &after.record);
        let mut must = |holds: bool, rule, says: &str| {
            court.must(holds, rule, || format!("{says}: {new:?} after {old:?}"));
        };
        if old.session != new.session {
            gone.insert(old.session);
            must(!gone.contains(&new.session), "rule 11", "an ended session comes back");
        } else if old.body == Body::SignedOut {
            must(new.body == Body::SignedOut, "SESS-04", "a sign-out is undone");
        } else if new.body != Body::SignedOut {
            must(new.serial >= old.serial, "I-11", "the record goes back");
            let same = new.serial != old.serial || new.body == old.body;
            must(same, "PERS-05", "the credential changes under its serial");
            let rank = |write: &Write| rank(&history.authority, write);
            let forward = rank(after) >= rank(before) || disordered;
            must(forward, "I-11", "the record goes back to an older refresh token");
        }
    }
}

fn rank(authority: &Authority, write: &Write) -> Option<usize> {
    let refresh = write.record.grant()?.refresh_token.as_ref()?;
    authority.refresh_token(refresh).map(|token: &RefreshToken| token.rank)
}
