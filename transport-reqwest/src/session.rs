use token_refresh_driver::{BuildError, Profile, Session, TokioRuntime};

use crate::ReqwestTransport;

/// A session that refreshes its token with reqwest in this tokio runtime, in memory, with all settings as they come.
///
/// For a store that processes share, a proxy, or other settings there is [`Session::builder`] with a
/// [`ReqwestTransport`].
///
/// # Errors
/// [`SessionError`]; its text says what to change.
pub fn session(profile: impl Profile + 'static) -> Result<Session, SessionError> {
    let runtime = TokioRuntime::current().map_err(|_| SessionError::NoRuntime)?;
    let transport = ReqwestTransport::new().map_err(SessionError::Client)?;
    Ok(Session::builder().asynchronous(transport, profile, runtime)?)
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// It was called outside a runtime, in which refreshes could run.
    #[error("there is no tokio runtime here; call it in async code, or enter a runtime before")]
    NoRuntime,
    /// There is no client for token requests.
    #[error("reqwest cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The session cannot be put together.
    #[error(transparent)]
    Build(#[from] BuildError),
}
