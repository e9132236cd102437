//! Wrong codes by address: a few are a slip of the pen, many are somebody trying.

use chrono::{DateTime, Duration, Utc};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Wrong tries within the time that counts.
const MOST: u32 = 10;
const MINUTES: i64 = 10;
/// Addresses remembered at most.
const ROOM: usize = 10_000;

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
}
