//! What is left of an ended identity: exchanges without effect, and revocations (I-11, SESS-02, SESS-05, rule 6).

use super::{Case, Court};
use crate::vocabulary::{Effect, Event, Grant, Input, Output};

/// Only what belongs to an ended session is revoked: revocation takes the whole grant along (rule 6).
pub(super) fn revocation(case: &Case, refresh: &str, court: &mut Court) {
    let Case { entry, view, history, .. } = case;
    let revoked = history.authority.refresh_token(refresh).map(|token| token.family);
    let ends = match &entry.input {
        Some(Input::SignIn(_) | Input::SignOut) => true,
        Some(Input::Event(Event::Loaded { result: Some((_, record)), .. })) => {
            let stored = record.as_ref().and_then(|record| record.grant());
            stored.and_then(|grant| history.family(&grant.access_token)) != revoked
        }
        _ => false,
    };
    let current = view.latest().and_then(|known| known.family);
    court.must(ends || current.is_none() || current != revoked, "rule 6", || {
        format!("{refresh} of the session that goes on is revoked")
    });
}

/// The end of an exchange of an earlier identity has no effect, but for the revocation of what it brought.
pub(super) fn orphaned(case: &Case, grant: Option<Grant>, court: &mut Court) {
    let brought = grant.and_then(|grant| grant.refresh_token);
    let mut revoked = Vec::new();
    for output in &case.entry.reply.outputs {
        match output {
            Output::Run(Effect::Revoke { refresh }) => revoked.push(refresh.clone()),
            Output::Notify(_) => {}
            other => court.must(!case.view.settled, "I-11", || format!("an orphan leads to {other:?}")),
        }
    }
    court.must(revoked == Vec::from_iter(brought.clone()), "SESS-02", || {
        format!("an orphan brought {brought:?}; revoked: {revoked:?}")
    });
}
