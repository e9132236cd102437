//! The daily copy at an object store: a real one to put it to, in every mood, and what can be read
//! from it with the key and without.

use crate::reach::python;
use crate::story::*;
use crate::support::{MARKS, on_both, triggering};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use child_death_review::config::{Copies, Watch};
use child_death_review::service::{Service, ServiceError};
use child_death_review::work::daily;
use chrono::NaiveTime;
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// What came, and how it is answered.
#[derive(Clone, Default)]
struct ObjectStore {
    port: u16,
    inner: Arc<Mutex<(u16, Vec<Put>)>>,
}

#[derive(Clone)]
struct Put {
    path: String,
    bearer: String,
    body: Vec<u8>,
}

impl ObjectStore {
    async fn start() -> Self {
        let inner: Arc<Mutex<(u16, Vec<Put>)>> = Arc::new(Mutex::new((200, Vec::new())));
        let mine = inner.clone();
        let port = crate::doubles::serve(move |port| {
            Router::new().route("/{*path}", put(keep)).with_state(Self { port, inner: mine })
        })
        .await;
        Self { port, inner }
    }

    fn answer(&self, status: u16) {
        self.inner.lock().unwrap().0 = status;
    }

    fn puts(&self) -> Vec<Put> {
        self.inner.lock().unwrap().1.clone()
    }
}

async fn keep(
    State(o): State<ObjectStore>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bearer = headers.get("authorization").map_or("", |h| h.to_str().unwrap()).to_owned();
    let mut inner = o.inner.lock().unwrap();
    inner.1.push(Put { path, bearer, body: body.to_vec() });
    let elsewhere = format!("http://127.0.0.1:{}/elsewhere", o.port);
    let status = StatusCode::from_u16(inner.0).unwrap();
    (status, [("location", elsewhere)]).into_response()
}

struct Keys {
    ours: (String, String),
    another: String,
}

/// A pair of keys as `age-keygen` makes them, and the private half of another.
fn keys() -> Keys {
    let said = python(
        "import pyrage\nfor _ in range(2):\n  i=pyrage.x25519.Identity.generate(); print(i.to_public(), i)",
        &[],
    );
    let mut pairs = said.lines().map(|l| l.split_once(' ').unwrap());
    let (public, private) = pairs.next().unwrap();
    let another = pairs.next().unwrap().1.to_owned();
    Keys { ours: (public.to_owned(), private.to_owned()), another }
}

/// What `age -d -i key FILE` prints, by another implementation of the format.
fn opened(file: &[u8], key: &str) -> String {
    let held = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(held.path(), file).unwrap();
    let script = "import sys,pyrage\ntry:\n  print(pyrage.decrypt(open(sys.argv[1],'rb').read(), [pyrage.x25519.Identity.from_str(sys.argv[2])]).decode())\nexcept pyrage.DecryptError as e: print('DecryptError')";
    python(script, &[held.path().to_str().unwrap(), key])
}

fn settings(store: &ObjectStore, public: &str) -> Copies {
    Copies {
        folder: None,
        url: Some(format!("http://127.0.0.1:{}/copies/{{area}}/{{date}}.age", store.port).into()),
        bearer: Some("object-store-token".into()),
        recipients: vec![public.to_owned()],
        at: NaiveTime::from_hms_opt(3, 30, 0).unwrap(),
    }
}

async fn once(story: &Story, copies: &Copies) -> Result<(), ServiceError> {
    let (watch, copies): (Watch, Copies) = (story.config.watch.clone(), copies.clone());
    story.node().with(move |s: Service| async move { daily::once(&s, &watch, &copies).await }).await
}

on_both! {
    async fn the_daily_copy_reaches_the_object_store_sealed_and_whoever_holds_the_key_can_read_it(db: Db) {
        let mut story = Story::begin(db).await;
        let case = story.notify(triggering()).await;
        story.settle().await;
        let (store, keys) = (ObjectStore::start().await, keys());
        let copies = settings(&store, &keys.ours.0);
        once(&story, &copies).await.unwrap();
        let puts = store.puts();
        assert_eq!(puts.len(), 1);
        let put = &puts[0];
        assert_eq!((put.path.as_str(), put.bearer.as_str()), ("copies/northshire/2026-02-20.age", "Bearer object-store-token"));
        assert!(put.body.starts_with(b"age-encryption.org/v1\n-> X25519 "));
        let in_clear = String::from_utf8_lossy(&put.body).into_owned();
        for mark in MARKS.iter().copied().chain([case.to_string().as_str(), "northshire", "01632 960100"]) {
            assert!(!in_clear.contains(mark), "{mark} can be read without the key");
        }
        let copy: Value = serde_json::from_str(&opened(&put.body, &keys.ours.1)).unwrap();
        assert_eq!((copy["area"].as_str(), copy["call_back"].as_str()), (Some("northshire"), Some("01632 960100")));
        let cases = copy["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 1);
        // What a night without the service needs: whose case it is, and whom to ring.
        let text = cases[0].to_string();
        for part in [case.to_string().as_str(), "Quorlswick", "The police", "01632 960101"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(opened(&put.body, &keys.another), "DecryptError\n");
        let mut touched = put.body.clone();
        let last = touched.len() - 1;
        touched[last] ^= 1;
        assert_eq!(opened(&touched, &keys.ours.1), "DecryptError\n");
        // Once a day; the next day under its own name.
        once(&story, &copies).await.unwrap();
        assert_eq!(store.puts().len(), 1);
        story.forward(minutes(24 * 60)).await;
        once(&story, &copies).await.unwrap();
        assert_eq!(store.puts()[1].path, "copies/northshire/2026-02-21.age");
        story.pending.clear();
        story.finish().await;
    }

    async fn a_copy_that_the_store_refuses_is_tried_again_and_the_office_hears_of_it_once(db: Db) {
        let mut story = Story::begin(db).await;
        let (store, keys) = (ObjectStore::start().await, keys());
        let copies = settings(&store, &keys.ours.0);
        for (n, status) in [503, 403, 302].into_iter().enumerate() {
            store.answer(status);
            assert!(once(&story, &copies).await.is_err(), "{status}");
            assert_eq!(store.puts().len(), n + 1);
            let round = story.watch().await;
            let found: Vec<&str> = round.findings.iter().map(|f| f.what.as_str()).collect();
            assert_eq!(found, ["copy/northshire"], "{status}");
            assert!(round.findings[0].words.contains("not been put where it belongs"), "{:?}", round.findings);
            story.forward(minutes(1)).await;
        }
        assert!(store.puts().iter().all(|p| p.path == "copies/northshire/2026-02-20.age"), "a redirect is not followed");
        story.expect_mail(OFFICE, "has not been put where it belongs").await;
        story.expect_nothing_more().await;
        // A store that is not there at all.
        let mut nowhere = copies.clone();
        nowhere.url = Some("http://127.0.0.1:1/{area}/{date}".into());
        assert!(once(&story, &nowhere).await.is_err());
        let (_, board) = story.get("/api/v1/board").await;
        assert!(board["findings"].to_string().contains("copy/northshire"), "{board}");
        store.answer(201);
        once(&story, &copies).await.unwrap();
        assert_eq!(store.puts().len(), 4);
        assert!(story.watch().await.findings.is_empty(), "over once it is there");
        once(&story, &copies).await.unwrap();
        assert_eq!(store.puts().len(), 4);
        story.finish().await;
    }
}
