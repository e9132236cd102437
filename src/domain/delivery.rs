//! When one message is tried again, and when a person must take over.

use chrono::Duration;
use uuid::Uuid;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver's system took it. Nobody has seen it yet.
    Accepted { code: Option<u16> },
    /// Try again; `after` if the receiver said when.
    Retry { code: Option<u16>, why: &'static str, after: Option<Duration> },
    /// Trying again cannot help: a person must. `recipient`: their number, mailbox or system is no
    /// use any more, so that it is a gap, and not only this message that failed.
    Refused { code: Option<u16>, why: &'static str, recipient: bool },
}

/// Seconds between attempts: quick at first, because somebody is waiting; then patient.
const WAITS: [i64; 9] = [5, 15, 30, 60, 120, 300, 600, 900, 1800];

/// The wait before the next attempt, `attempts` made so far. `jitter` from 0 to 1 spreads it by a
/// tenth either way, so that partners coming back are not met by everything at once. A receiver
/// may ask for longer, up to 15 minutes: an alert is not put off for a day by a header.
#[must_use]
pub fn wait(attempts: i64, jitter: f64, asked: Option<Duration>) -> Duration {
    let i = usize::try_from(attempts.max(1) - 1).unwrap_or(usize::MAX).min(WAITS.len() - 1);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // at most 1800 s
    let spread = Duration::milliseconds(
        (WAITS[i] as f64 * 1000.0 * (0.9 + 0.2 * jitter.clamp(0.0, 1.0))) as i64,
    );
    match asked {
        Some(a) => spread.max(a.min(Duration::minutes(15))),
        None => spread,
    }
}

/// Where in the spread of its wait a message lies, from 0 to 1; another place after each attempt.
#[must_use]
pub fn jitter(message: Uuid, attempts: i64) -> f64 {
    // The last 32 bits are random. The first are the time, alike in all that are made together.
    let [.., a, b, c, d] = message.into_bytes();
    let place = u32::from_be_bytes([a, b, c, d]);
    // Knuth's multiplicative hash: neighbouring numbers lie far apart.
    let turn = u32::try_from(attempts).unwrap_or(0).wrapping_mul(2_654_435_769);
    f64::from(place.wrapping_add(turn)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_made_together_are_spread_over_the_whole_range() {
        let ids: Vec<Uuid> = (0..1000).map(|_| Uuid::now_v7()).collect();
        for attempt in 1..4 {
            let mut tenths = [0; 10];
            for id in &ids {
                let j = jitter(*id, attempt);
                assert!((0.0..=1.0).contains(&j));
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let tenth = (j * 9.999) as usize;
                tenths[tenth] += 1;
            }
            assert!(tenths.iter().all(|n| (50..200).contains(n)), "{attempt}: {tenths:?}");
        }
        let places: Vec<f64> = (1..4).map(|n| jitter(ids[0], n)).collect();
        assert!((places[0] - places[1]).abs() > 0.1 && (places[1] - places[2]).abs() > 0.1);
    }

    #[test]
    fn waits_grow_stay_within_a_tenth_and_never_end() {
        assert_eq!(wait(1, 0.5, None), Duration::seconds(5));
        assert_eq!(wait(1, 0.0, None), Duration::milliseconds(4500));
        assert_eq!(wait(1, 1.0, None), Duration::milliseconds(5500));
        assert_eq!(wait(1_000_000, 0.5, None), Duration::minutes(30));
        assert_eq!(wait(1, 0.5, Some(Duration::hours(24))), Duration::minutes(15));
        assert_eq!(wait(9, 0.5, Some(Duration::seconds(1))), Duration::minutes(30));
    }
}
