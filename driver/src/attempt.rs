//! What is the same for every HTTP client about a request that carries a token. Pure: an adapter sends, waits and asks
//! the session; the rules only say what to do next.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header, request::Parts};
use token_refresh_core::{
    Secret, TokenId,
    wire::{Strictness, Verdict, challenges},
};

use crate::{AllowedOrigins, StepUp, Token, secret_bytes::header_value};

/// Where the token may go, and which answers refuse it.
///
/// An adapter asks four questions, in this order:
///
/// 1. [`admit`](Self::admit): may this request carry the token at all?
/// 2. [`ResourceRequest::carry`]: put the token on.
/// 3. [`peeks_at`](Self::peeks_at): is the beginning of the content needed to judge an answer with this status?
/// 4. [`judge`](Self::judge): what does the answer mean? After [`Ruling::Refused`] the adapter asks the session for a
///    newer token and, if a repetition is allowed, goes on with 2.
///
/// ```
/// use token_refresh_driver::{AllowedOrigins, Rules};
///
/// let origins = AllowedOrigins::none().https("https://api.example.com")?;
/// // Django REST framework may answer 403 where others answer 401.
/// let rules = Rules::new(origins).refused_if([403], |answer| answer.body.starts_with(b"{\"detail\":\"Authentication"));
/// # Ok::<(), token_refresh_driver::OriginError>(())
/// ```
#[derive(Clone)]
pub struct Rules {
    origins: AllowedOrigins,
    strictness: Strictness,
    statuses: Vec<u16>,
    refused: Arc<dyn Fn(&Answer<'_>) -> bool + Send + Sync>,
    csrf: Option<Arc<(HeaderName, String)>>,
}

/// An answer, as far as it is needed to judge it.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The target of the request, as the caller wrote it.
    pub target: &'a Uri,
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// The beginning of the content, at most [`MAX_PEEK`](Self::MAX_PEEK) bytes; empty unless [`Rules::peeks_at`] asks
    /// for it.
    pub body: &'a [u8],
}

/// Whether the token was on the request that was answered. After a redirect it may not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The token reached the server that answered: there was no redirect, or none that took the token off.
    Yes,
    /// A redirect took the token off on the way. Whoever answered has never seen it and refuses nothing (CHAL-08).
    No,
}

/// What to do with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The token was taken. Tell the session ([`Session::accept`](crate::Session::accept)) and hand the answer on.
    Accepted(TokenId),
    /// The token was taken, but it is not enough, and a refresh would yield no more. Tell the session as after
    /// `Accepted`, and hand the answer on with the [`StepUp`] among its extensions (CHAL-04, CHAL-05).
    StepUpNeeded {
        /// The token that was not enough.
        token: TokenId,
        /// What is.
        step_up: StepUp,
    },
    /// The answer says nothing about the token, or it is the refusal of the repetition: hand it on as it came (CHAL-11).
    Final,
    /// The token was refused. Ask the session for a newer one ([`Session::reject`](crate::Session::reject)), whether
    /// the request can be repeated or not (RPLY-03). Without one, hand on this answer together with the reason
    /// (RPLY-08).
    Refused {
        /// The refused token.
        token: TokenId,
        /// Whether to send the request once more, with the newer token, if its content can be produced again.
        replay: bool,
    },
}

/// Whether a request that was refused is sent once more. A request extension; the default is [`Replay::IfSafe`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// Never. The token is refreshed all the same.
    Never,
    /// Safe methods, PUT and DELETE after any refusal; all others only if the refusal says that it is one: a token
    /// error in the challenge, or the caller's own predicate (RPLY-04). A bare 401 may come from a gateway, after the
    /// server behind it has acted.
    #[default]
    IfSafe,
    /// After any refusal, whatever the method.
    Always,
}

/// A request extension: this request gets no token, and its answer is not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithoutToken;

/// One request of a caller, which is sent at most twice (RPLY-01).
#[derive(Clone, Debug)]
pub struct ResourceRequest {
    target: Uri,
    method: Method,
    replay: Replay,
    attempts: u32,
    /// The token of the latest attempt: classification goes by it, not by the token that is current when the answer
    /// arrives (AUTH-05).
    token: Option<TokenId>,
    csrf: Option<Arc<(HeaderName, String)>>,
}

