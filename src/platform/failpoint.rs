//! Places where a test kills the process. In a release build nothing of this is left.

/// Every place, in the order a notification passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    BeforeBegin,
    AfterBegin,
    AfterJournal,
    AfterReadTables,
    AfterAlerts,
    AfterDeliveries,
    BeforeCommit,
    AfterCommit,
    BeforeReply,
    AfterReply,
    BeforeSend,
    AfterSend,
    BeforeRecord,
}

impl Point {
    pub const ALL: [Self; 13] = [
        Self::BeforeBegin,
        Self::AfterBegin,
        Self::AfterJournal,
        Self::AfterReadTables,
        Self::AfterAlerts,
        Self::AfterDeliveries,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeReply,
        Self::AfterReply,
        Self::BeforeSend,
        Self::AfterSend,
        Self::BeforeRecord,
    ];
}

/// Dies here if `CDR_DIE_AT` names this point (`AfterCommit`, or `AfterCommit:3` for the third
/// time). Debug builds only.
#[inline]
pub fn reach(point: Point) {
    #[cfg(debug_assertions)]
    chosen::die_if_chosen(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
mod chosen {
    use super::Point;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static CHOSEN: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let text = std::env::var("CDR_DIE_AT").ok()?;
        let (name, n) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU32::new(n.parse().unwrap_or(1))))
    });

    pub(super) fn die_if_chosen(point: Point) {
        if let Some((name, left)) = &*CHOSEN
            && *name == format!("{point:?}")
            && left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            std::process::abort();
        }
    }
}
