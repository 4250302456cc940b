use http::response;

/// Which answers refuse the token, besides those that the [`Rules`](token_refresh_driver::Rules) name.
///
/// A closure `Fn(&http::response::Parts) -> bool` is one.
pub trait Classify {
    /// Whether the answer says beyond doubt that the token is not good. If not, the rules decide.
    fn refuses(&self, answer: &response::Parts) -> bool;
}

/// HTTP as it is: the rules decide alone. By default any 401 refuses the token, unless its challenge says that something
/// else is wrong; after [`Rules::strict`](token_refresh_driver::Rules::strict) only `invalid_token` does (RFC 6750
/// §3.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Http401;

/// gRPC: status `UNAUTHENTICATED` in the header fields of an answer refuses the token, and so does what refuses it in
/// HTTP, as a proxy may answer.
///
/// In the trailers it does not, because by then content has been delivered: the call is not repeated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grpc;

impl Classify for Http401 {
    fn refuses(&self, _: &response::Parts) -> bool {
        false
    }
}

impl Classify for Grpc {
    fn refuses(&self, answer: &response::Parts) -> bool {
        answer.headers.get("grpc-status").is_some_and(|status| status == "16")
    }
}

impl<F: Fn(&response::Parts) -> bool> Classify for F {
    fn refuses(&self, answer: &response::Parts) -> bool {
        self(answer)
    }
}
