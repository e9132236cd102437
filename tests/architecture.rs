//! The direction of imports: a module uses only rows above its own (see src/ARCHITECTURE.md).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::pedantic)] // tests and benches say what they expect

use std::fs;
use std::path::{Path, PathBuf};

/// Rows from the ground up. `config` may use `platform`; otherwise not even neighbours.
const ROWS: &[&[&str]] = &[
    &["domain"],
    &["platform", "config"],
    &["store", "alerts", "export", "exchange", "card"],
    &["auth"],
    &["service"],
    &["work", "web"],
    &["cmd", "app"],
];

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|r| r.contains(&module))
}

fn allowed(from: &str, to: &str) -> bool {
    let named = [("config", "platform"), ("cmd", "app"), ("cmd", "cmd")];
    from == to || row(to) < row(from) || named.contains(&(from, to))
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for e in fs::read_dir(dir).unwrap().flatten() {
        let p = e.path();
        if p.is_dir() {
            files(&p, out);
        } else if p.extension().is_some_and(|x| x == "rs") {
            out.push(p);
        }
    }
}

#[test]
fn imports_point_upwards_only() {
    let mut all = Vec::new();
    files(Path::new("src"), &mut all);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in &all {
        let inside = path.strip_prefix("src").unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if row(module).is_none() {
            assert!(["lib", "main"].contains(&module), "{module} has no row");
            continue;
        }
        for line in fs::read_to_string(path).unwrap().lines() {
            for used in line.split("crate::").skip(1) {
                let to: String =
                    used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if row(&to).is_some() {
                    seen += 1;
                    if !allowed(module, &to) {
                        wrong.push(format!("{}: {module} uses {to}", path.display()));
                    }
                }
            }
        }
    }
    assert!(seen > 100, "the check reads nothing");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_domain_knows_no_clock_no_io_and_no_engine() {
    let mut all = Vec::new();
    files(Path::new("src/domain"), &mut all);
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        for word in
            ["Utc::now", "std::fs", "std::net", "tokio", "sqlx", "reqwest", "async fn", "rand"]
        {
            let used = text.lines().any(|l| {
                !l.trim_start().starts_with("//")
                    && l.contains(word)
                    && !l.contains("operand")
                    && !l.contains("random")
            });
            assert!(!used, "{} uses {word}", path.display());
        }
    }
}
