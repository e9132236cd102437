//! The daily copy of an area's open cases, for the hours in which the service is gone: encrypted to
//! keys that this machine does not hold, as one JSON document.

use crate::config::Copies;
use crate::domain::directory::Area;
use crate::platform::age_file;
use crate::service::{Service, ServiceError};
use crate::store::StoreError;
use crate::store::changes::{ChangeSet, DoneRow};
use chrono::NaiveDate;
use secrecy::ExposeSecret;
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// Writes the copy of one area to wherever the settings say.
///
/// # Errors
/// The database failed, or the copy could be put nowhere; then it is due again.
pub async fn write(
    service: &Service,
    to: &Copies,
    area: &Area,
    day: NaiveDate,
) -> Result<(), ServiceError> {
    let done = make(service, to, area, day).await;
    if done.is_err() {
        // Kept for the watcher, who tells the office until a later try succeeds.
        let failed = DoneRow {
            what: format!("copy-failed/{}", area.id),
            day: day.to_string(),
            at: service.clock.now(),
        };
        // A conflict means that it is known; a database that is away has findings of its own.
        let _ =
            service.store.commit(ChangeSet { done: vec![failed], ..ChangeSet::default() }).await;
    }
    done
}

async fn make(
    service: &Service,
    to: &Copies,
    area: &Area,
    day: NaiveDate,
) -> Result<(), ServiceError> {
    let cases = service.open_cases(&area.id).await?;
    let document = json!({
        "area": area.id,
        "as_of": service.clock.now(),
        "call_back": area.call_back,
        "cases": cases,
    });
    let keys = to.keys().map_err(|_| StoreError::Corrupt("copy.recipients"))?;
    let sealed = age_file::encrypt(&keys, document.to_string().as_bytes())
        .map_err(|_| StoreError::Corrupt("copy"))?;
    if let Some(folder) = &to.folder {
        let path = folder.join(format!("{}-{day}.json.age", area.id));
        let (path, bytes) = (path.clone(), sealed.clone());
        let written = tokio::task::spawn_blocking(move || put(&path, &bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::error!(area = area.id, "the daily copy could not be written");
            return Err(StoreError::Corrupt("copy.folder").into());
        }
    }
    if let Some(url) = to.address(&area.id, day) {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_mins(1))
            .build()
            .map_err(|_| StoreError::Corrupt("copy.url"))?;
        let mut request = client.put(url.expose_secret()).body(sealed);
        if let Some(token) = &to.bearer {
            request = request.bearer_auth(token.expose_secret());
        }
        let done = request.send().await;
        if !done.is_ok_and(|r| r.status().is_success()) {
            tracing::error!(area = area.id, "the daily copy was not taken by the object store");
            return Err(StoreError::Corrupt("copy.url").into());
        }
    }
    Ok(())
}

/// Whole or not at all: a half-written copy must not replace yesterday's.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut f = std::fs::File::create(&part)?;
    f.write_all(bytes)?;
    f.sync_all()?;
    std::fs::rename(&part, path)
}
