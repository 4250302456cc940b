use oauth2::TokenResponse;
use token_refresh_core::{Grant, InvalidGrant, Secret, TokenType};

/// The grant in the token response of a sign-in with the `oauth2` crate. Its lifetime counts from the moment at which it is
/// handed to [`Session::sign_in`](crate::Session::sign_in), so do that at once.
///
/// The crate is used without an HTTP client of its own, so that none is added to the program. Members of the answer that
/// are not those of RFC 6749 §5.1 are not taken over; [`Grant::with_extra`] adds them.
///
/// ```
/// use oauth2::{AccessToken, EmptyExtraTokenFields, RefreshToken, basic::{BasicTokenResponse, BasicTokenType}};
/// use token_refresh_driver::{Secret, grant_of};
///
/// let access_token = AccessToken::new("at1".into());
/// let mut response = BasicTokenResponse::new(access_token, BasicTokenType::Bearer, EmptyExtraTokenFields {});
/// response.set_refresh_token(Some(RefreshToken::new("rt1".into())));
///
/// let grant = grant_of(&response)?;
/// assert_eq!(grant.refresh_token(), Some(&Secret::from("rt1")));
/// // session.sign_in(grant);
/// # Ok::<(), token_refresh_driver::InvalidGrant>(())
/// ```
///
/// # Errors
/// [`InvalidGrant`]: a token that could not be sent, or a type of token that is not understood.
pub fn grant_of(response: &impl TokenResponse) -> Result<Grant, InvalidGrant> {
    // The crate shows the name of a type of token to a serialiser only.
    let name = serde_json::to_value(response.token_type()).ok();
    let token_type = name.as_ref().and_then(serde_json::Value::as_str).and_then(TokenType::parse);
    let token_type = token_type.filter(|known| *known == TokenType::Bearer).ok_or(InvalidGrant::TokenType)?;
    let mut grant =
        Grant::new(Secret::from(response.access_token().secret().as_str()))?.with_token_type(token_type);
    if let Some(refresh_token) = response.refresh_token() {
        grant = grant.with_refresh_token(Secret::from(refresh_token.secret().as_str()))?;
    }
    if let Some(lifetime) = response.expires_in() {
        grant = grant.with_lifetime(lifetime);
    }
    if let Some(scopes) = response.scopes() {
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        grant = grant.with_scope(scopes.join(" "));
    }
    Ok(grant)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use std::time::Duration;

    use oauth2::basic::BasicTokenResponse;

    use super::*;

    fn grant(json: &str) -> Result<Grant, InvalidGrant> {
        grant_of(&serde_json::from_str::<BasicTokenResponse>(json).unwrap())
    }

    #[test]
    fn a_sign_in_with_the_oauth2_crate_yields_a_grant() {
        let all = r#"{"access_token":"at1","token_type":"Bearer","expires_in":60,"refresh_token":"rt1","scope":"a b"}"#;
        let expected = Grant::new("at1")
            .and_then(|grant| grant.with_refresh_token("rt1"))
            .map(|grant| grant.with_lifetime(Duration::from_secs(60)).with_scope("a b"));
        assert_eq!(grant(all), expected);
        assert_eq!(grant(r#"{"access_token":"at1","token_type":"bearer"}"#), Grant::new("at1"));
    }

    #[test]
    fn auth_02_03_what_could_not_be_sent_is_refused() {
        for (json, error) in [
            (r#"{"access_token":"at1","token_type":"mac"}"#, InvalidGrant::TokenType),
            (r#"{"access_token":"at1","token_type":"DPoP"}"#, InvalidGrant::TokenType),
            (r#"{"access_token":"a\r\n1","token_type":"bearer"}"#, InvalidGrant::AccessToken),
            (
                r#"{"access_token":"at1","token_type":"bearer","refresh_token":""}"#,
                InvalidGrant::RefreshToken,
            ),
        ] {
            assert_eq!(grant(json), Err(error), "{json}");
        }
    }
}
