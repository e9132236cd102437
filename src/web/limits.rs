//! How much one address or session may ask in a minute. Wide enough for a hospital behind one
//! address; and a notification is never turned away for being one of many, short of the absurd.

use super::Web;
use super::problem::Problem;
use super::request;
use super::visitor::{Cookie, Peer};
use crate::platform::address::holder;
use crate::platform::crypt::sha256;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer addresses are nobody's.
const LONGEST: usize = 4096;
/// And so are more parameters than this in one.
const PARAMETERS: usize = 32;
/// Buckets kept at most; beyond that newcomers share one.
const MOST: usize = 65_536;

/// Requests a minute; 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budgets {
    /// By address, for notifications without a token, each page shown or sent: only the absurd is
    /// over it.
    pub notify: u32,
    /// By token, for notifications with one.
    pub notify_token: u32,
    /// By address: trying to sign in.
    pub sign_in: u32,
    /// By address, pages; a session has a tenth.
    pub pages: u32,
    /// By token; an address has twice as much.
    pub api: u32,
    /// A proxy in front says where a request comes from.
    pub behind_proxy: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    /// Of its holder.
    Address(IpAddr),
    /// Digest of a token or a session.
    Secret([u8; 16]),
    Everybody,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    Notify,
    SignIn,
    Pages,
    Api,
}

struct Bucket {
    left: f64,
    at: Instant,
}

/// Buckets, and when those that nobody uses were last thrown away.
#[derive(Default)]
struct Room {
    all: HashMap<(Class, Whose), Bucket>,
    swept: Option<Instant>,
}

impl Room {
    /// Whether there is room for one more. Swept once a second at most: a flood of newcomers must
    /// not make everybody wait for the sweeping.
    fn has_room(&mut self, now: Instant) -> bool {
        let second = Duration::from_secs(1);
        if self.all.len() >= MOST
            && self.swept.is_none_or(|at| now.saturating_duration_since(at) >= second)
        {
            self.swept = Some(now);
            self.all.retain(|_, b| now.duration_since(b.at) < Duration::from_mins(1));
        }
        self.all.len() < MOST
    }
}

/// The buckets of this process. What anybody can make up (tokens, cookies) has a room of its own, so
/// that it never crowds out an address.
#[derive(Default)]
pub struct Limiter {
    addresses: Mutex<Room>,
    secrets: Mutex<Room>,
}

impl Limiter {
    /// Takes one from a bucket of `a_minute`; how long to wait if it is empty.
    fn take(&self, class: Class, whose: Whose, a_minute: u32, now: Instant) -> Option<Duration> {
        if a_minute == 0 {
            return None;
        }
        let most = f64::from(a_minute);
        let room = match whose {
            Whose::Secret(_) => &self.secrets,
            Whose::Address(_) | Whose::Everybody => &self.addresses,
        };
        let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (class, whose);
        if !room.all.contains_key(&key) && !room.has_room(now) {
            key = (class, Whose::Everybody);
        }
        let b = room.all.entry(key).or_insert(Bucket { left: most, at: now });
        let a_second = most / 60.0;
        let passed = now.saturating_duration_since(b.at).as_secs_f64();
        b.left = (b.left + passed * a_second).min(most);
        b.at = now;
        if b.left >= 1.0 {
            b.left -= 1.0;
            None
        } else {
            Some(Duration::from_secs_f64((1.0 - b.left) / a_second))
        }
    }
}

fn address(ip: IpAddr) -> Whose {
    Whose::Address(holder(ip))
}

fn secret(text: &[u8]) -> Whose {
    let digest = sha256(&[b"cdr-limit", text]);
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    Whose::Secret(half)
}

/// The last address that the nearest proxy added, if there is a proxy.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").into_iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

/// Refuses what is too long or too much before anything reads it.
pub(super) async fn limited(State(web): State<Web>, request: Request, next: Next) -> Response {
    let uri = request.uri();
    let long = uri.path_and_query().is_some_and(|p| p.as_str().len() > LONGEST);
    if long {
        return refuse(
            &web,
            uri.path(),
            Problem::new(StatusCode::URI_TOO_LONG, "address_too_long", "the address is too long"),
        );
    }
    if uri.query().is_some_and(|q| q.split('&').count() > PARAMETERS) {
        let p = Problem::new(StatusCode::BAD_REQUEST, "query", "there are too many parameters");
        return refuse(&web, uri.path(), p);
    }
    if let Some(wait) = over(&web, &request) {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(60).saturating_add(1);
        let mut p = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many",
            "there were too many requests; wait as long as Retry-After says. A death is notified by telephone meanwhile",
        );
        p.retry_after = Some(seconds);
        return refuse(&web, uri.path(), p);
    }
    next.run(request).await
}

