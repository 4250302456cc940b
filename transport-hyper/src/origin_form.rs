use http::{HeaderValue, Request, Uri, header};

/// The request as it is written on an HTTP/1 connection to its origin: the host in a field, path and query as the target
/// (RFC 9112 §3.2.1). For connections that write the target as it is, such as those of `hyper::client::conn`.
pub fn origin_form<B>(mut request: Request<B>) -> Request<B> {
    let host = request.uri().authority().and_then(|authority| HeaderValue::try_from(authority.as_str()).ok());
    if let Some(host) = host.filter(|_| !request.headers().contains_key(header::HOST)) {
        request.headers_mut().insert(header::HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    request
}
