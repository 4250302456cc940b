use std::time::Duration;

use token_refresh_core::{AmbiguousPolicy, Config};

/// What is known of an authorization server that many people use: data, to be read and to be started from.
///
/// Errors of these servers are understood without a preset. What a preset decides is what happens when a refresh gets
/// no answer, since that depends on what the server does with a refresh token that was used before.
///
/// A preset describes the server as it comes. Whoever changed its settings changes the
/// [`Config`](crate::Config) too; [the guide](crate::policies) says how.
///
/// ```
/// use token_refresh_driver::{Preset, Session};
///
/// let builder = Session::builder().config(Preset::OKTA.config());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preset {
    /// The server.
    pub name: &'static str,
    /// Whether a refresh yields a new refresh token.
    pub rotation: Rotation,
    /// Whether a refresh also ends the access token before it, so that requests under way are refused for sure.
    pub ends_access_token: bool,
    /// What to do with a refresh token whose last presentation had no answer.
    pub ambiguous: AmbiguousPolicy,
    /// How a client that has a secret authenticates (RFC 6749 §2.3.1).
    pub client_secret: ClientSecret,
    /// Where the server's makers say so.
    pub sources: &'static [&'static str],
}

/// Whether a refresh yields a new refresh token, and what becomes of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// The same refresh token works again and again.
    None,
    /// There is a new one each time, and the old one goes on working.
    Lenient,
    /// There is a new one each time, and the old one works for this long after it was used.
    Strict {
        /// The reuse window; zero if there is none.
        window: Duration,
    },
}

/// Where a client secret is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientSecret {
    /// In the `Authorization` field: [`ClientAuth::Basic`](crate::wire::ClientAuth::Basic).
    Basic,
    /// In the body: [`ClientAuth::Post`](crate::wire::ClientAuth::Post).
    Post,
}

/// The old refresh token is dead at once, so nothing is tried before nothing is left to lose.
const LAST_RESORT: AmbiguousPolicy = AmbiguousPolicy::Never { last_resort: true };
const NO_WINDOW: Rotation = Rotation::Strict { window: Duration::ZERO };

impl Preset {
    /// Microsoft Entra ID. Refresh tokens replace themselves upon every use, and the old ones are not revoked.
    pub const ENTRA: Self = Self {
        name: "Microsoft Entra ID",
        rotation: Rotation::Lenient,
        ends_access_token: false,
        ambiguous: AmbiguousPolicy::NonRotating,
        client_secret: ClientSecret::Post,
        sources: &[
            "https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens",
            "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow",
        ],
    };

    /// Auth0 with rotation switched on, without an overlap period. A reuse ends the whole family.
    pub const AUTH0: Self = Self {
        name: "Auth0",
        rotation: NO_WINDOW,
        ends_access_token: false,
        ambiguous: LAST_RESORT,
        client_secret: ClientSecret::Post,
        sources: &[
            "https://auth0.com/docs/secure/tokens/refresh-tokens/refresh-token-rotation",
            "https://auth0.com/docs/secure/tokens/refresh-tokens/configure-refresh-token-rotation",
        ],
    };

    /// Okta with rotation, which is the default for single-page applications, and its default grace period of 30
    /// seconds. A reuse after it ends the newest refresh token and all access tokens since the sign-in.
    pub const OKTA: Self = Self {
        name: "Okta",
        rotation: Rotation::Strict { window: Duration::from_secs(30) },
        ends_access_token: false,
        ambiguous: AmbiguousPolicy::Once { window: Duration::from_secs(30), last_resort: true },
        client_secret: ClientSecret::Basic,
        sources: &[
            "https://developer.okta.com/docs/guides/refresh-tokens/main/",
            "https://developer.okta.com/docs/api/openapi/okta-oauth/guides/client-auth/",
        ],
    };

    /// Keycloak with the realm as it comes: "Revoke Refresh Token" is off. With it on, and "Refresh Token Max Reuse" at
    /// zero, take [`HYDRA`](Self::HYDRA)'s policy.
    pub const KEYCLOAK: Self = Self {
        name: "Keycloak",
        rotation: Rotation::Lenient,
        ends_access_token: false,
        ambiguous: AmbiguousPolicy::NonRotating,
        client_secret: ClientSecret::Basic,
        sources: &["https://www.keycloak.org/docs/latest/server_admin/"],
    };

    /// Amazon Cognito with an app client as it comes: without refresh token rotation. With it, the window is the
    /// client's `RetryGracePeriodSeconds`, 0 to 60.
    pub const COGNITO: Self = Self {
        name: "Amazon Cognito",
        rotation: Rotation::None,
        ends_access_token: false,
        ambiguous: AmbiguousPolicy::NonRotating,
        client_secret: ClientSecret::Basic,
        sources: &[
            "https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html",
            "https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RefreshTokenRotationType.html",
        ],
    };

    /// Ory Hydra without a grace period. A reuse ends the whole chain.
    pub const HYDRA: Self = Self {
        name: "Ory Hydra",
        rotation: NO_WINDOW,
        ends_access_token: false,
        ambiguous: LAST_RESORT,
        client_secret: ClientSecret::Basic,
        sources: &["https://www.ory.com/docs/hydra/guides/graceful-token-refresh"],
    };

    /// User access tokens of a GitHub App that expire. A refresh ends the old refresh token and the old access token.
    pub const GITHUB_APP: Self = Self {
        name: "GitHub App",
        rotation: NO_WINDOW,
        ends_access_token: true,
        ambiguous: LAST_RESORT,
        client_secret: ClientSecret::Post,
        sources: &[
            "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens",
        ],
    };

    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::ENTRA, Self::AUTH0, Self::OKTA, Self::KEYCLOAK, Self::COGNITO, Self::HYDRA, Self::GITHUB_APP];

    /// A configuration for this server.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        config.ambiguous = self.ambiguous;
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_works_and_says_where_it_is_from() {
        for preset in Preset::ALL {
            assert_eq!(preset.config().validate(), Ok(()), "{}", preset.name);
            assert!(!preset.sources.is_empty(), "{}", preset.name);
        }
    }

    /// I-02: only where the old refresh token still works may it be presented again without need.
    #[test]
    fn i_02_the_policy_fits_the_rotation() {
        for preset in Preset::ALL {
            let fits = match preset.rotation {
                Rotation::None | Rotation::Lenient => preset.ambiguous == AmbiguousPolicy::NonRotating,
                Rotation::Strict { window: Duration::ZERO } => preset.ambiguous == LAST_RESORT,
                Rotation::Strict { window } => {
                    preset.ambiguous == AmbiguousPolicy::Once { window, last_resort: true }
                }
            };
            assert!(fits, "{}", preset.name);
        }
    }
}
