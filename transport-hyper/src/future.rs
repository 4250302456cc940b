use std::{
    fmt, mem,
    ops::ControlFlow::{self, Break, Continue},
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response, response};
use http_body::Body;
use pin_project_lite::pin_project;
use token_refresh_driver::{Ruling, TokenFuture};
use tower_service::Service;

use crate::{
    Classify, CloneBody, Error, NoNewerToken, ResponseBody,
    auth::{Admission, Attempts, FirstToken},
    body::Peek,
};

pin_project! {
    /// An answer to come: the future of an [`AuthService`](crate::AuthService). Dropping it cancels the request and
    /// nothing else.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B, R, C, K>
    where
        S: Service<Request<B>>,
        R: Body,
        C: CloneBody<B>,
    {
        service: S,
        // `None` for a request that is sent as it is.
        attempts: Option<Attempts<B, C, K>>,
        #[pin]
        state: State<S::Future, B, R>,
    }
}

pin_project! {
    // What is in an `Option` is taken out when the state ends. `reserved` says that the service is still ready, as the
    // caller has made it.
    #[project = StateProjection]
    enum State<F, B, R: Body> {
        AwaitingToken { token: FirstToken, body: Option<B>, reserved: bool },
        AwaitingService { request: Option<Request<B>>, reserved: bool },
        AwaitingResponse { #[pin] response: F },
        Peeking { answer: Option<(response::Parts, Peek<R>)> },
        AwaitingNewerToken { token: TokenFuture, refusal: Option<Response<ResponseBody<R>>>, replay: bool },
    }
}

impl<S, B, R, C, K> ResponseFuture<S, B, R, C, K>
where
    S: Service<Request<B>>,
    R: Body,
    C: CloneBody<B>,
    K: Classify,
{
    /// The service must be ready.
    pub(crate) fn new(mut service: S, admission: Admission<B, C, K>) -> Self {
        match admission {
            Admission::Carries(attempts, body) => {
                let token = attempts.token();
                let state = State::AwaitingToken { token, body: Some(body), reserved: true };
                Self { service, attempts: Some(attempts), state }
            }
            Admission::Plain(request) => {
                let state = State::AwaitingResponse { response: service.call(request) };
                Self { service, attempts: None, state }
            }
        }
    }
}

impl<S, B, R, C, K> Future for ResponseFuture<S, B, R, C, K>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Body,
    C: CloneBody<B>,
    K: Classify,
{
    type Output = Result<Response<ResponseBody<R>>, Error<S::Error>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let step = match this.state.as_mut().project() {
                StateProjection::AwaitingToken { token, body, reserved } => {
                    let Poll::Ready(token) = Pin::new(token).poll(context) else {
                        if mem::take(reserved) {
                            // Gives back what the service holds ready: a place in a queue, which the refresh may need.
                            *this.service = this.service.clone();
                        }
                        return Poll::Pending;
                    };
                    let token = token.map_err(Error::NoToken)?;
                    let attempts = this.attempts.as_mut().zip(body.take());
                    let request = attempts.map(|(attempts, body)| attempts.with(body, token));
                    Continue(State::AwaitingService { request, reserved: *reserved })
                }
                StateProjection::AwaitingService { request, reserved } => {
                    if !*reserved {
                        ready!(this.service.poll_ready(context)).map_err(Error::Service)?;
                    }
                    let Some(request) = request.take() else { return Poll::Pending };
                    Continue(State::AwaitingResponse { response: this.service.call(request) })
                }
                StateProjection::AwaitingResponse { response } => {
                    let (parts, body) = ready!(response.poll(context)).map_err(Error::Service)?.into_parts();
                    match this.attempts {
                        Some(attempts) if attempts.peeks_at(&parts) => {
                            Continue(State::Peeking { answer: Some((parts, Peek::new(body))) })
                        }
                        Some(attempts) => judge(attempts, parts, &[], ResponseBody::new(body)),
                        None => Break(Response::from_parts(parts, ResponseBody::new(body))),
                    }
                }
                StateProjection::Peeking { answer } => {
                    if let Some((_, peek)) = answer {
                        ready!(peek.poll(context));
                    }
                    let (Some((parts, peek)), Some(attempts)) = (answer.take(), &*this.attempts) else {
                        return Poll::Pending;
                    };
                    let (beginning, body) = peek.finish();
                    judge(attempts, parts, &beginning, body)
                }
                StateProjection::AwaitingNewerToken { token, refusal, replay } => {
                    let newer = ready!(Pin::new(token).poll(context));
                    let Some(mut refusal) = refusal.take() else { return Poll::Pending };
                    let request = match newer {
                        Ok(newer) if *replay => {
                            this.attempts.as_mut().and_then(|attempts| attempts.again(newer))
                        }
                        Ok(_) => None,
                        Err(reason) => {
                            refusal.extensions_mut().insert(NoNewerToken(reason));
                            None
                        }
                    };
                    match request {
                        None => Break(refusal),
                        request => Continue(State::AwaitingService { request, reserved: false }),
                    }
                }
            };
            match step {
                Continue(state) => this.state.set(state),
                Break(response) => return Poll::Ready(Ok(response)),
            }
        }
    }
}

/// What comes after an answer.
fn judge<F, B, R: Body, C: CloneBody<B>, K: Classify>(
    attempts: &Attempts<B, C, K>,
    mut parts: response::Parts,
    beginning: &[u8],
    body: ResponseBody<R>,
) -> ControlFlow<Response<ResponseBody<R>>, State<F, B, R>> {
    let ruling = attempts.judge(&mut parts, beginning);
    let response = Response::from_parts(parts, body);
    match ruling {
        Ruling::Accepted(_) | Ruling::StepUpNeeded { .. } | Ruling::Final => Break(response),
        Ruling::Refused { token, replay } => {
            let token = attempts.session().reject_async(token);
            Continue(State::AwaitingNewerToken { token, refusal: Some(response), replay })
        }
    }
}

impl<S, B, R, C, K> fmt::Debug for ResponseFuture<S, B, R, C, K>
where
    S: Service<Request<B>>,
    R: Body,
    C: CloneBody<B>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
