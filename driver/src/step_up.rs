use std::time::Duration;

use token_refresh_core::wire::Verdict;

/// What an answer asks for beyond a token that is good: the user has to be asked, because a refresh would yield no more
/// (CHAL-04, CHAL-05). An extension of the answer that says so, whatever its status.
///
/// All text comes from the server: escape it before you show it. `Debug` does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepUp {
    /// `insufficient_scope` (RFC 6750 §3.1): a new authorization request with more scope.
    #[error("the access token is good, but its scope is not enough")]
    Scope {
        /// The scope that is needed, if the server said so.
        scope: Option<String>,
    },
    /// `insufficient_user_authentication` (RFC 9470 §3): a new authorization request that has the user authenticate anew,
    /// or better.
    #[error("the access token is good, but the user has to authenticate again, or better")]
    UserAuthentication {
        /// The ways to authenticate of which one is needed, if the server said so.
        acr_values: Option<String>,
        /// How old the authentication may be, if the server said so.
        max_age: Option<Duration>,
    },
}

impl StepUp {
    pub(crate) fn of(verdict: Verdict<'_>) -> Option<Self> {
        match verdict {
            Verdict::InsufficientScope { scope } => Some(Self::Scope { scope: scope.map(Into::into) }),
            Verdict::InsufficientUserAuthentication { acr_values, max_age } => {
                Some(Self::UserAuthentication { acr_values: acr_values.map(Into::into), max_age })
            }
            // The verdict is non-exhaustive across crates.
            _ => None,
        }
    }
}
