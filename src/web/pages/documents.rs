//! Documents of a case: added, downloaded, withdrawn. A content streams in and out; it is never whole
//! in memory, and nothing half arrived is ever shown.

use super::{Frame, case, change, failed, is_ours, signed_in};
use crate::auth::policy::Action;
use crate::auth::session::Session;
use crate::domain::document::Document;
use crate::domain::id::Reference;
use crate::platform::crypt::same;
use crate::service::{Kept, ServiceError, Upload, invalid};
use crate::web::Web;
use crate::web::pace::Paced;
use crate::web::render::see_other;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use multer::{Constraints, Multipart, SizeLimit};
use serde_json::{Value, json};
use std::fmt::Write;
use uuid::Uuid;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/cases/{reference}/documents", get(list).post(add))
        .route("/cases/{reference}/documents/{document}", get(download))
        .route("/cases/{reference}/documents/{document}/withdraw", get(ask).post(withdraw))
}

/// As the case page and the form list them.
pub(super) fn listed(documents: &[Document]) -> Vec<Value> {
    let one = |d: &Document| {
        let gone = d.withdrawn.as_ref();
        json!({
            "id": d.id,
            "name": d.name,
            "kind": d.kind.label(),
            "size": size(d.size),
            "at": d.at,
            "by": d.by.name,
            "withdrawn": gone.map(|(at, reason, by)| json!({ "at": at, "reason": reason, "by": by.name })),
        })
    };
    documents.iter().map(one).collect()
}

/// Those that second accounts brought, each with the reference it came under.
pub(super) fn kept(all: &[Kept]) -> Vec<Value> {
    let one = |k: &Kept| {
        let mut line = listed(std::slice::from_ref(&k.document)).remove(0);
        line["account"] = k.reference.clone().into();
        line
    };
    all.iter().map(one).collect()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

async fn list(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let looked = case::looking(&web, &headers, &text, Action::ChangeCase).await;
    let (session, frame, reference) = match looked {
        Ok(l) => l,
        Err(r) => return r,
    };
    let said = match query.as_deref() {
        Some("added") => "The document is with the case",
        Some("withdrawn") => "The document is withdrawn; its content is destroyed",
        _ => "",
    };
    page(&web, &session, frame, &reference, StatusCode::OK, said, &json!([])).await
}

async fn page(
    web: &Web,
    session: &Session,
    frame: Frame,
    reference: &Reference,
    status: StatusCode,
    said: &str,
    problems: &Value,
) -> Response {
    let desk = match web.service.edit_desk(&session.caller, reference, None).await {
        Ok(d) => d,
        Err(e) => return failed(web, e),
    };
    let c = json!({
        "frame": frame,
        "reference": reference,
        "documents": listed(&desk.state.documents),
        "most": web.service.documents.file / 1024 / 1024,
        "said": said,
        "problems": problems,
    });
    web.templates.page(status, "documents.html", c)
}

async fn add(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let Ok(boundary) = multer::parse_boundary(kind) else {
        return no_file(&web, &headers, &text, body).await;
    };
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if !is_ours(&headers) {
        return forged(&web);
    }
    let reference = match case::guard(&web, &session, &text, Action::ChangeCase).await {
        Ok(r) => r,
        Err(r) => return r,
    };
    let mut upload = None;
    let done = take(&web, &session, &frame, &reference, boundary, body, &mut upload).await;
    let wrong = match done {
        Ok(()) => return see_other(&format!("/cases/{reference}/documents?added")),
        Err(e) => e,
    };
    if let Some(u) = upload {
        web.service.drop_upload(u).await;
    }
    let (status, message) = match wrong {
        Wrong::Forged => return forged(&web),
        Wrong::Broken => (StatusCode::BAD_REQUEST, "The file did not arrive whole".to_owned()),
        Wrong::Service(ServiceError::Invalid(p)) => {
            let first = p.into_iter().next().map(|p| p.message).unwrap_or_default();
            (StatusCode::UNPROCESSABLE_ENTITY, first)
        }
        Wrong::Service(ServiceError::Refused(why)) => (StatusCode::CONFLICT, why.to_string()),
        Wrong::Service(e) => return failed(&web, e),
    };
    let problems = json!([{ "field": "file", "message": message }]);
    page(&web, &session, frame, &reference, status, "", &problems).await
}

fn forged(web: &Web) -> Response {
    let advice = "Go back, load the page again and repeat; nothing was changed.";
    web.templates.error(StatusCode::FORBIDDEN, "This form is out of date", advice)
}

/// A form of another kind, which has no file in it.
async fn no_file(web: &Web, headers: &HeaderMap, text: &str, body: Body) -> Response {
    let (session, frame, _) = match change(web, headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let reference = match case::guard(web, &session, text, Action::ChangeCase).await {
        Ok(r) => r,
        Err(r) => return r,
    };
    let problems = json!([{ "field": "file", "message": "Choose a file" }]);
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    page(web, &session, frame, &reference, status, "", &problems).await
}

/// Why nothing was kept.
enum Wrong {
    /// Not from our own form.
    Forged,
    /// Not whole, or not what a browser sends.
    Broken,
    Service(ServiceError),
}

impl From<ServiceError> for Wrong {
    fn from(e: ServiceError) -> Self {
        Self::Service(e)
    }
}

/// Reads the form: its word first, then one file.
async fn take(
    web: &Web,
    session: &Session,
    frame: &Frame,
    reference: &Reference,
    boundary: String,
    body: Body,
    upload: &mut Option<Upload>,
) -> Result<(), Wrong> {
    let nothing = || invalid("file", "required", "Choose a file");
    // The service says in its own words what is too large; this is the net under it.
    let most = web.service.documents.file + 1024 * 1024;
    let limits = SizeLimit::new().whole_stream(most).for_field("_csrf", 1024);
    let mut form = Multipart::with_constraints(
        Body::new(Paced::new(body, web.body_timeout)).into_data_stream(),
        boundary,
        Constraints::new().size_limit(limits),
    );
    let mut known = false;
    loop {
        let Some(mut field) = form.next_field().await.map_err(|e| broken(web, &e))? else {
            return Err(if known { nothing().into() } else { Wrong::Forged });
        };
        match field.name() {
            Some("_csrf") => {
                let word = field.text().await.map_err(|e| broken(web, &e))?;
                if !same(word.trim().as_bytes(), frame.csrf.as_bytes()) {
                    return Err(Wrong::Forged);
                }
                known = true;
            }
            Some("file") if known => {
                let given = field.file_name().unwrap_or_default().to_owned();
                let begun = web.service.begin_upload(&session.caller, reference, &given).await?;
                let u = upload.insert(begun);
                while let Some(bytes) = field.chunk().await.map_err(|e| broken(web, &e))? {
                    web.service.upload_more(u, &bytes).await?;
                }
                drop(field);
                // Only a form that ends as a form ends has arrived whole.
                form.next_field().await.map_err(|e| broken(web, &e))?;
                return Ok(web.service.finish_upload(&session.caller, u).await?);
            }
            // The word comes first on our own form.
            _ => return Err(Wrong::Forged),
        }
    }
}

fn broken(web: &Web, e: &multer::Error) -> Wrong {
    match e {
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
            let most = web.service.documents.file / 1024 / 1024;
            let why = format!("The file is larger than {most} MiB");
            Wrong::Service(invalid("file", "too_large", why))
        }
        _ => Wrong::Broken,
    }
}

fn id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

async fn download(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, document)): Path<(String, String)>,
) -> Response {
    let looked = case::looking(&web, &headers, &text, Action::ReadCase).await;
    let (session, _, reference) = match looked {
        Ok(l) => l,
        Err(r) => return r,
    };
    let Some(id) = id(&document) else { return failed(&web, ServiceError::NotFound) };
    let (d, content) = match web.service.open_document(&session.caller, &reference, id).await {
        Ok(x) => x,
        Err(e) => return failed(&web, e),
    };
    let store = web.service.store.clone();
    // One part after the other; a part that cannot be read breaks the download off.
    let parts = futures_util::stream::try_unfold((store, content), |(store, mut c)| async move {
        let part = store.next_part(&mut c).await.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(part.map(|p| (p, (store, c))))
    });
    let mut r = Body::from_stream(parts).into_response();
    let h = r.headers_mut();
    let mut put = |name, value: &str| {
        if let Ok(v) = HeaderValue::from_str(value) {
            h.insert(name, v);
        }
    };
    put(header::CONTENT_TYPE, d.kind.media_type());
    put(header::CONTENT_LENGTH, &d.size.to_string());
    put(header::CONTENT_DISPOSITION, &disposition(&d.name));
    put(header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    put(header::CACHE_CONTROL, "no-store");
    r
}

/// Always a download, under a name that no header can be broken with.
fn disposition(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let mut coded = String::new();
    for b in name.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') {
            coded.push(char::from(b));
        } else {
            let _ = write!(coded, "%{b:02X}");
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{coded}")
}

async fn ask(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, document)): Path<(String, String)>,
) -> Response {
    let looked = case::looking(&web, &headers, &text, Action::ChangeCase).await;
    let (session, frame, reference) = match looked {
        Ok(l) => l,
        Err(r) => return r,
    };
    asked(&web, &session, &frame, &reference, &document, StatusCode::OK, &json!({}), &json!([]))
        .await
}