fn over(web: &Web, request: &Request) -> Option<Duration> {
    let b = &web.budgets;
    let headers = request.headers();
    let path = request.uri().path();
    let post = request.method() == Method::POST;
    let from = request.extensions().get::<Peer>().map(|f| f.0);
    let from = if b.behind_proxy { forwarded(headers).or(from) } else { from };
    let from = from.map_or(Whose::Everybody, address);
    let now = Instant::now();
    let take = |class, whose, n| web.limiter.take(class, whose, n, now);
    let token = headers.get(header::AUTHORIZATION).map(|v| secret(v.as_bytes()));
    if path == "/api/v1/notifications" {
        // A token that nobody knows costs its sender what a notification without one does.
        let known = request::token(headers).is_some_and(|t| web.tokens.knows(t));
        let by_address = if known { None } else { take(Class::Notify, from, b.notify) };
        return by_address.or_else(|| token.and_then(|t| take(Class::Notify, t, b.notify_token)));
    }
    if is_notifying(path) || path.starts_with("/a/") {
        return take(Class::Notify, from, b.notify);
    }
    if path.starts_with("/static/") || path.starts_with("/health/") || path.starts_with("/hooks/") {
        return None;
    }
    if post && path.starts_with("/sign-in") {
        let over = take(Class::SignIn, from, b.sign_in)?;
        // A browser that has signed in before is not kept out by what others try from its address.
        // Anybody can make up such a browser, so the address's pages are the bound; what is tried
        // against an account is counted elsewhere.
        let Some(device) = Cookie::Device.read(web, headers) else { return Some(over) };
        return take(Class::Pages, from, b.pages)
            .or_else(|| take(Class::SignIn, secret(device.as_bytes()), b.sign_in.div_ceil(10)));
    }
    if path.starts_with("/api/") || path == "/metrics" {
        return take(Class::Api, from, b.api.saturating_mul(2))
            .or_else(|| token.and_then(|t| take(Class::Api, t, b.api)));
    }
    let session = headers.get(header::COOKIE).map(|v| secret(v.as_bytes()));
    take(Class::Pages, from, b.pages)
        .or_else(|| session.and_then(|s| take(Class::Pages, s, b.pages / 10)))
}

/// Every page of a notification, shown or sent: one that is told page by page is not to fail in the
/// middle because an office behind the same address reads many cases.
fn is_notifying(path: &str) -> bool {
    path == "/notify" || path.starts_with("/notify/")
}

fn refuse(web: &Web, path: &str, p: Problem) -> Response {
    if path.starts_with("/api/") || path == "/metrics" {
        return p.into_response();
    }
    let (title, advice) = match p.status {
        StatusCode::TOO_MANY_REQUESTS => (
            "Too many requests",
            "Wait a minute and load the page again. If a child has died, ring the office now.",
        ),
        _ => ("This address cannot be used", "Start again from the first page."),
    };
    let mut r = web.templates.error(p.status, title, advice);
    if let Some(s) = p.retry_after {
        r.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(s));
    }
    r
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_fills_again_and_is_nobody_elses() {
        let (l, now) = (Limiter::default(), Instant::now());
        let (a, b) = (address([192, 0, 2, 1].into()), address([192, 0, 2, 2].into()));
        for _ in 0..60 {
            assert_eq!(l.take(Class::Pages, a, 60, now), None);
        }
        assert!(l.take(Class::Pages, a, 60, now).is_some_and(|w| w <= Duration::from_secs(1)));
        assert_eq!(l.take(Class::Pages, b, 60, now), None, "another address");
        assert_eq!(l.take(Class::SignIn, a, 60, now), None, "another kind");
        assert_eq!(l.take(Class::Pages, a, 60, now + Duration::from_secs(2)), None);
        assert_eq!(l.take(Class::Pages, a, 0, now), None, "0 is no limit");
    }

    #[test]
    fn many_addresses_do_not_fill_the_memory() {
        let (l, now) = (Limiter::default(), Instant::now());
        for n in 0..70_000_u32 {
            l.take(Class::Pages, address(IpAddr::V4(n.into())), 60, now);
        }
        assert!(l.addresses.lock().unwrap().all.len() <= MOST + 1);
    }

    #[test]
    fn one_ipv6_network_is_one_address_and_only_the_nearest_proxy_is_believed() {
        let of = |t: &str| address(t.parse().unwrap());
        assert!(of("2001:db8::1") == of("2001:db8::ffff"));
        assert!(of("2001:db8::1") != of("2001:db8:0:1::1"));
        assert!(of("::ffff:192.0.2.1") == of("192.0.2.1"));
        let mut h = HeaderMap::new();
        h.append("x-forwarded-for", HeaderValue::from_static("203.0.113.9, 192.0.2.7"));
        assert_eq!(forwarded(&h), "192.0.2.7".parse().ok());
    }
}
