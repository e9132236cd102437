//! Case references: unique without asking every time, and telling nothing. A counter per year is
//! reserved in blocks; a keyed permutation of its numbers gives the digits.

use super::engine::on;
use super::{Store, StoreError};
use crate::domain::id::Reference;
use crate::platform::crypt::Key;
use std::collections::HashMap;
use tokio::sync::{Mutex, oneshot};

/// Numbers reserved at once; those not used are lost, which nobody can tell.
const BLOCK: i64 = 64;

pub(super) struct References {
    key: Key,
    /// Next and end of the block in hand, by year.
    blocks: Mutex<HashMap<i32, (i64, i64)>>,
}

impl References {
    pub(super) fn new(key: Key) -> Self {
        Self { key, blocks: Mutex::default() }
    }

    fn reference(&self, year: i32, n: i64) -> Reference {
        // A million six-digit references a year, then nine million of seven digits, and so on.
        let n = u64::try_from(n).unwrap_or(0);
        let (mut from, mut size) = (0_u64, 1_000_000_u64);
        while n >= from + size {
            from += size;
            size = if from == 1_000_000 { 9_000_000 } else { size * 10 };
        }
        Reference::new(year, from + permute(&self.key, year, size, n - from))
    }
}

/// A keyed permutation of `0..size`: a four-round Feistel network over the next even power of two,
/// walked until it lands inside.
fn permute(key: &Key, year: i32, size: u64, n: u64) -> u64 {
    let half_bits = (64 - (size - 1).leading_zeros()).div_ceil(2);
    let mask = (1_u64 << half_bits) - 1;
    let mut x = n;
    loop {
        let (mut left, mut right) = (x >> half_bits, x & mask);
        for round in 0..4_u8 {
            let mac = key.mac(format!("{year}/{size}/{round}/{right}").as_bytes());
            let f = u64::from_be_bytes([
                mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], mac[6], mac[7],
            ]);
            (left, right) = (right, left ^ (f & mask));
        }
        x = (left << half_bits) | right;
        if x < size {
            return x;
        }
    }
}

impl Store {
    /// A reference that was never given out before.
    ///
    /// # Errors
    /// No block could be reserved.
    pub async fn next_reference(&self, year: i32) -> Result<Reference, StoreError> {
        let references = &self.inner.references;
        let mut blocks = references.blocks.lock().await;
        let (next, end) = blocks.get(&year).copied().unwrap_or((0, 0));
        let (next, end) = if next < end {
            (next, end)
        } else {
            let from = self.reserve(format!("reference/{year}")).await?;
            (from, from + BLOCK)
        };
        blocks.insert(year, (next + 1, end));
        Ok(references.reference(year, next))
    }

    async fn reserve(&self, name: String) -> Result<i64, StoreError> {
        const SQL: &str = "INSERT INTO counter (name, next) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET next = counter.next + $2 RETURNING next";
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                let next: i64 = on!(conn conn, |c| sqlx::query_scalar(SQL)
                    .bind(name)
                    .bind(BLOCK)
                    .fetch_one(c)
                    .await?);
                let _ = tx.send(next);
                Ok(())
            })
        }))
        .await?;
        let next = rx.await.map_err(|_| StoreError::Corrupt("counter"))?;
        Ok(next - BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn references_are_unique_and_out_of_order() {
        let r = References::new(Key::from_bytes(&[7; 32]).unwrap());
        let first: Vec<Reference> = (0..3_000).map(|n| r.reference(2026, n)).collect();
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 3_000);
        assert!(!first.is_sorted());
        assert!(first.iter().all(|r| r.as_str().len() == "CDR-2026-000000".len()));
        assert_eq!(r.reference(2026, 1_000_000).as_str().len(), "CDR-2026-0000000".len());
    }
}