impl Answer<'_> {
    /// The most content that is looked at: 16 KiB.
    pub const MAX_PEEK: usize = 16 * 1024;
}

impl Rules {
    /// The token goes to these origins and nowhere else (SEC-02). A 401 that does not say why refuses it (CHAL-07).
    pub fn new(origins: AllowedOrigins) -> Self {
        Self {
            origins,
            strictness: Strictness::Lenient,
            statuses: Vec::new(),
            refused: Arc::new(|_| false),
            csrf: None,
        }
    }

    /// Only an answer that says so, with `invalid_token` or by [`refused_if`](Self::refused_if), refuses the token;
    /// a bare 401 does not.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strictness = Strictness::Strict;
        self
    }

    /// An answer with one of these statuses also refuses the token if `predicate` says so: for servers with conventions
    /// of their own, such as 403, 419, or 200 with an error in the content (CHAL-06, CHAL-10). Replaces an earlier one.
    ///
    /// A 407 is never asked about, nor is an answer whose challenge already says what is wrong. A panic of the
    /// predicate counts as `false`. The beginning of the content is read before such an answer is handed on, so an
    /// answer that comes in bit by bit is held up until that much of it is there.
    #[must_use]
    pub fn refused_if(
        mut self,
        statuses: impl IntoIterator<Item = u16>,
        predicate: impl Fn(&Answer<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.statuses = statuses.into_iter().filter(|status| *status != 407).collect();
        self.refused = Arc::new(predicate);
        self
    }

    /// Sends the value of this cookie of the token in this field as well, against cross-site request forgery (COOK-03):
    /// a repetition has the value that belongs to the new token. For the token of a
    /// [`CookieProfile`](crate::CookieProfile); without such a cookie the field is left as it is.
    #[must_use]
    pub fn csrf(mut self, field: HeaderName, cookie: impl Into<String>) -> Self {
        self.csrf = Some(Arc::new((field, cookie.into())));
        self
    }

    /// Whether the request is to carry the token. `None`: it is the caller's own business, and is to be sent as it is.
    ///
    /// That is so if the origin is not on the list, if the request has credentials of its own (AUTH-04), for CONNECT,
    /// which is the proxy's, and if the caller wants it so ([`WithoutToken`]).
    pub fn admit(&self, request: &Parts) -> Option<ResourceRequest> {
        let own = request.headers.contains_key(header::AUTHORIZATION)
            || request.extensions.get::<WithoutToken>().is_some();
        if own || request.method == Method::CONNECT || !self.origins.permits(&request.uri) {
            return None;
        }
        Some(ResourceRequest {
            target: request.uri.clone(),
            method: request.method.clone(),
            replay: request.extensions.get().copied().unwrap_or_default(),
            attempts: 0,
            token: None,
            csrf: self.csrf.clone(),
        })
    }

    /// Whether the token may go to this target: for an adapter that sees each hop of a redirect (SEC-03).
    pub fn permits(&self, target: &Uri) -> bool {
        self.origins.permits(target)
    }

    /// Whether the beginning of the content is needed to judge an answer with this status.
    pub fn peeks_at(&self, status: u16) -> bool {
        self.statuses.contains(&status)
    }

    /// What the answer to the latest attempt means.
    pub fn judge(
        &self,
        request: &ResourceRequest,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        carried: Carried,
    ) -> Ruling {
        let Some(token) = request.token.filter(|_| carried == Carried::Yes) else { return Ruling::Final };
        let finding = self.finding(&Answer { target: &request.target, status, headers, body });
        match finding {
            Finding::Good => Ruling::Accepted(token),
            Finding::NotEnough(step_up) => Ruling::StepUpNeeded { token, step_up },
            Finding::Unclear => Ruling::Final,
            Finding::Refused(_) if request.attempts > 1 => Ruling::Final,
            Finding::Refused(clarity) => Ruling::Refused { token, replay: request.replays(clarity) },
        }
    }

    fn finding(&self, answer: &Answer<'_>) -> Finding {
        let refusable = (400..500).contains(&answer.status);
        let fields = answer.headers.get_all(header::WWW_AUTHENTICATE).iter().filter(|_| refusable);
        let challenges = challenges(fields.map(HeaderValue::as_bytes));
        let verdict = |strictness| Verdict::of(answer.status, &challenges, strictness);
        match verdict(Strictness::Strict) {
            Verdict::Refused => Finding::Refused(Clarity::Clear),
            Verdict::NotRefused if self.is_refused(answer) => Finding::Refused(Clarity::Clear),
            Verdict::NotRefused if verdict(self.strictness) == Verdict::Refused => {
                Finding::Refused(Clarity::Bare)
            }
            // The server, or a gateway before it, may not even have looked at the token.
            Verdict::NotRefused if matches!(answer.status, 401 | 403 | 407) => Finding::Unclear,
            // Not found, or broken: nothing that a new token would mend.
            verdict => StepUp::of(verdict).map_or(Finding::Good, Finding::NotEnough),
        }
    }

    fn is_refused(&self, answer: &Answer<'_>) -> bool {
        let ask = || catch_unwind(AssertUnwindSafe(|| (self.refused)(answer))).unwrap_or(false);
        self.peeks_at(answer.status) && ask()
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("origins", &self.origins)
            .field("strictness", &self.strictness)
            .field("statuses", &self.statuses)
            .finish_non_exhaustive()
    }
}

