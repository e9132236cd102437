//! Style sheet, scripts and icon: made by `build.rs`, carried in the program, under names that
//! change with their content.

use super::Web;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// One file as served.
pub struct Asset {
    pub path: &'static str,
    pub kind: &'static str,
    pub plain: &'static [u8],
    pub gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

pub(super) fn routes() -> Router<Web> {
    let router = Router::new().route("/favicon.ico", get(favicon));
    ALL.iter().fold(router, |router, asset| {
        router
            .route(asset.path, get(move |headers: HeaderMap| async move { serve(asset, &headers) }))
    })
}

/// Browsers ask for it where an answer is no page.
async fn favicon(headers: HeaderMap) -> Response {
    let icon = ALL.iter().find(|a| a.path == ICON);
    let mut r = icon.map_or_else(|| ().into_response(), |a| serve(a, &headers));
    // This name does not change with the content.
    r.headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    r
}

fn serve(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let sent = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
    ];
    if takes_gzip(headers) {
        (sent, [(header::CONTENT_ENCODING, "gzip")], asset.gzip).into_response()
    } else {
        (sent, asset.plain).into_response()
    }
}

pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let said = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|v| v.to_str().ok());
    said.flat_map(|v| v.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|n| n.eq_ignore_ascii_case("gzip"));
        named && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Whether a page may be compressed: only where the person or our own page asked for it. Elsewhere
/// a stranger's page could make many requests and tell from the sizes what ours holds.
pub(super) fn is_own_request(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok());
    site.is_some_and(|s| s == "same-origin" || s == "none")
}

/// A compressed page.
pub(super) fn packed(plain: &[u8]) -> Option<Vec<u8>> {
    let mut gz = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    gz.write_all(plain).ok()?;
    gz.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_read_and_nothing_of_the_crown_is_carried() {
        let headers = |v: &'static str| {
            let mut h = HeaderMap::new();
            h.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(v));
            h
        };
        assert!(takes_gzip(&headers("br, GZIP;q=0.8")));
        assert!(!takes_gzip(&headers("br, gzip;q=0")));
        assert!(!takes_gzip(&HeaderMap::new()));
        for asset in ALL {
            let text = std::str::from_utf8(asset.plain).unwrap();
            for word in ["@font-face", "GDS Transport", "url(/assets", "woff", "crest.svg"] {
                assert!(!text.contains(word), "{} has {word}", asset.path);
            }
        }
        let css = ALL.iter().find(|a| a.path == CSS).unwrap();
        assert!(css.plain.starts_with(b"@charset"), "a charset counts only at the beginning");
        assert!(css.gzip.len() * 4 < css.plain.len());
    }
}
