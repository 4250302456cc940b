use std::sync::{PoisonError, RwLock};

use token_refresh_core::{Timestamp, TokenId};

use crate::Token;

/// What callers read without asking the machine: the token that it published last.
///
/// Written under the machine's lock, read without it. Reading copies one pointer, and readers do not wait for each
/// other.
#[derive(Default)]
pub(crate) struct Published(RwLock<Option<Token>>);

impl Published {
    /// Replaces the token, or withdraws it.
    pub(crate) fn set(&self, token: Option<Token>) {
        let mut place = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *place, token);
        // Clearing the old token's memory need not hold up readers.
        drop(place);
        drop(old);
    }

    pub(crate) fn get(&self) -> Option<Token> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token, if it can be used without asking the machine.
    pub(crate) fn fresh(&self, now: Timestamp) -> Option<Token> {
        let place = self.0.read().unwrap_or_else(PoisonError::into_inner);
        place.as_ref().filter(|token| token.snapshot().is_fresh(now)).cloned()
    }

    /// Whether the machine may want to know that this token was accepted. Once per token it does; a token that was
    /// replaced is of no interest any more, but one that was just refused by another server still is.
    pub(crate) fn is_news(&self, accepted: TokenId) -> bool {
        let place = self.0.read().unwrap_or_else(PoisonError::into_inner);
        place.as_ref().is_none_or(|token| token.id() == accepted && token.first_acceptance())
    }
}
