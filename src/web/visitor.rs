//! Whoever asks, as far as budgets of attempts need to know.

use super::Web;
use crate::auth::session;
use crate::auth::throttle::Visitor;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The cookies of this service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cookie {
    Session,
    /// A sign-in half way through.
    Step,
    /// A browser that has signed in before.
    Device,
}

impl Cookie {
    /// Over HTTPS bound to this host and to nothing below or beside it.
    fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-cdr_session",
            (Self::Session, false) => "cdr_session",
            (Self::Step, true) => "__Host-cdr_step",
            (Self::Step, false) => "cdr_step",
            (Self::Device, true) => "__Host-cdr_device",
            (Self::Device, false) => "cdr_device",
        }
    }

    /// What the browser sent.
    pub fn read(self, web: &Web, headers: &HeaderMap) -> Option<String> {
        let all = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
        let mut pairs = all.flat_map(|v| v.split(';')).filter_map(|p| p.trim().split_once('='));
        let name = self.name(web.secure);
        pairs.find(|(n, v)| *n == name && !v.is_empty()).map(|(_, v)| v.to_owned())
    }

    /// The header that sets it for so many seconds.
    pub fn set(self, web: &Web, value: &str, seconds: i64) -> HeaderValue {
        let secure = if web.secure { "; Secure" } else { "" };
        let name = self.name(web.secure);
        let text =
            format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }
}

/// A [`Visitor`] as a request brings it.
pub(super) struct From(pub Visitor);

impl FromRequestParts<Web> for From {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().map(|p| p.0);
        // The last one is what our own proxy saw; what stands before it anybody may have written.
        let said = || {
            let all = parts.headers.get_all("x-forwarded-for").into_iter().next_back()?;
            all.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        };
        let proxied = if web.door.behind_proxy { said() } else { None };
        let agent = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok());
        Ok(Self(Visitor {
            address: proxied.or(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            device: Cookie::Device.read(web, &parts.headers),
            agent: session::device(agent.unwrap_or_default()),
        }))
    }
}