/// What an answer says about the token that it is an answer to.
enum Finding {
    Good,
    NotEnough(StepUp),
    Unclear,
    Refused(Clarity),
}

/// Whether a refusal says that it is one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clarity {
    Bare,
    Clear,
}

impl ResourceRequest {
    /// Puts the token on the request that is about to be sent (AUTH-01): at first, and for the repetition. `headers` are
    /// those that the caller wrote, without an earlier token.
    ///
    /// Everything that is made anew for each attempt is put on here and nowhere else (RPLY-02): the token, the CSRF field
    /// that belongs to it, and for a token that is bound to a key, the proof.
    pub fn carry(&mut self, token: Token, headers: &mut HeaderMap) {
        self.attempts += 1;
        self.token = Some(token.id());
        if let Some((field, cookie)) = self.csrf.as_deref()
            && let Some(value) = token.cookie(cookie).and_then(|value| header_value(Secret::from(value)))
        {
            headers.insert(field, value);
        }
        if token.field() == header::COOKIE {
            headers.insert(header::COOKIE, with_own_cookies(headers, token.header()));
        } else {
            headers.insert(header::AUTHORIZATION, token.into());
        }
    }

    fn replays(&self, clarity: Clarity) -> bool {
        match self.replay {
            Replay::Never => false,
            Replay::Always => true,
            Replay::IfSafe => {
                let idempotent = self.method.is_safe() || matches!(self.method, Method::PUT | Method::DELETE);
                idempotent || clarity == Clarity::Clear
            }
        }
    }
}

