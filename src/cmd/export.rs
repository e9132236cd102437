//! `cdr export ncmd`: files in a folder, the manifest last, so that a folder with a manifest is a
//! whole export.

use super::{Failure, directory_of};
use crate::app;
use crate::auth::policy::Caller;
use crate::config::Config;
use crate::service::{Export, Format, Piece};
use chrono::NaiveDate;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use tokio::sync::mpsc;

pub(super) async fn ncmd(
    config: &Config,
    from: NaiveDate,
    to: NaiveDate,
    format: &str,
    out: &Path,
    area: Option<String>,
) -> Result<u8, Failure> {
    let format = Format::parse(format).ok_or("--format must be csv or json")?;
    if to < from {
        return Err("--to must not be before --from".into());
    }
    let parts = app::parts(config, directory_of(config)?).await?;
    std::fs::create_dir_all(out)?;
    let manifest_path = out.join("manifest.json");
    if manifest_path.exists() {
        return Err(
            format!("{} holds an export already; name another folder", out.display()).into()
        );
    }
    let (tx, mut rx) = mpsc::channel::<Piece>(4);
    let caller = Caller::operator();
    let export = parts.service.export_ncmd(&caller, Export { area, from, to, format }, tx);
    let write = async {
        let mut files: HashMap<&str, File> = HashMap::new();
        while let Some(p) = rx.recv().await {
            if !files.contains_key(p.file) {
                files.insert(p.file, File::create(out.join(p.file))?);
            }
            if let Some(f) = files.get_mut(p.file) {
                f.write_all(&p.bytes)?;
            }
        }
        files.values().try_for_each(File::sync_all)
    };
    let (manifest, written) = tokio::join!(export, write);
    written?;
    let manifest = manifest?;
    std::fs::write(&manifest_path, serde_json::to_string_pretty(&manifest)?)?;
    println!(
        "{} cases written to {}, {} of them with points to check; {} left out.",
        manifest["counts"]["cases"],
        out.display(),
        manifest["counts"]["with_flaws"],
        manifest["counts"]["left_out"]
    );
    Ok(0)
}
