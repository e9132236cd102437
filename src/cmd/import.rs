//! `cdr import directory`: a spreadsheet into an area's directory. It shows what would change;
//! only `--apply` changes it.

use super::{Failure, directory_of};
use crate::app;
use crate::auth::policy::Caller;
use crate::config::Config;
use crate::service::{ServiceError, import};
use std::path::Path;

/// Larger than any directory: a wrong file is not read to its end.
const MOST_BYTES: u64 = 16 << 20;

pub(super) async fn directory(
    config: &Config,
    file: &Path,
    area: Option<String>,
    apply: bool,
) -> Result<u8, Failure> {
    let size = std::fs::metadata(file).map_err(|e| format!("{}: {e}", file.display()))?.len();
    if size > MOST_BYTES {
        return Err(format!("{} is larger than {} MiB", file.display(), MOST_BYTES >> 20).into());
    }
    let bytes = std::fs::read(file)?;
    let configured = directory_of(config)?;
    let parts = app::parts(config, configured.clone()).await?;
    let area = area.unwrap_or_else(|| configured.first().to_owned());
    let caller = Caller::operator();
    let stands = match parts.service.area_directory(&caller, &area) {
        Ok(a) => a,
        Err(ServiceError::NotFound) => {
            return Err(format!("there is no area {area:?}; name one with --area").into());
        }
        Err(e) => return Err(e.into()),
    };
    let plan = match import::plan(&stands.area, &bytes) {
        Ok(p) => p,
        Err(t) => {
            tell(&t);
            return Ok(1);
        }
    };
    for d in &plan.differences {
        println!("{:<8} {}", d.kind, d.what);
    }
    let n = plan.differences.len();
    if n == 0 {
        println!("There is nothing to change.");
        return Ok(0);
    }
    if !apply {
        println!("{n} changes. Nothing was changed yet: add --apply to change the directory.");
        return Ok(0);
    }
    let what = format!("imported a file: {n} changes");
    match parts.service.save_directory(&caller, plan.area, stands.version, &what).await {
        Ok(version) => {
            println!("{n} changes; the directory of {area} is now at version {version}.");
            Ok(0)
        }
        Err(ServiceError::Invalid(problems)) => {
            for p in problems {
                println!("{}: {}", p.field, p.message);
            }
            println!("Nothing was changed.");
            Ok(1)
        }
        Err(e) => Err(e.into()),
    }
}

fn tell(t: &import::Trouble) {
    for p in &t.problems {
        match (p.line, p.column.as_str()) {
            (0, "") => println!("{}", p.message),
            (0, column) => println!("{column}: {}", p.message),
            (line, "") => println!("line {line}: {}", p.message),
            (line, column) => println!("line {line}, {column}: {}", p.message),
        }
    }
    if t.left_out > 0 {
        println!("and {} more", t.left_out);
    }
    println!("Nothing was changed.");
}
