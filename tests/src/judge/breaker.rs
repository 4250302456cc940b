//! No fruitless loop (I-14, CORE-12): after so many fetched tokens in a row that were refused and never accepted, none is
//! fetched for a while.

use super::{Case, Court};
use crate::vocabulary::{Event, Input, TokenId};

/// What an observer counts.
#[derive(Default)]
pub(super) struct Breaker {
    /// The tokens fetched since the last acceptance, and whether they were refused.
    row: Vec<(TokenId, bool)>,
    open_since: Option<u64>,
    /// How often tokens had been withdrawn by then that nobody refused.
    endings: u64,
}

impl Breaker {
    /// A token was accepted, or the application begins anew.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }

    /// A token is published that nobody signed in with here.
    pub(super) fn installed(&mut self, case: &Case, id: TokenId) {
        // In a new epoch the count begins anew; and where one between them is missing, it was over before it could be
        // published, so it was not refused.
        if self.row.last().is_some_and(|(last, _)| last.epoch != id.epoch) {
            self.open_since = None;
        }
        let follows = TokenId { generation: id.generation.saturating_sub(1), ..id };
        let fetched = !comes_from_sign_in(case);
        if !fetched || self.row.last().is_some_and(|(last, _)| *last != follows) {
            self.row.clear();
        }
        if fetched {
            self.row.push((id, false));
        }
    }

    /// A token is refused.
    pub(super) fn refused(&mut self, case: &Case, id: TokenId) {
        let Some(newest) = self.row.iter_mut().find(|(known, refused)| *known == id && !refused) else {
            return;
        };
        if case.view.latest == Some(id) {
            newest.1 = true;
            let in_a_row = self.row.iter().rev().take_while(|(_, refused)| *refused).count();
            if in_a_row >= case.history.settings.breaker {
                self.open_since = Some(case.view.now);
                self.endings = case.view.endings;
            }
        }
    }

    /// An exchange starts, decided at this instant.
    pub(super) fn start(&self, case: &Case, decided_at: u64, court: &mut Court) {
        // Another identity, or a token that was over before it could be published, may have come in between: the row is
        // broken, though nothing was published that says so.
        if self.endings != case.view.endings {
            return;
        }
        let Some(since) = self.open_since.filter(|since| !decided_before(case, decided_at, *since)) else {
            return;
        };
        court.must(decided_at >= since + case.history.settings.cool_down, "I-14", || {
            format!("the last {} tokens were refused, and one more is fetched", self.row.len())
        });
    }
}

/// Whether the record that was just read holds what another process signed in with: that was fetched by nobody.
fn comes_from_sign_in(case: &Case) -> bool {
    match &case.entry.input {
        Some(Input::Event(Event::Loaded { result: Some((_, Some(record))), .. })) => record.born == 0,
        _ => false,
    }
}

/// Whether the start was decided before the breaker opened: its claim was issued by then, or it replaces an effect that
/// was given up in the very call that brought the refusal.
fn decided_before(case: &Case, decided_at: u64, opened_at: u64) -> bool {
    let gives_up = case.view.current_effect().is_some();
    let replaces = matches!(case.entry.input, Some(Input::Reject(_))) && gives_up;
    replaces || decided_at < opened_at || (case.history.settings.shared && decided_at == opened_at)
}
