//! Which contact points were lately noted as working. A busy point is one row that every worker and
//! every node would write with each message; once a minute says as much and holds up nobody.

use chrono::{DateTime, Duration, Utc};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Noted at most this often.
const EVERY: Duration = Duration::minutes(1);

/// The digest of the address, and when it was noted.
type Noted = (Vec<u8>, DateTime<Utc>);

/// By lane.
#[derive(Default)]
pub struct Worked {
    noted: Mutex<HashMap<String, Noted>>,
}

impl Worked {
    /// Whether it is worth noting now that a point works; if so, it counts as noted.
    pub fn news(&self, lane: &str, address: &[u8], at: DateTime<Utc>) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((held, when)) = noted.get(lane)
            && held == address
            // A clock that was set back must not keep a point silent until it catches up.
            && (at - *when).abs() < EVERY
        {
            return false;
        }
        noted.insert(lane.to_owned(), (address.to_vec(), at));
        true
    }

    /// It failed, or what was noted may not have been stored: the next success is news again.
    pub fn forget(&self, lane: &str) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).remove(lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_news_once_a_minute_and_again_after_a_failure_or_with_another_address() {
        let worked = Worked::default();
        let t = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert!(worked.news("police/email", b"a", t));
        assert!(!worked.news("police/email", b"a", t + Duration::seconds(59)));
        assert!(worked.news("nurse/email", b"a", t));
        assert!(worked.news("police/email", b"b", t + Duration::seconds(59)));
        assert!(worked.news("police/email", b"b", t + Duration::seconds(120)));
        worked.forget("police/email");
        assert!(worked.news("police/email", b"b", t + Duration::seconds(121)));
        assert!(
            worked.news("police/email", b"b", t - Duration::hours(1)),
            "the clock was set back"
        );
    }
}
