//! Libraries for any OAuth server.

use std::{iter, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header::AUTHORIZATION};
use huskarl::{
    authorizer::HttpAuthorizer,
    cache::{GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache},
    core::{
        Error,
        client_auth::NoAuth,
        http::{HttpClient, HttpResponse, Idempotency},
        platform::MaybeSendBoxFuture,
    },
    grant::client_credentials::{ClientCredentialsGrant, ClientCredentialsGrantParameters},
};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector, dns::Name},
    },
    rt::TokioExecutor,
};
use tower::service_fn;
use yup_oauth2::{
    AuthorizedUserAuthenticator, CustomHyperClientBuilder, authenticator::Authenticator,
    authorized_user::AuthorizedUserSecret,
};

use crate::peer::{Peer, Source};

/// Its authorizer over its cache over a grant.
pub(crate) struct Huskarl {
    authorizer: HttpAuthorizer,
    uri: Uri,
}

impl Peer for Huskarl {
    const NAME: &'static str = "huskarl";
    type Request = HeaderMap;

    async fn new(source: Arc<Source>) -> Self {
        let grant = ClientCredentialsGrant::builder()
            .client_id("client")
            .client_auth(NoAuth)
            .token_endpoint("https://as.example.com/token".parse().expect("a URL"))
            .http_client(Answers(source))
            .build();
        let source = GrantTokenSource::builder()
            .grant(grant)
            .grant_parameters(ClientCredentialsGrantParameters::builder().build())
            .refresh_store(InMemoryRefreshTokenStore::default())
            .build();
        let cache = InMemoryTokenCache::builder().source(source).build();
        let authorizer = HttpAuthorizer::builder().cache(cache).build();
        Self { authorizer, uri: Uri::from_static("https://api.example.com/") }
    }

    fn request(&self) -> HeaderMap {
        HeaderMap::new()
    }

    async fn authorize(&self, request: &mut HeaderMap) {
        request.extend(self.authorizer.get_headers(&Method::GET, &self.uri).await.expect("a token"));
    }
}

struct Answers(Arc<Source>);

impl HttpClient for Answers {
    fn execute(
        &self,
        _: Request<Bytes>,
        _: Idempotency,
    ) -> MaybeSendBoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async {
            self.0.token().await;
            let headers = HeaderMap::from_iter([(
                http::header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            )]);
            Ok(HttpResponse { status: StatusCode::OK, headers, body: Source::answer().into() })
        })
    }
}

/// An authorized user.
pub(crate) struct Yup(Box<dyn Tokens>);

/// Its type has the connector in it, which cannot be named.
#[async_trait::async_trait]
trait Tokens: Send + Sync {
    async fn token(&self) -> HeaderValue;
}

#[async_trait::async_trait]
impl<C: Connect + Clone + Send + Sync + 'static> Tokens for Authenticator<C> {
    async fn token(&self) -> HeaderValue {
        let token = self.token(&["scope"]).await.expect("a token");
        let header = format!("Bearer {}", token.token().expect("an access token"));
        HeaderValue::try_from(header).expect("ASCII")
    }
}

impl Peer for Yup {
    const NAME: &'static str = "yup-oauth2";
    const NO_HERD: &'static str = "each caller fetches a token of its own";
    type Request = HeaderMap;

    async fn new(source: Arc<Source>) -> Self {
        let secret = AuthorizedUserSecret {
            client_id: "client".into(),
            client_secret: "secret".into(),
            refresh_token: "refresh".into(),
            key_type: "authorized_user".into(),
        };
        let endpoint = source.endpoint();
        // The address of its token endpoint is fixed, so its name is resolved to this machine.
        let resolver = service_fn(move |_: Name| async move {
            Ok::<iter::Once<SocketAddr>, std::io::Error>(iter::once(endpoint))
        });
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.enforce_http(false);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let client = CustomHyperClientBuilder::from(client);
        let builder = AuthorizedUserAuthenticator::with_client(secret, client);
        Self(Box::new(builder.build().await.expect("an authenticator")))
    }

    fn request(&self) -> HeaderMap {
        HeaderMap::new()
    }

    async fn authorize(&self, request: &mut HeaderMap) {
        request.insert(AUTHORIZATION, self.0.token().await);
    }
}