#[allow(clippy::too_many_arguments)] // a page, what it is about and what was wrong
async fn asked(
    web: &Web,
    session: &Session,
    frame: &Frame,
    reference: &Reference,
    document: &str,
    status: StatusCode,
    typed: &Value,
    problems: &Value,
) -> Response {
    let desk = match web.service.edit_desk(&session.caller, reference, None).await {
        Ok(d) => d,
        Err(e) => return failed(web, e),
    };
    let there = |d: &&Document| Some(d.id) == id(document) && d.withdrawn.is_none();
    let Some(d) = desk.state.documents.iter().find(there) else {
        return failed(web, ServiceError::NotFound);
    };
    let c = json!({ "frame": frame, "reference": reference, "id": d.id, "name": d.name, "typed": typed, "problems": problems });
    web.templates.page(status, "document_withdraw.html", c)
}

async fn withdraw(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, document)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let reference = match case::guard(&web, &session, &text, Action::ChangeCase).await {
        Ok(r) => r,
        Err(r) => return r,
    };
    let Some(which) = id(&document) else { return failed(&web, ServiceError::NotFound) };
    let service = &web.service;
    match service.withdraw_document(&session.caller, &reference, which, form.get("reason")).await {
        Ok(()) => see_other(&format!("/cases/{reference}/documents?withdrawn")),
        Err(ServiceError::Invalid(p)) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let (typed, p) = (json!(form.typed()), json!(p));
            asked(&web, &session, &frame, &reference, &document, status, &typed, &p).await
        }
        Err(e) => failed(&web, e),
    }
}
