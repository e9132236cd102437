//! Many rows in one statement. Texts are built once per shape from constant parts and kept, so
//! that statement caches work and no value ever enters a text.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Rows per statement: a batch is cut into these sizes, so that few shapes exist.
pub(super) const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// `head`, then `rows` lists of `cols` placeholders, then `tail`.
///
/// `SQLite` gets nameless placeholders: it finds the name of a numbered one by walking a list, for
/// each of them, so that a statement with a thousand took milliseconds before it began.
pub(super) fn text(
    head: &'static str,
    cols: usize,
    rows: usize,
    tail: &'static str,
    sqlite: bool,
) -> &'static str {
    type Shape = (&'static str, usize, &'static str, bool);
    static TEXTS: LazyLock<Mutex<HashMap<Shape, &'static str>>> = LazyLock::new(Mutex::default);
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    texts.entry((head, rows, tail, sqlite)).or_insert_with(|| {
        use std::fmt::Write;
        let mut sql = String::from(head);
        let mut n = 0;
        for r in 0..rows {
            sql.push_str(if r == 0 { "(" } else { ", (" });
            for c in 0..cols {
                n += 1;
                sql.push_str(if c == 0 { "" } else { ", " });
                if sqlite {
                    sql.push('?');
                } else {
                    let _ = write!(sql, "${n}");
                }
            }
            sql.push(')');
        }
        sql.push_str(tail);
        String::leak(sql)
    })
}

/// Cuts rows into pieces of [`SIZES`].
pub(super) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|s| rows.len() >= *s)?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// Runs one statement per piece of rows on either engine; yields the rows affected in all.
macro_rules! many {
    ($conn:expr, $rows:expr, $cols:literal, $head:literal, $tail:literal, |$q:ident, $r:ident| $bind:expr) => {{
        let mut affected = 0_u64;
        for piece in $crate::store::rows::pieces($rows) {
            let sql = $crate::store::rows::text($head, $cols, piece.len(), $tail, $conn.is_sqlite());
            affected += $crate::store::engine::on!(conn $conn, |c| {
                let mut $q = sqlx::query(sql);
                for $r in piece {
                    $q = $bind;
                }
                $q.execute(c).await?.rows_affected()
            });
        }
        affected
    }};
}
pub(super) use many;

#[cfg(test)]
mod tests {
    #[test]
    fn texts_and_pieces() {
        assert_eq!(super::text("I VALUES ", 2, 2, " X", false), "I VALUES ($1, $2), ($3, $4) X");
        assert_eq!(super::text("I VALUES ", 2, 2, " X", true), "I VALUES (?, ?), (?, ?) X");
        let rows: Vec<u8> = (0..170).collect();
        let sizes: Vec<usize> = super::pieces(&rows).map(<[u8]>::len).collect();
        assert_eq!(sizes, [128, 32, 8, 2]);
    }
}
