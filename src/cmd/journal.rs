//! Proving and replaying the journal.

use super::{Failure, JournalWhat, directory_of};
use crate::app::{self, ServeLock};
use crate::config::Config;
use std::path::Path;

pub(super) async fn run(config: &Config, what: JournalWhat) -> Result<u8, Failure> {
    match what {
        JournalWhat::Verify { anchor } => {
            let anchors = anchor.as_deref().map(read_anchors).transpose()?.unwrap_or_default();
            let parts = app::parts(config, directory_of(config)?).await?;
            let r = parts.store.verify(&anchors).await?;
            println!(
                "{} cases, {} entries, {} seals, {} anchors checked.",
                r.streams,
                r.entries,
                r.seals,
                anchors.len()
            );
            for f in &r.findings {
                println!("NOT RIGHT: {}: {}", f.place, f.what);
            }
            if r.findings.is_empty() {
                println!("The journal is whole.");
            }
            Ok(u8::from(!r.findings.is_empty()))
        }
        JournalWhat::Rebuild => {
            let target = app::target(config)?;
            let _lock = target.sqlite_path().map(ServeLock::take).transpose()?;
            let parts = app::parts(config, directory_of(config)?).await?;
            let done = parts.store.rebuild().await?;
            println!("{} cases rebuilt, {} erased ones left out.", done.cases, done.erased);
            Ok(0)
        }
    }
}

/// Lines of `n root time`, as the service appends them.
fn read_anchors(path: &Path) -> Result<Vec<(i64, String)>, Failure> {
    let text = std::fs::read_to_string(path)?;
    let line = |l: &str| {
        let mut words = l.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
    };
    let read: Option<Vec<_>> = text.lines().filter(|l| !l.trim().is_empty()).map(line).collect();
    read.ok_or_else(|| format!("{} is not an anchor file", path.display()).into())
}
