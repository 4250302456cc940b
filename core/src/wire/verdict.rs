use core::time::Duration;

use crate::wire::Challenge;

/// What an answer says about the access token that the request carried.
///
/// Ask only about an answer to a request that carried our token, from the server that received it: any other refuses
/// nothing (CHAL-08).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict<'a> {
    /// The token is refused: a new one may help (CHAL-02).
    Refused,
    /// Nothing against the token.
    NotRefused,
    /// The token is good but not enough, and a refresh would yield no more (CHAL-04; RFC 6750 §3.1).
    InsufficientScope {
        /// What is needed.
        scope: Option<&'a str>,
    },
    /// The user has to authenticate again, or better (CHAL-05; RFC 9470 §3).
    InsufficientUserAuthentication {
        /// The ways to authenticate of which one is needed.
        acr_values: Option<&'a str>,
        /// How old the authentication may be.
        max_age: Option<Duration>,
    },
    /// The proof lacks the server's nonce; the token is good (CHAL-03; RFC 9449 §9).
    DpopNonceNeeded,
}

/// Whether a 401 that does not say why refuses the token (CHAL-07).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// It does: many servers say no more.
    #[default]
    Lenient,
    /// It does not: only `invalid_token` does.
    Strict,
}

impl<'a> Verdict<'a> {
    /// Reads status and challenges together. The error code outranks the status (CHAL-09); by themselves, 403 and
    /// 407 never refuse (CHAL-06).
    pub fn of(status: u16, challenges: &'a [Challenge], strictness: Strictness) -> Self {
        // Only a 4xx says that the request was not carried out, so that it may be repeated; a 407 is the proxy's.
        if !(400..500).contains(&status) || status == 407 {
            return Self::NotRefused;
        }
        let ours = || challenges.iter().filter(|challenge| challenge.is("Bearer") || challenge.is("DPoP"));
        ours().find_map(Self::by_code).unwrap_or_else(|| {
            // A server that names other schemes only would not take a new token of ours either.
            let silent = challenges.is_empty() || ours().next().is_some();
            if status == 401 && silent && strictness == Strictness::Lenient {
                Self::Refused
            } else {
                Self::NotRefused
            }
        })
    }

    fn by_code(challenge: &'a Challenge) -> Option<Self> {
        match challenge.error()? {
            "invalid_token" => Some(Self::Refused),
            "insufficient_scope" => Some(Self::InsufficientScope { scope: challenge.scope() }),
            "insufficient_user_authentication" => Some(Self::InsufficientUserAuthentication {
                acr_values: challenge.acr_values(),
                max_age: challenge.max_age(),
            }),
            "use_dpop_nonce" => Some(Self::DpopNonceNeeded),
            // These two are about the request, and a new token would not mend it.
            "invalid_request" | "invalid_dpop_proof" => Some(Self::NotRefused),
            _ => None,
        }
    }
}
