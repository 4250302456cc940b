use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header, request, response};
use token_refresh_driver::{
    self as driver, Carried, ResourceRequest, Rules, Ruling, Session, Token, TokenFuture,
};

use crate::{Classify, CloneBody};

/// Whose token, and by which rules.
#[derive(Debug)]
pub(crate) struct Auth {
    pub(crate) session: Session,
    pub(crate) rules: Rules,
    /// Whether there is a [`HopGuard`](crate::HopGuard) that wants to see a [`Trail`].
    pub(crate) guarded: AtomicBool,
}

/// What becomes of a request.
pub(crate) enum Admission<B, C: CloneBody<B>, K> {
    /// It is sent with the token; here is its content.
    Carries(Attempts<B, C, K>, B),
    /// It is sent as it is.
    Plain(Request<B>),
}

/// One request that carries the token, and what it takes to send it once more. Sends nothing and waits for nothing.
pub(crate) struct Attempts<B, C: CloneBody<B>, K> {
    auth: Arc<Auth>,
    session: Session,
    request: ResourceRequest,
    parts: request::Parts,
    /// Of the content, until it is sent again.
    copy: Option<C::Copy>,
    clone_body: C,
    classify: K,
    /// What both attempts have in common, if there is a guard.
    left: Option<Arc<AtomicBool>>,
}

/// A token to come, for the first attempt.
pub(crate) enum FirstToken {
    Present(TokenFuture),
    /// One that is not about to end, for content that can be sent only once (RPLY-07).
    Fresh(Pin<Box<dyn Future<Output = Result<Token, driver::Error>> + Send>>),
}

impl Future for FirstToken {
    type Output = Result<Token, driver::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Present(token) => Pin::new(token).poll(context),
            Self::Fresh(token) => token.as_mut().poll(context),
        }
    }
}

/// A request extension: how far the token got on this request's way, for [`HopGuard`](crate::HopGuard).
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    /// Where the token travels.
    pub(crate) field: HeaderName,
    left: Arc<AtomicBool>,
}

/// A response extension: what [`HopGuard`](crate::HopGuard) saw of the last hop.
#[derive(Clone, Debug)]
pub(crate) struct LastHop {
    pub(crate) carried: Carried,
    pub(crate) method: Method,
}

impl<B, C: CloneBody<B>, K: Classify> Attempts<B, C, K> {
    pub(crate) fn admit(
        auth: Arc<Auth>,
        request: Request<B>,
        clone_body: C,
        classify: K,
    ) -> Admission<B, C, K> {
        let (parts, body) = request.into_parts();
        match auth.rules.admit(&parts) {
            None => Admission::Plain(Request::from_parts(parts, body)),
            Some(request) => {
                let (body, copy) = clone_body.copy(body);
                let left = auth.guarded.load(Ordering::Relaxed).then(Arc::default);
                // A request may choose another session.
                let session = parts.extensions.get().unwrap_or(&auth.session).clone();
                let attempts =
                    Self { auth, session, request, parts, copy: Some(copy), clone_body, classify, left };
                Admission::Carries(attempts, body)
            }
        }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The token for the first attempt.
    pub(crate) fn token(&self) -> FirstToken {
        if self.copy.as_ref().is_some_and(|copy| self.clone_body.is_one_shot(copy)) {
            FirstToken::Fresh(Box::pin(self.session.fresh_token_async()))
        } else {
            FirstToken::Present(self.session.token_async())
        }
    }

    /// The request once more; `None` if its content cannot be produced again.
    pub(crate) fn again(&mut self, token: Token) -> Option<Request<B>> {
        let body = self.clone_body.restore(self.copy.take()?)?;
        Some(self.with(body, token))
    }

    /// The request with this content, and this token on it.
    pub(crate) fn with(&mut self, body: B, token: Token) -> Request<B> {
        let mut parts = self.parts.clone();
        let field = token.field();
        self.request.carry(token, &mut parts.headers);
        if let Some(left) = &self.left {
            parts.extensions.insert(Trail { field, left: Arc::clone(left) });
        }
        Request::from_parts(parts, body)
    }

    /// Whether the beginning of the content is needed to judge this answer.
    pub(crate) fn peeks_at(&self, answer: &response::Parts) -> bool {
        self.auth.rules.peeks_at(answer.status.as_u16())
    }

    /// What the answer to the latest attempt means. An acceptance is reported here.
    pub(crate) fn judge(&self, answer: &mut response::Parts, beginning: &[u8]) -> Ruling {
        let last_hop = answer.extensions.remove::<LastHop>();
        let carried = last_hop.as_ref().map_or(Carried::Yes, |hop| hop.carried);
        let rules = &self.auth.rules;
        let ruling = if self.classify.refuses(answer) {
            // Said again in the words that the rules know.
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, challenge)]);
            rules.judge(&self.request, 401, &headers, &[], carried)
        } else {
            rules.judge(&self.request, answer.status.as_u16(), &answer.headers, beginning, carried)
        };
        match ruling {
            Ruling::Accepted(token) => {
                self.session.accept(token);
                ruling
            }
            Ruling::StepUpNeeded { token, step_up } => {
                self.session.accept(token);
                answer.extensions.insert(step_up);
                Ruling::Accepted(token)
            }
            // A redirect that makes a GET of another method says where to read the outcome: the server has acted.
            Ruling::Refused { token, .. } if last_hop.is_some_and(|hop| hop.method != self.parts.method) => {
                Ruling::Refused { token, replay: false }
            }
            Ruling::Refused { .. } | Ruling::Final => ruling,
        }
    }
}

impl Trail {
    /// The request goes where the token may not go.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Whether it ever did: then whoever was there has chosen the rest of the way (SEC-03).
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }
}
