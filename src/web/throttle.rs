//! Wrong codes by address: a few are a slip of the pen, many are somebody trying.

use axum::http::HeaderMap;
use chrono::{DateTime, Duration, Utc};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Wrong tries within the time that counts.
const MOST: u32 = 10;
const MINUTES: i64 = 10;
/// Addresses remembered at most.
const ROOM: usize = 10_000;

/// Where a request came from, as the socket says.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub IpAddr);

/// Wrong tries of each address since the first one that counts.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<IpAddr, (DateTime<Utc>, u32)>>);

impl Throttle {
    /// Whether this address may try again.
    pub fn may(&self, from: IpAddr, now: DateTime<Utc>) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&from).is_none_or(|(since, n)| *n < MOST || past(*since, now))
    }

    /// A wrong try.
    pub fn wrong(&self, from: IpAddr, now: DateTime<Utc>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ROOM {
            all.retain(|_, (since, _)| !past(*since, now));
        }
        if all.len() >= ROOM {
            return;
        }
        let (since, n) = all.entry(from).or_insert((now, 0));
        if past(*since, now) {
            (*since, *n) = (now, 0);
        }
        *n += 1;
    }
}

fn past(since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - since > Duration::minutes(MINUTES)
}

/// Who is behind a request. A proxy on this machine or network names its caller last; anybody else
/// could write what they like there.
pub fn behind(peer: PeerAddress, headers: &HeaderMap) -> IpAddr {
    let ours = match peer.0 {
        IpAddr::V4(a) => a.is_loopback() || a.is_private(),
        IpAddr::V6(a) => a.is_loopback() || a.is_unique_local(),
    };
    let named = headers.get_all("x-forwarded-for").iter().next_back();
    let named = named
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.rsplit(',').next())
        .and_then(|v| v.trim().parse().ok());
    if ours { named.unwrap_or(peer.0) } else { peer.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_codes_and_then_a_pause() {
        let (t, a): (Throttle, IpAddr) = (Throttle::default(), "192.0.2.1".parse().unwrap());
        let now = "2026-03-01T03:00:00Z".parse().unwrap();
        for _ in 0..MOST {
            assert!(t.may(a, now));
            t.wrong(a, now);
        }
        assert!(!t.may(a, now) && t.may("192.0.2.2".parse().unwrap(), now));
        assert!(t.may(a, now + Duration::minutes(11)));
    }

    #[test]
    fn only_a_proxy_of_ours_names_its_caller() {
        let mut h = HeaderMap::new();
        h.insert("x-forwarded-for", "1.1.1.1, 192.0.2.7".parse().unwrap());
        let from = |p: &str| behind(PeerAddress(p.parse().unwrap()), &h).to_string();
        assert_eq!(from("127.0.0.1"), "192.0.2.7");
        assert_eq!(from("198.51.100.4"), "198.51.100.4");
    }
}
