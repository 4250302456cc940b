use bytes::Bytes;
use http::{Request, Response};
use token_refresh_core::{ExchangeError, Grant, Secret, Timestamp, wire::JsonEndpoint};

use super::{post, with_reply};
use crate::{Endpoint, Profile};

/// An endpoint of one's own that takes and gives JSON.
#[derive(Clone, Debug)]
pub struct JsonProfile {
    format: JsonEndpoint,
    token: Endpoint,
}

impl JsonProfile {
    /// An endpoint of this format.
    pub fn new(format: JsonEndpoint, token: Endpoint) -> Self {
        Self { format, token }
    }
}

impl Profile for JsonProfile {
    fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        post(&self.token, &self.format.request(refresh))
    }

    fn read(
        &self,
        response: &Response<Bytes>,
        _refresh: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Grant, ExchangeError> {
        with_reply(response, |reply| self.format.read(reply, now))
    }
}