/// All in one field (RFC 6265 §5.4), the caller's first.
fn with_own_cookies(headers: &HeaderMap, cookies: &HeaderValue) -> HeaderValue {
    if !headers.contains_key(header::COOKIE) {
        return cookies.clone();
    }
    let own = headers.get_all(header::COOKIE).iter();
    let all: Vec<&[u8]> = own.chain([cookies]).map(HeaderValue::as_bytes).collect();
    let mut all = HeaderValue::from_bytes(&all.join(&b"; "[..])).unwrap_or_else(|_| cookies.clone());
    all.set_sensitive(true);
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use http::{HeaderValue, Request};
    use token_refresh_core::{Epoch, Generation, Secret, Snapshot, TokenType};

    use super::*;

    const TOKEN: TokenId = TokenId { epoch: Epoch(1), generation: Generation(7) };

    fn rules() -> Rules {
        Rules::new(AllowedOrigins::none().https("https://api.example.com").unwrap())
    }

    /// A request that has carried the token so many times.
    fn sent(method: &Method, replay: Replay, attempts: u32) -> ResourceRequest {
        let request = Request::builder().method(method).uri("https://api.example.com/a").extension(replay);
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let mut request = rules().admit(&parts).unwrap();
        let token = Token::new(&Snapshot {
            id: TOKEN,
            access_token: Secret::from("at"),
            token_type: TokenType::Bearer,
            scope: None,
            end: None,
            soft_end: None,
            hard_end: None,
        });
        (0..attempts).for_each(|_| request.carry(token.clone(), &mut parts.headers));
        assert_eq!(parts.headers.get_all(header::AUTHORIZATION).iter().count(), 1);
        request
    }

    fn ruling(rules: &Rules, request: &ResourceRequest, status: u16, challenge: &'static str) -> Ruling {
        let mut headers = HeaderMap::new();
        if !challenge.is_empty() {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        rules.judge(request, status, &headers, b"", Carried::Yes)
    }

    fn more_scope() -> Ruling {
        Ruling::StepUpNeeded { token: TOKEN, step_up: StepUp::Scope { scope: None } }
    }

    #[test]
    fn auth_04_some_requests_are_the_callers_own_business() {
        let target = || Request::get("https://api.example.com/a");
        let table = [
            (target(), true),
            (target().header("authorization", "Basic bWU6bXlzZWxm"), false),
            (target().extension(WithoutToken), false),
            (target().method(Method::CONNECT), false),
            (target().uri("https://elsewhere.example.com/a"), false),
        ];
        for (request, admitted) in table {
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(rules().admit(&parts).is_some(), admitted, "{parts:?}");
        }
    }

    #[test]
    fn rply_04_status_challenge_method_and_switch_decide_together() {
        use Replay::{Always, IfSafe, Never};
        const INVALID: &str = "Bearer error=\"invalid_token\"";
        let refused = |replay| Ruling::Refused { token: TOKEN, replay };
        let table = [
            (200, "", Method::GET, IfSafe, Ruling::Accepted(TOKEN)),
            (503, "", Method::GET, IfSafe, Ruling::Accepted(TOKEN)),
            (401, "", Method::GET, IfSafe, refused(true)),
            (401, "", Method::DELETE, IfSafe, refused(true)),
            (401, "", Method::POST, IfSafe, refused(false)),
            (401, "", Method::POST, Always, refused(true)),
            (401, "Bearer", Method::PATCH, IfSafe, refused(false)),
            (401, INVALID, Method::PATCH, IfSafe, refused(true)),
            (401, INVALID, Method::GET, Never, refused(false)),
            (403, INVALID, Method::POST, IfSafe, refused(true)),
            (403, "", Method::GET, IfSafe, Ruling::Final),
            (407, "", Method::GET, Always, Ruling::Final),
            (401, "Basic", Method::GET, Always, Ruling::Final),
            (401, "Bearer error=insufficient_scope", Method::GET, Always, more_scope()),
            (403, "Bearer error=insufficient_scope", Method::GET, Always, more_scope()),
        ];
        for (status, challenge, method, replay, expected) in table {
            let found = ruling(&rules(), &sent(&method, replay, 1), status, challenge);
            assert_eq!(found, expected, "{status} {challenge} {method} {replay:?}");
        }
    }

    #[test]
    fn rply_01_the_second_refusal_is_final() {
        let request = sent(&Method::GET, Replay::Always, 2);
        assert_eq!(ruling(&rules(), &request, 401, "Bearer error=\"invalid_token\""), Ruling::Final);
        assert_eq!(ruling(&rules(), &request, 200, ""), Ruling::Accepted(TOKEN));
    }

    #[test]
    fn chal_08_what_never_saw_the_token_refuses_nothing() {
        let (request, headers) = (sent(&Method::GET, Replay::Always, 1), HeaderMap::new());
        for status in [200, 401] {
            assert_eq!(rules().judge(&request, status, &headers, b"", Carried::No), Ruling::Final);
        }
    }

    #[test]
    fn chal_10_a_challenge_outranks_the_predicate() {
        let rules = rules().strict().refused_if([401, 403, 407], |_| true);
        let request = sent(&Method::POST, Replay::IfSafe, 1);
        let refused = Ruling::Refused { token: TOKEN, replay: true };
        assert_eq!(ruling(&rules, &request, 401, ""), refused);
        assert_eq!(ruling(&rules, &request, 403, ""), refused);
        assert_eq!(ruling(&rules, &request, 407, ""), Ruling::Final);
        assert_eq!(ruling(&rules, &request, 403, "Bearer error=insufficient_scope"), more_scope());
    }
}
