//! Libraries of the large providers.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_runtime::client::{auth::http::BearerAuthScheme, identity::IdentityCache};
use aws_smithy_runtime_api::client::{
    auth::{AuthScheme as _, AuthSchemeEndpointConfig},
    identity::{
        Identity, IdentityFuture, ResolveCachedIdentity as _, ResolveIdentity, SharedIdentityCache,
        SharedIdentityResolver, http::Token,
    },
    orchestrator::HttpRequest,
    runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
};
use aws_smithy_types::config_bag::ConfigBag;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::{
        Context, Method, Request, Url,
        policies::{Policy, PolicyResult, auth::BearerTokenAuthorizationPolicy},
    },
    time::OffsetDateTime,
};
use google_cloud_auth::credentials::{CacheableResource, Credentials, user_account};
use http::{Extensions, HeaderMap};

use crate::peer::{Peer, Source};

const LIFETIME: Duration = Duration::from_secs(3_600);

/// The credentials of a user.
pub(crate) struct Google(Credentials);

impl Peer for Google {
    const NAME: &'static str = "google-cloud-auth";
    type Request = HeaderMap;

    async fn new(source: Arc<Source>) -> Self {
        let user = serde_json::json!({
            "client_id": "client",
            "client_secret": "secret",
            "refresh_token": "refresh",
            "type": "authorized_user",
            "token_uri": format!("http://{}/token", source.endpoint()),
        });
        Self(user_account::Builder::new(user).build().expect("credentials"))
    }

    fn request(&self) -> HeaderMap {
        HeaderMap::new()
    }

    async fn authorize(&self, request: &mut HeaderMap) {
        match self.0.headers(Extensions::new()).await.expect("a token") {
            CacheableResource::New { data, .. } => request.extend(data),
            CacheableResource::NotModified => unreachable!("there was no entity tag"),
        }
    }
}

/// The policy that its clients have in their pipelines.
pub(crate) struct Azure {
    policy: BearerTokenAuthorizationPolicy,
    /// Instead of the network.
    end: [Arc<dyn Policy>; 1],
}

impl Peer for Azure {
    const NAME: &'static str = "azure_core";
    type Request = Request;

    async fn new(source: Arc<Source>) -> Self {
        let policy = BearerTokenAuthorizationPolicy::new(Arc::new(Credential(source)), ["scope"]);
        Self { policy, end: [Arc::new(End)] }
    }

    fn request(&self) -> Request {
        Request::new(Url::parse("https://api.example.com/").expect("a URL"), Method::Get)
    }

    async fn authorize(&self, request: &mut Request) {
        // An error is the cheapest of answers, unless it keeps a backtrace.
        self.policy.send(&Context::new(), request, &self.end).await.expect_err("the end");
    }
}

struct Credential(Arc<Source>);

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new(self.0.token().await, OffsetDateTime::now_utc() + LIFETIME))
    }
}

#[derive(Debug)]
struct End;

#[async_trait]
impl Policy for End {
    async fn send(&self, _: &Context, request: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        debug_assert!(request.headers().iter().count() > 0);
        Err(ErrorKind::Other.into_error())
    }
}

/// The cache of identities that its clients have, and what signs a request with a bearer token.
pub(crate) struct Aws {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    config: ConfigBag,
    scheme: BearerAuthScheme,
}

impl Peer for Aws {
    const NAME: &'static str = "aws-smithy identity cache";
    type Request = HttpRequest;

    async fn new(source: Arc<Source>) -> Self {
        let components = RuntimeComponentsBuilder::for_tests()
            .with_time_source(Some(SystemTimeSource::new()))
            .with_sleep_impl(Some(TokioSleep::new()))
            .build()
            .expect("all that is needed");
        Self {
            cache: IdentityCache::lazy().build(),
            resolver: SharedIdentityResolver::new(Resolver(source)),
            components,
            config: ConfigBag::base(),
            scheme: BearerAuthScheme::new(),
        }
    }

    fn request(&self) -> HttpRequest {
        HttpRequest::empty()
    }

    async fn authorize(&self, request: &mut HttpRequest) {
        let resolver = self.resolver.clone();
        let identity = self.cache.resolve_cached_identity(resolver, &self.components, &self.config);
        let identity = identity.await.expect("a token");
        let endpoint = AuthSchemeEndpointConfig::empty();
        let signer = self.scheme.signer();
        signer
            .sign_http_request(request, &identity, endpoint, &self.components, &self.config)
            .expect("ASCII");
    }
}

struct Resolver(Arc<Source>);

impl ResolveIdentity for Resolver {
    fn resolve_identity<'a>(&'a self, _: &'a RuntimeComponents, _: &'a ConfigBag) -> IdentityFuture<'a> {
        IdentityFuture::new(async {
            let end = SystemTime::now() + LIFETIME;
            Ok(Identity::new(Token::new(self.0.token().await, Some(end)), Some(end)))
        })
    }
}

macro_rules! nothing_to_show {
    ($($name:ident),*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        })*
    };
}
nothing_to_show!(Credential, Resolver);
