//! The directory as a spreadsheet: out, and in with a look before it counts.

use super::desk::{Desk, Saving, Unsaved};
use super::fields::Said;
use super::paste::{Preview, PreviewLine, Words, pasted, show};
use crate::service::import;
use crate::web::Web;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

fn words(desk: &Desk) -> Words {
    Words {
        title: format!("Import the directory of {}", desk.area.name),
        lead: vec![
            "Download the directory as it stands, change it in a spreadsheet, save it as CSV and \
             paste all of it here, with its first line."
                .to_owned(),
            "The file says everything about the agencies it names: people and contact points that \
             are not in it any more are removed there. Agencies it does not name stay as they are."
                .to_owned(),
            "Nothing counts before you have seen what was understood.".to_owned(),
        ],
        label: "The file's text",
        hint: "Its first line is: agency,agency_name,ring,team,person,role,kind,address,when,order",
        back: format!("/directory/{}", desk.area.id),
        apply: "Change the directory so".to_owned(),
    }
}

pub(super) async fn form(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
) -> Response {
    match Desk::write(&web, &headers, &area).await {
        Ok(desk) => show(&web, &desk, StatusCode::OK, &words(&desk), "", None, &[]),
        Err(r) => r,
    }
}

pub(super) async fn send(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
    body: Body,
) -> Response {
    let (mut desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let text = pasted(&form);
    let refused = StatusCode::UNPROCESSABLE_ENTITY;
    let page = words(&desk);
    let answer = |desk: &Desk, status, preview: Option<&Preview>, said: &[Said]| {
        show(&web, desk, status, &page, &text, preview, said)
    };
    if text.trim().is_empty() {
        return answer(&desk, refused, None, &[Said::new("text", "paste something first")]);
    }
    let plan = match import::plan(&desk.area, text.as_bytes()) {
        Ok(p) => p,
        Err(t) => {
            let p = Preview { problems: t.problems, left_out: t.left_out, ..Preview::default() };
            return answer(&desk, refused, Some(&p), &[]);
        }
    };
    let lines: Vec<PreviewLine> = plan
        .differences
        .iter()
        .map(|d| PreviewLine { kind: d.kind, what: d.what.clone() })
        .collect();
    let preview = Preview { lines, ..Preview::default() };
    if preview.lines.is_empty() || form.get("_apply").is_empty() {
        return answer(&desk, StatusCode::OK, Some(&preview), &[]);
    }
    if let Some(stale) = desk.stale(&web, &form).await {
        return answer(&desk, StatusCode::CONFLICT, Some(&preview), &[stale]);
    }
    let saving = Saving {
        what: format!("imported a file: {} changes", preview.lines.len()),
        to: format!("/directory/{area}"),
        places: &[],
    };
    match desk.save(&web, plan.area, &saving).await {
        Ok(version) => see_other(&format!("{}?saved={version}", saving.to)),
        Err(Unsaved::Failed(r)) => r,
        Err(Unsaved::Stale(s)) => answer(&desk, StatusCode::CONFLICT, Some(&preview), &[s]),
        Err(Unsaved::Said(s)) => answer(&desk, refused, Some(&preview), &s),
    }
}

pub(super) async fn export(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
) -> Response {
    let desk = match Desk::read(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"directory-{}.csv\"", desk.area.id),
        ),
    ];
    (headers, import::write(&desk.area)).into_response()
}
