//! Our components against the examples that GOV.UK Frontend publishes with its own: the same
//! options must give the same elements, attributes and texts.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Component of the package, file of ours, macro.
const COMPONENTS: &[(&str, &str, &str)] = &[
    ("back-link", "ways", "govukBackLink"),
    ("breadcrumbs", "ways", "govukBreadcrumbs"),
    ("button", "button", "govukButton"),
    ("checkboxes", "checkboxes", "govukCheckboxes"),
    ("date-input", "date_input", "govukDateInput"),
    ("details", "details", "govukDetails"),
    ("error-message", "parts", "govukErrorMessage"),
    ("error-summary", "error_summary", "govukErrorSummary"),
    ("fieldset", "parts", "govukFieldset"),
    ("hint", "parts", "govukHint"),
    ("input", "input", "govukInput"),
    ("inset-text", "notices", "govukInsetText"),
    ("label", "parts", "govukLabel"),
    ("notification-banner", "notices", "govukNotificationBanner"),
    ("pagination", "ways", "govukPagination"),
    ("panel", "notices", "govukPanel"),
    ("phase-banner", "notices", "govukPhaseBanner"),
    ("radios", "radios", "govukRadios"),
    ("select", "select", "govukSelect"),
    ("service-navigation", "ways", "govukServiceNavigation"),
    ("skip-link", "ways", "govukSkipLink"),
    ("summary-list", "lists", "govukSummaryList"),
    ("table", "lists", "govukTable"),
    ("tag", "notices", "govukTag"),
    ("task-list", "lists", "govukTaskList"),
    ("textarea", "textarea", "govukTextarea"),
    ("warning-text", "notices", "govukWarningText"),
];

#[test]
fn components_render_the_published_examples() {
    let templates = child_death_review::web::templates().unwrap();
    let package = Path::new(env!("CDR_GOVUK_FRONTEND")).join("dist/govuk/components");
    let (mut same, mut wrong) = (0, Vec::new());
    for (component, file, name) in COMPONENTS {
        let path = package.join(component).join("fixtures.json");
        let fixtures: Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for fixture in fixtures["fixtures"].as_array().unwrap() {
            let label = format!("{component}: {}", fixture["name"].as_str().unwrap());
            match templates.component(file, name, &fixture["options"]) {
                Err(e) => wrong.push(format!("{label}\n  {e:#}")),
                Ok(ours) => {
                    let (ours, theirs) = (pieces(&ours), pieces(fixture["html"].as_str().unwrap()));
                    let at = ours.iter().zip(&theirs).position(|(a, b)| a != b);
                    match at.or_else(|| {
                        (ours.len() != theirs.len()).then(|| ours.len().min(theirs.len()))
                    }) {
                        None => same += 1,
                        Some(i) => wrong.push(format!(
                            "{label}\n  ours   {}\n  theirs {}",
                            ours[i.saturating_sub(1)..(i + 2).min(ours.len())].join(" "),
                            theirs[i.saturating_sub(1)..(i + 2).min(theirs.len())].join(" ")
                        )),
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{same} same, {} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > 400, "only {same} examples were found");
}

/// Tags with their attributes in order of name, and texts with single spaces.
fn pieces(html: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        if let Some(tag) = rest.strip_prefix('<') {
            let end = end_of_tag(tag);
            out.push(tag_piece(tag[..end].trim_end_matches('/')));
            rest = &tag[(end + 1).min(tag.len())..];
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            let text = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.is_empty() {
                out.push(plain(&text));
            }
            rest = &rest[end..];
        }
    }
    out
}

fn end_of_tag(tag: &str) -> usize {
    let mut quoted = false;
    for (i, c) in tag.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return i,
            _ => {}
        }
    }
    tag.len()
}

fn tag_piece(tag: &str) -> String {
    let (name, mut rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    let mut attributes = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let (value, left) = match after.strip_prefix("=\"") {
            Some(v) => v.split_once('"').unwrap_or((v, "")),
            None => ("", after),
        };
        // The classes are a set; the examples and ours may name them in another order.
        let mut words: Vec<&str> = value.split_whitespace().collect();
        if key == "class" {
            words.sort_unstable();
        }
        let twice = attributes.insert(key.to_owned(), plain(&words.join(" ")));
        assert!(twice.is_none(), "{key} stands twice in <{tag}>");
        rest = left;
    }
    let attributes: Vec<String> = attributes.iter().map(|(k, v)| format!(" {k}={v:?}")).collect();
    format!("<{name}{}>", attributes.concat())
}

fn plain(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |t, (entity, c)| t.replace(entity, c))
}
