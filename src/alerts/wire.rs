//! Calls to providers: the client, replies read within a limit, and what a broken call means.

use super::provider::{Handed, ProviderError};
use crate::platform::outgoing::{self, Reach};
use reqwest::{Response, Url};
use serde_json::Value;
use std::time::Duration;

/// Replies are read no further than this.
pub(super) const REPLY_LIMIT: usize = 64 * 1024;

/// Providers are named by the operator's own settings, not by a directory that others fill in, so
/// one inside the network (a gateway) may be called. Redirects are still not followed: they would
/// carry the credential elsewhere.
pub(super) fn client(timeout: Duration) -> Result<reqwest::Client, ProviderError> {
    let reach = Reach { allow_private: true, ..Reach::default() };
    Ok(outgoing::client(&reach, timeout)?)
}

/// The address of `path` (which starts with a slash) under a base.
pub(super) fn join(base: &str, path: &str, name: &'static str) -> Result<Url, ProviderError> {
    Url::parse(&format!("{}{path}", base.trim_end_matches('/')))
        .map_err(|_| ProviderError::Url(name))
}

/// A whole answer.
pub(super) struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    /// Nothing if it was too long, broke off or is not JSON.
    pub json: Option<Value>,
}

impl Answer {
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.json.as_ref()?.pointer(pointer)?.as_str()
    }
}

/// Sends a request and reads its answer.
///
/// # Errors
/// No answer: whether the provider may have taken the request stands in `unsure`.
pub(super) async fn call(request: reqwest::RequestBuilder) -> Result<Answer, Handed> {
    match request.send().await {
        Ok(reply) => Ok(Answer {
            status: reply.status().as_u16(),
            headers: reply.headers().clone(),
            json: read(reply).await.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        }),
        Err(e) => Err(broken(&e)),
    }
}

async fn read(mut reply: Response) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(chunk) = reply.chunk().await.ok()? {
        if all.len() + chunk.len() > REPLY_LIMIT {
            return None;
        }
        all.extend_from_slice(&chunk);
    }
    Some(all)
}

/// A failure to connect is certain: nothing was sent. After that nothing is.
fn broken(e: &reqwest::Error) -> Handed {
    if e.is_connect() {
        Handed::unwell(None, "no connection to the provider", None)
    } else if e.is_builder() {
        Handed::unwell(None, "the request could not be put together", None)
    } else if e.is_timeout() {
        Handed::unsure(None, "no answer from the provider in time")
    } else {
        Handed::unsure(None, "the connection to the provider broke")
    }
}
