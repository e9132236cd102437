//! Takes the front-end files into the program: the pinned npm package and our own, joined, under
//! names that change with their content, and compressed. Nothing third-party is in the repository.
//!
//! `CDR_ASSETS_DIR` names a folder that already holds the package (as `npm ci` lays it out in
//! `node_modules`), for builds without Node or without a network.

use flate2::{Compression, write::GzEncoder};
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::Hasher;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const PACKAGE: &str = "govuk-frontend";
const PINNED: [&str; 2] = ["package.json", "package-lock.json"];

fn main() -> ExitCode {
    for path in ["build.rs", "assets", "src/web/static"] {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed=CDR_ASSETS_DIR");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            for line in why.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
    let package = match env::var_os("CDR_ASSETS_DIR") {
        Some(folder) => prebuilt(Path::new(&folder))?,
        None => installed(&out.join("npm"))?,
    };
    // For the test that holds our components to the package's fixtures.
    println!("cargo::rustc-env=CDR_GOVUK_FRONTEND={}", package.display());
    let text = assets(&package, &out)?;
    write(&out.join("assets.rs"), text.as_bytes())
}

/// The package in a folder that somebody filled, if it is the version we are pinned to.
fn prebuilt(folder: &Path) -> Result<PathBuf, String> {
    let package = folder.join(PACKAGE);
    let wanted = version(Path::new("assets/package-lock.json"), "\"node_modules/govuk-frontend\"")?;
    let found = version(&package.join("package.json"), "{").map_err(|e| {
        format!("CDR_ASSETS_DIR is {}, which does not hold {PACKAGE}: {e}\nFill it with: npm ci --ignore-scripts --prefix assets, and name assets/node_modules.", folder.display())
    })?;
    if found != wanted {
        return Err(format!(
            "CDR_ASSETS_DIR holds {PACKAGE} {found}, but assets/package-lock.json pins {wanted}"
        ));
    }
    println!("cargo::rerun-if-changed={}", package.join("package.json").display());
    Ok(package)
}

/// The `"version"` that follows a word in a JSON file of npm's.
fn version(path: &Path, after: &str) -> Result<String, String> {
    let text = read(path)?;
    let rest = text.split_once(after).map_or("", |(_, rest)| rest);
    let rest = rest.split_once("\"version\": \"").map_or("", |(_, rest)| rest);
    match rest.split_once('"') {
        Some((version, _)) => Ok(version.to_owned()),
        None => Err(format!("{} names no version", path.display())),
    }
}

/// The package as npm fetches it, checked against the lock file; only when the lock file changed.
fn installed(folder: &Path) -> Result<PathBuf, String> {
    let stamp = folder.join("installed");
    let package = folder.join("node_modules").join(PACKAGE);
    let lock = read(Path::new("assets/package-lock.json"))?;
    if fs::read_to_string(&stamp).is_ok_and(|s| s == lock) && package.is_dir() {
        return Ok(package);
    }
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for name in PINNED {
        write(&folder.join(name), read(&Path::new("assets").join(name))?.as_bytes())?;
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let run = Command::new(npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .output()
        .map_err(|e| {
            format!(
                "The pages' style comes from npm at build, and npm cannot be started: {e}.\n\
                 Install Node 18 or later (Debian: apt-get install npm), or, on a machine without it, \
                 set CDR_ASSETS_DIR to a folder made elsewhere by: npm ci --ignore-scripts --prefix assets (its assets/node_modules).\n\
                 Only building needs this; the program carries the files inside."
            )
        })?;
    if !run.status.success() {
        return Err(format!(
            "npm could not fetch what assets/package-lock.json pins; without a network set CDR_ASSETS_DIR (see build.rs). npm said:\n{}",
            String::from_utf8_lossy(&run.stderr)
        ));
    }
    write(&stamp, lock.as_bytes())?;
    Ok(package)
}

fn assets(package: &Path, out: &Path) -> Result<String, String> {
    let own = |name: &str| read(&Path::new("src/web/static").join(name));
    let dist = package.join("dist/govuk");
    let mut list = List { out, entries: String::new(), names: String::new() };

    const TEXT: &str = "text/plain; charset=utf-8";
    let licence = list.add("LICENCES", "licences", "txt", TEXT, &own("licences.txt")?)?;

    let css = neutral(&read(&dist.join("govuk-frontend.min.css"))?);
    let banner = format!(
        "@charset \"UTF-8\";/*! With parts of GOV.UK Frontend, MIT licence: {licence} */\n"
    );
    let css = format!(
        "{banner}{}\n{}\n{}",
        css.trim_start_matches("@charset \"UTF-8\";"),
        own("cdr.css")?,
        own("notify.css")?
    );
    list.add("CSS", "cdr", "css", "text/css; charset=utf-8", &css)?;

    const JS: &str = "text/javascript; charset=utf-8";
    let govuk = read(&dist.join("govuk-frontend.min.js"))?;
    // The map is not served.
    let govuk = govuk.split("//# sourceMappingURL").next().unwrap_or_default().to_owned();
    let govuk = list.add("GOVUK", "govuk", "js", JS, &govuk)?;
    list.add("BEGIN", "begin", "js", JS, &own("begin.js")?)?;
    list.add("START", "start", "js", JS, &own("start.js")?.replace("./govuk.js", &govuk))?;
    list.add("DRAFT", "draft", "js", JS, &own("draft.js")?)?;
    list.add("PASSKEY", "passkey", "js", JS, &own("passkey.js")?)?;
    list.add("LIVE", "live", "js", JS, &own("live.js")?)?;
    list.add("KEYS", "keys", "js", JS, &own("keys.js")?)?;
    list.add("ICON", "icon", "svg", "image/svg+xml", &own("icon.svg")?)?;
    Ok(format!(
        "{}/// Every file, by its path.\npub const ALL: &[Asset] = &[\n{}];\n",
        list.names, list.entries
    ))
}

/// Without the font and the crest, which belong to GOV.UK alone.
fn neutral(css: &str) -> String {
    let mut kept = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, after)) = rest.split_once("@font-face{") {
        // The font's own copyright line goes with it.
        let before = before.split("/*! Copyright").next().unwrap_or(before);
        kept.push_str(before);
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    kept.push_str(rest);
    kept.replace("GDS Transport,arial,sans-serif", "Arial,Helvetica,sans-serif")
        .replace("url(/assets/images/govuk-crest.svg)", "none")
}

struct List<'a> {
    out: &'a Path,
    entries: String,
    names: String,
}

impl List<'_> {
    /// Writes a file and its compressed twin; its path as served.
    fn add(
        &mut self,
        constant: &str,
        stem: &str,
        ext: &str,
        kind: &str,
        text: &str,
    ) -> Result<String, String> {
        // Only a name that changes with the content, so any steady hash will do.
        let mut hash = DefaultHasher::new();
        hash.write(text.as_bytes());
        let name = format!("{stem}-{:016x}.{ext}", hash.finish());
        let path = format!("/static/{name}");
        write(&self.out.join(&name), text.as_bytes())?;
        let mut gz = GzEncoder::new(Vec::new(), Compression::best());
        let packed = gz.write_all(text.as_bytes()).and_then(|()| gz.finish());
        let packed = packed.map_err(|e| format!("{name} could not be compressed: {e}"))?;
        write(&self.out.join(format!("{name}.gz")), &packed)?;
        let _ = writeln!(
            self.names,
            "#[allow(dead_code)] // some are named by other files only\npub const {constant}: &str = {path:?};"
        );
        let _ = writeln!(
            self.entries,
            "    Asset {{ path: {path:?}, kind: {kind:?}, plain: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")), gzip: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.gz\")) }},"
        );
        Ok(path)
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Leaves a file alone that is right already, so that nothing is compiled again for it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}
