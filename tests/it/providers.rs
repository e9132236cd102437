//! The providers' clients against doubles that hold them to each contract, and against the
//! providers' own published verifiers.

use crate::doubles::gateway::{self as gw, GatewayDouble};
use crate::doubles::notify::{
    CALLBACK_TOKEN, EMAIL_TEMPLATE, Fault, KeyKind, NotifyDouble, SECRET, SERVICE, SMS_TEMPLATE,
};
use crate::doubles::twilio::{self as td, TwilioDouble};
use crate::doubles::{serve, xml};
use crate::reach::python;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use child_death_review::alerts::gateway::{
    self, EventError, Gateway, GatewayEvent, Kind, Order, Refused, Signed, What,
};
use child_death_review::alerts::govuk::{
    self, Callback as NotifyCallback, Govuk, Personalisation, TemplateError,
};
use child_death_review::alerts::provider::{Handed, ProviderError, Receipt};
use child_death_review::alerts::signature;
use child_death_review::alerts::twilio::{self, Call, Callback, Twilio};
use child_death_review::config;
use child_death_review::domain::delivery::Outcome;
use chrono::{DateTime, Duration as Span, Timelike, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

const PATIENT: Duration = Duration::from_secs(10);
/// For answers that never come.
const SHORT: Duration = Duration::from_millis(700);
const MOBILE: &str = "+447700900123";

/// What the caller has to tell apart: outcome, status, the provider's fault, doubt.
fn sort(h: &Handed) -> (&'static str, Option<u16>, bool, bool) {
    let (word, code) = match h.outcome {
        Outcome::Accepted { code } => ("accepted", code),
        Outcome::Retry { code, .. } => ("retry", code),
        Outcome::Refused { code, .. } => ("refused", code),
    };
    (word, code, h.provider_fault, h.unsure)
}

fn after(h: &Handed) -> Option<Span> {
    match h.outcome {
        Outcome::Retry { after, .. } => after,
        _ => None,
    }
}

fn why(h: &Handed) -> &'static str {
    match h.outcome {
        Outcome::Accepted { .. } => "",
        Outcome::Retry { why, .. } | Outcome::Refused { why, .. } => why,
    }
}

fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

// ---- GOV.UK Notify ----

fn notify(d: &NotifyDouble, timeout: Duration) -> Govuk {
    Govuk::new(&d.config(), timeout).unwrap().unwrap()
}

fn words() -> Personalisation {
    BTreeMap::from([
        ("text", "Joint Agency Response CDR-2026-483920. Ring 01632 960100.".to_owned()),
        ("subject", "URGENT: Joint Agency Response CDR-2026-483920".to_owned()),
        ("code", "4821".to_owned()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_takes_a_text_message_and_an_email() {
    let d = NotifyDouble::start().await;
    let n = notify(&d, PATIENT);
    let sms = n.sms(MOBILE, &words(), "ref-1", Utc::now()).await;
    let mail = n.email("duty@police.example", &words(), "ref-2", Utc::now()).await;
    let sent = d.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sort(&sms), ("accepted", Some(201), false, false));
    assert_eq!(sort(&mail), ("accepted", Some(201), false, false));
    assert_eq!(sms.provider_id.as_deref(), Some(sent[0].id.as_str()));
    assert_eq!(mail.provider_id.as_deref(), Some(sent[1].id.as_str()));
    assert_eq!(
        (sent[0].kind, sent[0].to.as_str(), sent[0].body.as_str()),
        ("sms", MOBILE, words()["text"].as_str())
    );
    assert_eq!(sent[0].reference.as_deref(), Some("ref-1"));
    assert_eq!((sent[1].kind, sent[1].to.as_str()), ("email", "duty@police.example"));
    assert_eq!(sent[1].subject.as_deref(), Some(words()["subject"].as_str()));
    assert_ne!(d.tokens().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_is_not_used_without_a_key_and_not_started_with_a_wrong_one() {
    let d = NotifyDouble::start().await;
    let with = |key: &str, base: Option<&str>| {
        let mut c = d.config();
        c.api_key = key.into();
        c.base_url = base.map_or(c.base_url, str::to_owned);
        Govuk::new(&c, PATIENT)
    };
    assert!(with("", None).unwrap().is_none());
    let key = format!("x-{SERVICE}-{SECRET}");
    let shown = with(&key[1..], Some("no url")).err().unwrap();
    assert!(matches!(shown, ProviderError::Url("govuk_notify.base_url")), "{shown}");
    let shown = with(&key.replace("-4d7b-", "_4d7b-"), None).err().unwrap();
    assert!(matches!(shown, ProviderError::NotifyKey));
    assert!(!format!("{shown} {shown:?}").contains(&SECRET[..8]), "a secret is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_takes_our_tokens_and_no_forged_or_old_ones() {
    let d = NotifyDouble::start().await;
    let n = notify(&d, PATIENT);
    n.sms(MOBILE, &words(), "ref", Utc::now()).await;
    n.sms(MOBILE, &words(), "ref", Utc::now() - Span::seconds(45)).await;
    n.sms(MOBILE, &words(), "ref", Utc::now() + Span::seconds(45)).await;
    let tokens = d.tokens();
    assert_eq!(tokens.len(), 3);
    let mut forged = tokens[0].clone().into_bytes();
    let middle = forged.len() - 20;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let script = "import sys\nfrom notifications_python_client import authentication as a\nprint(a.get_token_issuer(sys.argv[2]))\nfor t in sys.argv[2:]:\n  try: print(a.decode_jwt_token(t, sys.argv[1]))\n  except Exception as e: print(type(e).__name__)\ntry: print(a.decode_jwt_token(sys.argv[2], 'another'))\nexcept Exception as e: print(type(e).__name__)";
    let said = python(
        script,
        &[SECRET, &tokens[0], &tokens[1], &tokens[2], std::str::from_utf8(&forged).unwrap()],
    );
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            SERVICE,
            "True",
            "TokenExpiredError",
            "TokenExpiredError",
            "TokenDecodeError",
            "TokenDecodeError"
        ]
    );
    assert_eq!(d.sent().len(), 1, "the double agrees with the official client");
}

#[tokio::test(flavor = "multi_thread")]
async fn notifys_refusals_of_one_number_are_not_its_own_fault() {
    let d = NotifyDouble::start().await;
    let n = notify(&d, PATIENT);
    for wrong in ["+44770090012", "+441632960123", "nobody", ""] {
        let h = n.sms(wrong, &words(), "ref", Utc::now()).await;
        assert_eq!(sort(&h), ("refused", Some(400), false, false), "{wrong}");
    }
    for wrong in ["duty", "duty@", "duty@police", "du ty@police.example"] {
        let h = n.email(wrong, &words(), "ref", Utc::now()).await;
        assert_eq!(sort(&h), ("refused", Some(400), false, false), "{wrong}");
    }
    assert!(d.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_notify_is_not_set_up_for_goes_to_the_next_provider() {
    let d = NotifyDouble::start().await;
    let n = notify(&d, PATIENT);
    let expected = ("refused", Some(400), true, false);
    d.fault_next(Fault::BadRequest(
        "Can\u{2019}t send to this recipient when service is in trial mode",
    ));
    assert_eq!(sort(&n.sms(MOBILE, &words(), "r", Utc::now()).await), expected, "trial");
    d.key_kind(KeyKind::Team, &["+447700900555"]);
    assert_eq!(sort(&n.sms(MOBILE, &words(), "r", Utc::now()).await), expected, "team key");
    assert!(n.sms("+447700900555", &words(), "r", Utc::now()).await.is_accepted());
    d.key_kind(KeyKind::Live, &[]);
    let mut long = words();
    long.insert("text", "x".repeat(919));
    assert_eq!(sort(&n.sms(MOBILE, &long, "r", Utc::now()).await), expected, "too long");
    assert!(n.email("a@b.example", &long, "r", Utc::now()).await.is_accepted());
    d.change_template(SMS_TEMPLATE, |t| t.body = "((text)) ((ward))".into());
    assert_eq!(sort(&n.sms(MOBILE, &words(), "r", Utc::now()).await), expected, "missing");
    d.change_template(SMS_TEMPLATE, |t| t.deleted = true);
    assert_eq!(sort(&n.sms(MOBILE, &words(), "r", Utc::now()).await), expected, "deleted");
    let sms_for_mail = config::GovukNotify { email_template: SMS_TEMPLATE.into(), ..d.config() };
    let n = Govuk::new(&sms_for_mail, PATIENT).unwrap().unwrap();
    assert_eq!(sort(&n.email("a@b.example", &words(), "r", Utc::now()).await), expected, "kind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_clock_notify_does_not_take_is_its_fault_and_tried_again() {
    let expected = ("retry", Some(403), true, false);
    let d = NotifyDouble::start().await;
    for (skew, fine) in [(25, true), (-25, true), (35, false), (-35, false)] {
        d.skew_clock(skew);
        let h = notify(&d, PATIENT).sms(MOBILE, &words(), "r", Utc::now()).await;
        assert_eq!(h.is_accepted(), fine, "{skew}");
        if !fine {
            assert_eq!(sort(&h), expected, "{skew}");
            assert_eq!(why(&h), "GOV.UK Notify does not take our key");
        }
    }
    d.skew_clock(0);
    for key in [
        format!("k-{SERVICE}-{}", SECRET.replace("0f7c", "0f7d")),
        format!("k-{}-{SECRET}", SERVICE.replace("5b1d", "5b1e")),
    ] {
        let c = config::GovukNotify { api_key: key.into(), ..d.config() };
        let n = Govuk::new(&c, PATIENT).unwrap().unwrap();
        assert_eq!(sort(&n.sms(MOBILE, &words(), "r", Utc::now()).await), expected);
    }
    d.revoke_key();
    assert_eq!(sort(&notify(&d, PATIENT).sms(MOBILE, &words(), "r", Utc::now()).await), expected);
    let bare = reqwest::get(format!("http://127.0.0.1:{}/v2/notifications", d.port)).await.unwrap();
    assert_eq!(bare.status(), 401);
    let said: Value = bare.json().await.unwrap();
    assert_eq!(
        (&said["status_code"], &said["errors"][0]["error"]),
        (&json!(401), &json!("AuthError"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_limits_of_notify_are_told_apart_and_its_failures_are_its_own() {
    let d = NotifyDouble::start().await;
    let n = notify(&d, PATIENT);
    d.fault_next(Fault::RateLimit);
    let h = n.sms(MOBILE, &words(), "r", Utc::now()).await;
    assert_eq!((sort(&h), after(&h)), (("retry", Some(429), true, false), Some(Span::seconds(5))));
    d.fault_next(Fault::DailyLimit);
    let now = Utc::now();
    let h = n.sms(MOBILE, &words(), "r", now).await;
    assert_eq!(sort(&h), ("retry", Some(429), true, false));
    let free = now + after(&h).unwrap();
    assert_eq!(
        (free.date_naive(), free.num_seconds_from_midnight()),
        ((now + Span::days(1)).date_naive(), 0)
    );
    for (fault, code) in [
        (Fault::Fails, 500),
        (Fault::Proxy(502), 502),
        (Fault::Proxy(503), 503),
        (Fault::Proxy(302), 302),
        (Fault::Proxy(404), 404),
        // Only Notify may say that a message can never be sent.
        (Fault::Proxy(400), 400),
        (Fault::Proxy(429), 429),
    ] {
        d.fault_next(fault);
        let h = n.sms(MOBILE, &words(), "r", Utc::now()).await;
        let doubt = matches!(code, 500 | 502);
        assert_eq!(sort(&h), ("retry", Some(code), true, doubt), "{fault:?}");
    }
    assert!(d.sent().is_empty());
    assert!(n.sms(MOBILE, &words(), "r", Utc::now()).await.is_accepted(), "well again");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_doubt_notify_is_asked_before_sending_again() {
    let d = NotifyDouble::start().await;
    let n = notify(&d, SHORT);
    for (fault, code, stored) in [
        (Fault::Hang, None, false),
        (Fault::StoreThenHang, None, true),
        (Fault::StoreThenBreak, Some(201), true),
        (Fault::StoreThenLong, Some(201), true),
        (Fault::Proxy(200), Some(200), false),
    ] {
        let reference = format!("{}/{:?}", Uuid::new_v4(), fault);
        let before = d.sent().len();
        d.fault_next(fault);
        let started = Instant::now();
        let h = n.sms(MOBILE, &words(), &reference, Utc::now()).await;
        assert_eq!(sort(&h), ("retry", code, true, true), "{fault:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{fault:?} was waited for");
        let found = n.find_by_reference(&reference, Utc::now()).await.unwrap();
        let expected = stored.then(|| (d.sent()[before].id.clone(), Receipt::Sending));
        assert_eq!(found, expected, "{fault:?}");
    }
    // While Notify cannot be asked, nobody knows: that is not "no".
    for fault in
        [Fault::Hang, Fault::Fails, Fault::Proxy(200), Fault::Proxy(404), Fault::StoreThenLong]
    {
        d.fault_next_lookup(fault);
        let asked = n.find_by_reference("ref", Utc::now()).await;
        assert!(asked.as_ref().is_err_and(|h| h.provider_fault), "{fault:?}: {asked:?}");
    }
    assert_eq!(n.find_by_reference("another & more", Utc::now()).await, Ok(None));
    assert_eq!(d.queries().last().unwrap(), "reference=another+%26+more");
    // Somebody else's message is never taken for ours.
    d.lose_queries(true);
    assert_eq!(n.find_by_reference("another & more", Utc::now()).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_is_certain_and_not_a_doubt() {
    let at = |port| format!("http://127.0.0.1:{port}");
    let d = NotifyDouble::start().await;
    let c = config::GovukNotify { base_url: at(closed_port()), ..d.config() };
    let h = Govuk::new(&c, PATIENT).unwrap().unwrap().sms(MOBILE, &words(), "r", Utc::now()).await;
    assert_eq!(sort(&h), ("retry", None, true, false));
    let t = TwilioDouble::start().await;
    let c = config::Twilio { base_url: at(closed_port()), ..t.config() };
    let h = Twilio::new(&c, PATIENT)
        .unwrap()
        .unwrap()
        .sms(MOBILE, "x", "http://s.example", Utc::now())
        .await;
    assert_eq!(sort(&h), ("retry", None, true, false));
    let g = config::Gateway { url: at(closed_port()), secrets: gw::SECRET.into() };
    let h = Gateway::new(&g, PATIENT)
        .unwrap()
        .unwrap()
        .send(&order(Kind::Sms, "http://s.example"), Utc::now())
        .await;
    assert_eq!(sort(&h), ("retry", None, true, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn notifys_magic_recipients_end_as_documented() {
    let d = NotifyDouble::start().await;
    let n = notify(&d, PATIENT);
    for (to, end) in [
        (MOBILE, Receipt::Delivered),
        ("+447700900003", Receipt::TemporaryFailure),
        ("+447700900002", Receipt::PermanentFailure),
    ] {
        let id = n.sms(to, &words(), "r", Utc::now()).await.provider_id.unwrap();
        assert_eq!(n.status(&id, Utc::now()).await, Ok(Some(Receipt::Sending)));
        d.settle(&id);
        assert_eq!(n.status(&id, Utc::now()).await, Ok(Some(end)), "{to}");
    }
    for (to, end) in [
        ("temp-fail@simulator.notify", Receipt::TemporaryFailure),
        ("perm-fail@simulator.notify", Receipt::PermanentFailure),
    ] {
        let id = n.email(to, &words(), "r", Utc::now()).await.provider_id.unwrap();
        d.settle(&id);
        assert_eq!(n.status(&id, Utc::now()).await, Ok(Some(end)), "{to}");
    }
    // Smoke-test numbers are accepted and then unknown: an absent message is not a failed one.
    let smoke = n.sms("+447700900111", &words(), "smoke", Utc::now()).await;
    assert!(smoke.is_accepted());
    assert_eq!(n.status(&smoke.provider_id.unwrap(), Utc::now()).await, Ok(None));
    assert_eq!(n.find_by_reference("smoke", Utc::now()).await, Ok(None));
    let before = d.tokens().len();
    assert_eq!(n.status("../../v2/template", Utc::now()).await, Ok(None));
    assert_eq!(d.tokens().len(), before, "what is not an id is not asked for");
    d.fault_next_lookup(Fault::Proxy(404));
    assert!(n.status(&Uuid::new_v4().to_string(), Utc::now()).await.is_err(), "a proxy's 404");
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_that_do_not_fit_are_found_at_start() {
    let d = NotifyDouble::start().await;
    let n = notify(&d, PATIENT);
    let check = async || n.check_templates(Utc::now()).await;
    assert_eq!(check().await, []);
    d.change_template(SMS_TEMPLATE, |t| t.body = "((Call back)) ((reference??x)) ((LINK))".into());
    assert_eq!(check().await, [], "Notify does not tell these spellings apart");
    d.change_template(SMS_TEMPLATE, |t| t.body = "((text)) ((child name))".into());
    d.change_template(EMAIL_TEMPLATE, |t| t.subject = Some("((ward))".into()));
    assert_eq!(
        check().await,
        [
            TemplateError::Placeholder("sms_template", "child name".into()),
            TemplateError::Placeholder("email_template", "ward".into())
        ]
    );
    d.change_template(SMS_TEMPLATE, |t| t.deleted = true);
    d.change_template(EMAIL_TEMPLATE, |t| t.subject = Some("((odd ((text))".into()));
    assert_eq!(
        check().await,
        [TemplateError::Missing("sms_template"), TemplateError::Preview("email_template")]
    );
    d.change_template(EMAIL_TEMPLATE, |t| t.kind = "sms");
    d.change_template(SMS_TEMPLATE, |t| t.deleted = false);
    d.change_template(SMS_TEMPLATE, |t| t.body = "((text))".into());
    assert_eq!(check().await, [TemplateError::Kind("email_template")]);
    let only = config::GovukNotify { email_template: String::new(), ..d.config() };
    let n = Govuk::new(&only, PATIENT).unwrap().unwrap();
    assert_eq!(n.check_templates(Utc::now()).await, [], "one that is not used is not checked");
    d.fault_next_lookup(Fault::Proxy(404));
    let said = n.check_templates(Utc::now()).await;
    assert!(matches!(said[..], [TemplateError::Unknown("sms_template", _)]), "{said:?}");
    d.revoke_key();
    let said = n.check_templates(Utc::now()).await;
    assert!(matches!(said[..], [TemplateError::Unknown("sms_template", _)]), "{said:?}");
}

/// A receiver of call-backs: `judge` sees headers, path and body, its status is the answer.
async fn receiver(
    judge: impl Fn(&HeaderMap, &[u8]) -> u16 + Clone + Send + Sync + 'static,
) -> String {
    let port = serve(move |_| {
        let handle = move |headers: HeaderMap, body: Bytes| {
            let judge = judge.clone();
            async move { StatusCode::from_u16(judge(&headers, &body)).unwrap() }
        };
        Router::new().route("/back", post(handle))
    })
    .await;
    format!("http://127.0.0.1:{port}/back")
}

#[tokio::test(flavor = "multi_thread")]
async fn notifys_receipts_and_replies_are_believed_with_the_token_only() {
    let d = NotifyDouble::start().await;
    let got: Arc<Mutex<Vec<NotifyCallback>>> = Arc::default();
    let kept = got.clone();
    let url = receiver(move |headers, body| {
        let shown = headers.get("authorization").and_then(|h| h.to_str().ok());
        if !govuk::token_fits(&CALLBACK_TOKEN.into(), shown) {
            return 403;
        }
        kept.lock().unwrap().extend(govuk::parse_callback(body));
        200
    })
    .await;
    let n = notify(&d, PATIENT);
    let id = n.sms("+447700900002", &words(), "ref-7", Utc::now()).await.provider_id.unwrap();
    for wrong in ["", "wrong", &CALLBACK_TOKEN[1..], &format!("{CALLBACK_TOKEN}x")] {
        assert_eq!(d.send_receipt(&url, wrong, &id, None).await, Some(403), "{wrong}");
    }
    assert!(got.lock().unwrap().is_empty());
    d.settle(&id);
    assert_eq!(d.send_receipt(&url, CALLBACK_TOKEN, &id, None).await, Some(200));
    assert_eq!(d.send_receipt(&url, CALLBACK_TOKEN, &id, Some("sending")).await, Some(200));
    assert_eq!(d.send_receipt(&url, CALLBACK_TOKEN, &id, Some("new-word")).await, Some(200));
    assert_eq!(d.send_reply(&url, CALLBACK_TOKEN, MOBILE, "YES 4821").await, Some(200));
    let receipt = |receipt| NotifyCallback::Receipt {
        id: id.clone(),
        reference: Some("ref-7".into()),
        receipt,
    };
    let replied = match got.lock().unwrap().last() {
        Some(NotifyCallback::Reply { id, .. }) => id.clone(),
        other => panic!("{other:?}"),
    };
    assert!(!replied.is_empty(), "what tells it from the next");
    assert_eq!(
        *got.lock().unwrap(),
        [
            receipt(Receipt::PermanentFailure),
            receipt(Receipt::Sending),
            receipt(Receipt::Other("new-word".into())),
            NotifyCallback::Reply { id: replied, from: MOBILE.into(), text: "YES 4821".into() },
        ]
    );
    assert!(!govuk::token_fits(&"".into(), Some("Bearer ")), "an empty token fits nothing");
    assert!(!govuk::token_fits(&CALLBACK_TOKEN.into(), None));
    assert!(!govuk::token_fits(&CALLBACK_TOKEN.into(), Some(CALLBACK_TOKEN)));
    for (body, error) in [
        (json!([]), EventError::NotAnObject),
        (json!({ "status": "delivered" }), EventError::Missing("id")),
        (json!({ "id": 7, "status": "delivered" }), EventError::Wrong("id", "a text")),
        (json!({ "id": "x" }), EventError::Missing("status")),
        (
            json!({ "source_number": "none", "message": "x" }),
            EventError::Wrong("source_number", "a telephone number"),
        ),
    ] {
        assert_eq!(govuk::parse_callback(body.to_string().as_bytes()), Err(error), "{body}");
    }
}

#[test]
fn every_status_notify_documents_is_known() {
    let all = [
        ("created", Receipt::Sending),
        ("sending", Receipt::Sending),
        ("pending", Receipt::Sending),
        ("sent", Receipt::Sending),
        ("delivered", Receipt::Delivered),
        ("permanent-failure", Receipt::PermanentFailure),
        ("temporary-failure", Receipt::TemporaryFailure),
        ("technical-failure", Receipt::TechnicalFailure),
        ("virus-scan-failed", Receipt::Other("virus-scan-failed".into())),
    ];
    for (word, receipt) in all {
        assert_eq!(govuk::receipt(word), receipt);
    }
    assert_eq!(govuk::receipt(&"x\n".repeat(100)), Receipt::Other("x".repeat(40)));
    assert!(Receipt::Delivered.is_final() && !Receipt::Sending.is_final());
}

// ---- the gateway ----

fn gate(d: &GatewayDouble, timeout: Duration) -> Gateway {
    Gateway::new(&d.config(), timeout).unwrap().unwrap()
}

fn order(kind: Kind, callback: &str) -> Order<'_> {
    let (text, say) = match kind {
        Kind::Sms => ("Joint Agency Response. Answer YES 4821.", ""),
        Kind::Voice => ("", "Joint Agency Response. Press 1 to say that you have this."),
    };
    let keys = match kind {
        Kind::Sms => BTreeMap::new(),
        Kind::Voice => BTreeMap::from([("1", "acknowledge"), ("2", "say again")]),
    };
    Order { id: Uuid::new_v4(), kind, to: MOBILE, text, say, keys, callback, drill: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_takes_calls_and_text_messages_once_each() {
    let d = GatewayDouble::start().await;
    let g = gate(&d, PATIENT);
    let sms = order(Kind::Sms, "https://cdr.example/back");
    let voice = Order { drill: true, ..order(Kind::Voice, "https://cdr.example/back") };
    for o in [&sms, &voice, &sms] {
        let h = g.send(o, Utc::now()).await;
        assert_eq!(sort(&h), ("accepted", Some(202), false, false));
        assert_eq!(h.provider_id, Some(format!("gw-{}", o.id)));
    }
    assert_eq!(d.refused(), Vec::<String>::new());
    assert_eq!((d.hits(), d.orders().len()), (3, 2), "a repeated id is one message");
    let callback = "https://cdr.example/back";
    assert_eq!(
        d.orders()[0],
        json!({ "id": sms.id, "type": "sms", "to": MOBILE, "text": sms.text, "callback": callback, "drill": false })
    );
    assert_eq!(
        d.orders()[1],
        json!({ "id": voice.id, "type": "voice", "to": MOBILE, "say": voice.say, "keys": { "1": "acknowledge", "2": "say again" }, "callback": callback, "drill": true })
    );
    d.fault_next(gw::Fault::Silent);
    let h = g.send(&order(Kind::Sms, callback), Utc::now()).await;
    assert_eq!((sort(&h), h.provider_id), (("accepted", Some(204), false, false), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_answers_are_told_apart() {
    let d = GatewayDouble::start().await;
    let g = gate(&d, SHORT);
    for (status, word, fault) in [
        (400, "refused", false),
        (422, "refused", false),
        (401, "retry", true),
        (403, "retry", true),
        (302, "retry", true),
        (404, "retry", true),
        (410, "retry", true),
        (500, "retry", true),
        (503, "retry", true),
    ] {
        d.fault_next(gw::Fault::Status(status));
        let h = g.send(&order(Kind::Sms, "http://b.example"), Utc::now()).await;
        assert_eq!(sort(&h), (word, Some(status), fault, status == 500), "{status}");
    }
    d.fault_next(gw::Fault::SlowDown(17));
    let h = g.send(&order(Kind::Sms, "http://b.example"), Utc::now()).await;
    assert_eq!((sort(&h), after(&h)), (("retry", Some(429), true, false), Some(Span::seconds(17))));
    assert!(d.orders().is_empty());
    for fault in [gw::Fault::Hang, gw::Fault::AcceptThenHang] {
        let o = order(Kind::Voice, "http://b.example");
        d.fault_next(fault);
        assert_eq!(sort(&g.send(&o, Utc::now()).await), ("retry", None, true, true), "{fault:?}");
        // The id makes repeating safe, whatever happened.
        assert!(g.send(&o, Utc::now()).await.is_accepted());
        assert_eq!(d.orders().iter().filter(|x| x["id"] == json!(o.id)).count(), 1, "{fault:?}");
    }
    // A secret or a clock of ours that the gateway does not share.
    let other = config::Gateway { secrets: crate::support::SECRET.into(), ..d.config() };
    let h = Gateway::new(&other, PATIENT)
        .unwrap()
        .unwrap()
        .send(&order(Kind::Sms, "http://b.example"), Utc::now())
        .await;
    assert_eq!(sort(&h), ("retry", Some(401), true, false));
    let h = gate(&d, PATIENT)
        .send(&order(Kind::Sms, "http://b.example"), Utc::now() - Span::minutes(6))
        .await;
    assert_eq!(sort(&h), ("retry", Some(401), true, false));
    assert_eq!(d.refused(), ["signature", "timestamp"]);
    let both = config::Gateway {
        secrets: format!("{} {}", crate::support::SECRET, gw::SECRET).into(),
        ..d.config()
    };
    let h = Gateway::new(&both, PATIENT)
        .unwrap()
        .unwrap()
        .send(&order(Kind::Sms, "http://b.example"), Utc::now())
        .await;
    assert!(h.is_accepted(), "both secrets sign while they are changed over");
    let none = config::Gateway { url: String::new(), ..d.config() };
    assert!(Gateway::new(&none, PATIENT).unwrap().is_none());
    let bad = config::Gateway { secrets: "whsec_".into(), ..d.config() };
    assert!(matches!(Gateway::new(&bad, PATIENT), Err(ProviderError::GatewaySecrets)));
}

#[test]
fn a_call_back_is_believed_if_signed_unchanged_and_now() {
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let (ours, old, theirs) = (vec![1; 32], vec![2; 32], vec![3; 32]);
    let keys = [ours.clone(), old.clone()];
    let body = b"{\"event\":\"key\"}";
    let t = now.timestamp();
    let sign = |k: &Vec<u8>, id: &str, t: i64, body: &[u8]| {
        signature(std::slice::from_ref(k), id, t, body)
    };
    let judge = |id: &str, timestamp: &str, signature: &str, body: &[u8]| {
        gateway::verify(&keys, Signed { id, timestamp, signature }, body, now)
    };
    let at = t.to_string();
    let good = sign(&ours, "evt_1", t, body);
    assert_eq!(judge("evt_1", &at, &good, body), Ok(()));
    assert_eq!(judge("evt_1", &at, &sign(&old, "evt_1", t, body), body), Ok(()), "an older secret");
    let two = format!("{} v1a,xyz {good}", sign(&theirs, "evt_1", t, body));
    assert_eq!(judge("evt_1", &at, &two, body), Ok(()), "one of several");
    // Forged or changed.
    assert_eq!(
        judge("evt_1", &at, &sign(&theirs, "evt_1", t, body), body),
        Err(Refused::Signature)
    );
    assert_eq!(judge("evt_1", &at, &good, b"{\"event\":\"kez\"}"), Err(Refused::Signature));
    assert_eq!(
        judge("evt_2", &at, &good, body),
        Err(Refused::Signature),
        "played again under another id"
    );
    assert_eq!(
        judge("evt_1", &(t + 1).to_string(), &good, body),
        Err(Refused::Signature),
        "made younger"
    );
    assert_eq!(judge("evt_1", &at, &good[3..], body), Err(Refused::Signature));
    assert_eq!(judge("evt_1", &at, &good.replace("v1,", "v2,"), body), Err(Refused::Signature));
    assert_eq!(judge("evt_1", &at, "", body), Err(Refused::Signature));
    assert_eq!(
        gateway::verify(&[], Signed { id: "evt_1", timestamp: &at, signature: &good }, body, now),
        Err(Refused::Signature)
    );
    // Played again later, or from a clock that is off.
    for (off, expected) in
        [(300, Ok(())), (-300, Ok(())), (301, Err(Refused::Stale)), (-301, Err(Refused::Stale))]
    {
        let s = sign(&ours, "evt_1", t + off, body);
        assert_eq!(judge("evt_1", &(t + off).to_string(), &s, body), expected, "{off}");
    }
    for wrong in
        ["", "now", "-1", "+1800000000", "1800000000.0", " 1800000000", "99999999999999999999"]
    {
        assert_eq!(judge("evt_1", wrong, &good, body), Err(Refused::Timestamp), "{wrong}");
    }
    assert_eq!(judge("", &at, &sign(&ours, "", t, body), body), Err(Refused::Id));
}

#[test]
fn the_gateways_events_are_read_and_wrong_ones_refused_without_repeating_them() {
    let id = Uuid::new_v4();
    let read = |v: Value| gateway::parse_event(v.to_string().as_bytes());
    let event = |what| Ok(GatewayEvent { message_id: Some(id), what });
    for (word, receipt) in [
        ("sending", Receipt::Sending),
        ("delivered", Receipt::Delivered),
        ("permanent_failure", Receipt::PermanentFailure),
        ("temporary_failure", Receipt::TemporaryFailure),
        ("technical_failure", Receipt::TechnicalFailure),
        ("answered_by_a_parrot", Receipt::Other("answered_by_a_parrot".into())),
    ] {
        let v = json!({ "message_id": id, "event": word, "unknown": [1, 2], "key": null });
        assert_eq!(read(v), event(What::Receipt(receipt)), "{word}");
    }
    for key in ['0', '9', '*', '#'] {
        assert_eq!(
            read(json!({ "message_id": id, "event": "key", "key": key })),
            event(What::Key(key))
        );
    }
    let reply = What::Reply { from: MOBILE.into(), text: "YES 4821".into() };
    let v = json!({ "message_id": id, "event": "reply", "from": "+44 7700 900123", "text": "YES 4821" });
    assert_eq!(read(v), event(reply.clone()));
    let v = json!({ "event": "reply", "from": MOBILE, "text": "YES 4821" });
    assert_eq!(
        read(v),
        Ok(GatewayEvent { message_id: None, what: reply }),
        "a gateway may not know what is answered"
    );
    const KEYS: EventError = EventError::Wrong("key", "one of 0 to 9, * and #");
    for (v, error) in [
        (json!("marker"), EventError::NotAnObject),
        (json!({ "message_id": id }), EventError::Missing("event")),
        (json!({ "event": "delivered" }), EventError::Missing("message_id")),
        (
            json!({ "message_id": id, "event": { "marker": 1 } }),
            EventError::Wrong("event", "a text"),
        ),
        (
            json!({ "message_id": 1, "event": "delivered" }),
            EventError::Wrong("message_id", "a text"),
        ),
        (
            json!({ "message_id": "marker", "event": "delivered" }),
            EventError::Wrong("message_id", "a UUID"),
        ),
        (json!({ "message_id": id, "event": "key" }), EventError::Missing("key")),
        (json!({ "message_id": id, "event": "key", "key": 1 }), EventError::Wrong("key", "a text")),
        (json!({ "message_id": id, "event": "key", "key": "12" }), KEYS),
        (json!({ "message_id": id, "event": "key", "key": "" }), KEYS),
        (json!({ "message_id": id, "event": "key", "key": "\u{0661}" }), KEYS),
        (json!({ "event": "reply", "text": "x" }), EventError::Missing("from")),
        (
            json!({ "event": "reply", "from": "marker", "text": "x" }),
            EventError::Wrong("from", "a telephone number"),
        ),
        (
            json!({ "event": "reply", "from": MOBILE, "text": ["marker"] }),
            EventError::Wrong("text", "a text"),
        ),
        (
            json!({ "event": "reply", "from": MOBILE, "text": "x".repeat(1601) }),
            EventError::Wrong("text", "1600 characters or fewer"),
        ),
    ] {
        assert_eq!(read(v.clone()), Err(error), "{v}");
        assert!(!error.to_string().contains("marker"));
    }
    assert_eq!(gateway::parse_event(b"{\"event\""), Err(EventError::NotAnObject));
    assert_eq!(gateway::parse_event(b"\xff"), Err(EventError::NotAnObject));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_call_backs_arrive_over_http() {
    let d = GatewayDouble::start().await;
    let g = gate(&d, PATIENT);
    let keys = g.keys().to_vec();
    let got: Arc<Mutex<Vec<GatewayEvent>>> = Arc::default();
    let kept = got.clone();
    let url = receiver(move |headers, body| {
        let h = |n: &str| headers.get(n).and_then(|v| v.to_str().ok()).unwrap_or("");
        let signed = Signed {
            id: h("webhook-id"),
            timestamp: h("webhook-timestamp"),
            signature: h("webhook-signature"),
        };
        match (gateway::verify(&keys, signed, body, Utc::now()), gateway::parse_event(body)) {
            (Err(_), _) => 401,
            (_, Err(_)) => 400,
            (_, Ok(event)) => {
                kept.lock().unwrap().push(event);
                204
            }
        }
    })
    .await;
    let voice = order(Kind::Voice, &url);
    g.send(&voice, Utc::now()).await;
    let taken = d.orders().remove(0);
    assert_eq!(d.press(&taken, "1").await, 204);
    assert_eq!(d.reply(&taken, "YES 4821").await, 204);
    assert_eq!(d.receipt(&taken, "delivered").await, 204);
    assert_eq!(d.press(&taken, "11").await, 400);
    let now = Utc::now().timestamp();
    let body = json!({ "message_id": voice.id, "event": "key", "key": "1" }).to_string();
    assert_eq!(
        d.post_as(&url, crate::support::SECRET, "evt_x", now, body.as_bytes()).await,
        401,
        "forged"
    );
    assert_eq!(
        d.post_as(&url, gw::SECRET, "evt_x", now - 600, body.as_bytes()).await,
        401,
        "played again later"
    );
    // Our own order, sent back to us, is signed with the same secret and means nothing.
    assert_eq!(d.post(&url, &taken).await, 400);
    let what: Vec<What> = got.lock().unwrap().iter().map(|e| e.what.clone()).collect();
    assert_eq!(
        what,
        [
            What::Key('1'),
            What::Reply { from: MOBILE.into(), text: "YES 4821".into() },
            What::Receipt(Receipt::Delivered)
        ]
    );
    assert!(got.lock().unwrap().iter().all(|e| e.message_id == Some(voice.id)));
}

// ---- Twilio ----

fn tw(d: &TwilioDouble, timeout: Duration) -> Twilio {
    Twilio::new(&d.config(), timeout).unwrap().unwrap()
}

const STATUS: &str = "https://cdr.example/callbacks/twilio?m=1&x=%20";

fn ring(say: &str) -> Call<'_> {
    Call { to: MOBILE, say, gather: "https://cdr.example/key?m=1&n=\"2\"", status: STATUS }
}

#[tokio::test(flavor = "multi_thread")]
async fn twilio_takes_text_messages_and_calls() {
    let d = TwilioDouble::start().await;
    let t = tw(&d, PATIENT);
    let sms = t.sms(MOBILE, "Ring 01632 960100 & say CDR-2026-483920", STATUS, Utc::now()).await;
    let say = "Police & <Social> \"care\", it's urgent]]>\u{7}";
    let call = t.call(&ring(say), Utc::now()).await;
    let taken = d.taken();
    assert_eq!(sort(&sms), ("accepted", Some(201), false, false));
    assert_eq!(sort(&call), ("accepted", Some(201), false, false));
    assert_eq!(sms.provider_id.as_deref(), Some(taken[0].sid.as_str()));
    assert_eq!(call.provider_id.as_deref(), Some(taken[1].sid.as_str()));
    assert_eq!(taken[0].get("Body"), "Ring 01632 960100 & say CDR-2026-483920");
    assert_eq!((taken[0].get("To"), taken[0].get("From")), (MOBILE, td::FROM_SMS));
    assert_eq!((taken[0].get("StatusCallback"), taken[1].get("StatusCallback")), (STATUS, STATUS));
    assert_eq!(taken[1].get("From"), td::FROM_VOICE);
    assert_eq!(
        taken[1].all("StatusCallbackEvent"),
        ["initiated", "ringing", "answered", "completed"]
    );
    let gather = taken[1].element("Gather");
    assert_eq!(
        (gather.attribute("numDigits"), gather.attribute("action")),
        (Some("1"), Some(ring("").gather))
    );
    assert_eq!(taken[1].element("Say").text, say.replace('\u{7}', " "));
    assert!(taken[1].element("Say").depth > gather.depth, "keys count while it speaks");
    let service = format!("MG{}", "a".repeat(32));
    let c = config::Twilio { from_sms: service.clone(), ..d.config() };
    assert!(
        Twilio::new(&c, PATIENT)
            .unwrap()
            .unwrap()
            .sms(MOBILE, "x", STATUS, Utc::now())
            .await
            .is_accepted()
    );
    assert_eq!(
        (d.taken()[2].get("MessagingServiceSid"), d.taken()[2].all("From").len()),
        (service.as_str(), 0)
    );
    let off = config::Twilio { account_sid: String::new(), ..d.config() };
    assert!(Twilio::new(&off, PATIENT).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn twilios_answers_are_told_apart() {
    let d = TwilioDouble::start().await;
    let t = tw(&d, SHORT);
    let sms = async |to: &str, text: &str| t.sms(to, text, STATUS, Utc::now()).await;
    // The number or the text.
    for (to, text) in [
        ("+4477", "x"),
        (td::STOPPED, "x"),
        (td::LANDLINE, "x"),
        (MOBILE, ""),
        (MOBILE, &"x".repeat(1601)),
    ] {
        assert_eq!(sort(&sms(to, text).await), ("refused", Some(400), false, false), "{to}");
    }
    let said = "x".repeat(4000);
    assert_eq!(sort(&t.call(&ring(&said), Utc::now()).await), ("refused", None, false, false));
    let wrong = Call { to: "0", ..ring("x") };
    assert_eq!(sort(&t.call(&wrong, Utc::now()).await), ("refused", Some(400), false, false));
    // The account, and Twilio itself.
    for (fault, word, code) in [
        (td::Fault::Error(400, 21408), "refused", 400),
        (td::Fault::Error(400, 21219), "refused", 400),
        (td::Fault::Error(400, 99999), "refused", 400),
        (td::Fault::Error(403, 20005), "retry", 403),
        (td::Fault::Error(400, 20003), "retry", 400),
        (td::Fault::Error(404, 20404), "retry", 404),
        (td::Fault::SlowDown, "retry", 429),
        (td::Fault::Error(500, 20500), "retry", 500),
        (td::Fault::Proxy(503), "retry", 503),
        (td::Fault::Proxy(400), "retry", 400),
        (td::Fault::Proxy(302), "retry", 302),
    ] {
        d.fault_next(fault);
        let doubt = code == 500;
        assert_eq!(sort(&sms(MOBILE, "x").await), (word, Some(code), true, doubt), "{fault:?}");
    }
    assert!(d.taken().is_empty());
    for (fault, code) in [
        (td::Fault::Hang, None),
        (td::Fault::StoreThenHang, None),
        (td::Fault::StoreThenBreak, Some(201)),
        (td::Fault::Proxy(200), Some(200)),
    ] {
        d.fault_next(fault);
        assert_eq!(sort(&sms(MOBILE, "x").await), ("retry", code, true, true), "{fault:?}");
    }
    let c = config::Twilio { auth_token: "another".into(), ..d.config() };
    let h = Twilio::new(&c, PATIENT).unwrap().unwrap().sms(MOBILE, "x", STATUS, Utc::now()).await;
    assert_eq!(sort(&h), ("retry", Some(401), true, false));
    assert_eq!(why(&h), "Twilio does not take our account");
    let c = config::Twilio { from_voice: "+441632960999".into(), ..d.config() };
    let h = Twilio::new(&c, PATIENT).unwrap().unwrap().call(&ring("x"), Utc::now()).await;
    assert_eq!(sort(&h), ("refused", Some(400), true, false), "a sender that is not ours");
}

fn owned(form: &[(&str, &str)]) -> Vec<(String, String)> {
    form.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn twilios_official_verifier_and_ours_agree() {
    let form = [
        ("To", MOBILE),
        ("CallSid", "CA1"),
        ("Digits", "1"),
        ("From", "+441632960900"),
        ("Body", "YES é & 4821"),
        ("Empty", ""),
    ];
    let urls = [
        "https://cdr.example/k?m=1&x=%20",
        "https://cdr.example:8443/k",
        "https://cdr.example",
        "http://127.0.0.1:9/k",
    ];
    let script = "import sys,json\nfrom twilio.request_validator import RequestValidator\nv=RequestValidator(sys.argv[1])\nform=dict(json.loads(sys.argv[2]))\nfor u in sys.argv[3:]:\n  print(v.compute_signature(u,form))";
    let pairs = json!(form).to_string();
    let said = python(script, &[&[td::TOKEN, pairs.as_str()], &urls[..]].concat());
    let signatures: Vec<&str> = said.lines().collect();
    assert_eq!(signatures.len(), urls.len());
    let mut turned = owned(&form);
    turned.reverse();
    for (url, s) in urls.iter().zip(&signatures) {
        assert!(twilio::signature_fits(td::TOKEN, url, &owned(&form), s), "{url}");
        assert!(twilio::signature_fits(td::TOKEN, url, &turned, s), "{url}: the order of fields");
        assert_eq!(td::sign(td::TOKEN, url, &form), *s, "the double signs as Twilio does");
    }
    // What Twilio may have signed: the address with its scheme's port, or without ours.
    let fits = |given: &str, signed: &str| {
        twilio::signature_fits(td::TOKEN, given, &owned(&form), &td::sign(td::TOKEN, signed, &form))
    };
    assert!(fits("https://cdr.example/k", "https://cdr.example:443/k"));
    assert!(fits("http://cdr.example?x=1", "http://cdr.example:80?x=1"));
    assert!(fits("https://cdr.example:8443/k", "https://cdr.example/k"));
    assert!(!fits("https://cdr.example/k", "https://cdr.example:8443/k"));
    // Forgeries.
    let (url, s) = (urls[0], signatures[0]);
    let refused = |token: &str, url: &str, form: &[(&str, &str)], s: &str| {
        !twilio::signature_fits(token, url, &owned(form), s)
    };
    let mut changed = form;
    changed[2].1 = "2";
    assert!(refused(td::TOKEN, url, &changed, s), "another key");
    assert!(refused(td::TOKEN, url, &form[1..], s), "a field less");
    assert!(refused(td::TOKEN, url, &[&form[..], &[("More", "1")]].concat(), s), "a field more");
    assert!(refused(td::TOKEN, "https://cdr.example/k?m=2&x=%20", &form, s), "another message");
    assert!(refused("another", url, &form, s));
    assert!(refused(td::TOKEN, url, &form, ""));
    assert!(refused(td::TOKEN, url, &form, &s[1..]));
    assert!(refused("", url, &form, &td::sign("", url, &form)), "an unset token fits nothing");
}

#[test]
fn twilios_call_backs_are_read() {
    let status = |id: &str, name: &str, word: &str, error: &str| {
        twilio::parse(&owned(&[
            (id, "XX0123"),
            (name, word),
            ("ErrorCode", error),
            ("SipResponseCode", error),
        ]))
    };
    let receipt = |receipt| Some(Callback::Status { sid: "XX0123".into(), receipt });
    for (word, error, expected) in [
        ("queued", "", Receipt::Sending),
        ("sent", "", Receipt::Sending),
        ("delivered", "", Receipt::Delivered),
        ("undelivered", "30003", Receipt::TemporaryFailure),
        ("undelivered", "", Receipt::TemporaryFailure),
        ("undelivered", "30005", Receipt::PermanentFailure),
        ("failed", "21610", Receipt::PermanentFailure),
        ("failed", "", Receipt::TechnicalFailure),
        ("lost", "", Receipt::Other("lost".into())),
    ] {
        assert_eq!(
            status("MessageSid", "MessageStatus", word, error),
            receipt(expected.clone()),
            "{word}"
        );
        assert_eq!(status("SmsSid", "SmsStatus", word, error), receipt(expected), "{word}");
    }
    for (word, sip, expected) in [
        ("initiated", "", Receipt::Sending),
        ("ringing", "", Receipt::Sending),
        ("in-progress", "", Receipt::Sending),
        ("completed", "200", Receipt::Delivered),
        ("busy", "486", Receipt::TemporaryFailure),
        ("no-answer", "487", Receipt::TemporaryFailure),
        ("failed", "404", Receipt::PermanentFailure),
        ("failed", "503", Receipt::TechnicalFailure),
        ("failed", "", Receipt::TechnicalFailure),
        ("canceled", "", Receipt::TechnicalFailure),
    ] {
        assert_eq!(status("CallSid", "CallStatus", word, sip), receipt(expected), "{word}");
    }
    let key = |d: &str| {
        twilio::parse(&owned(&[("CallSid", "CA1"), ("CallStatus", "in-progress"), ("Digits", d)]))
    };
    assert_eq!(key("1"), Some(Callback::Key { sid: "CA1".into(), key: '1' }));
    assert_eq!(key("x"), None);
    let reply =
        [("MessageSid", "SM1"), ("SmsStatus", "received"), ("From", MOBILE), ("Body", "YES 4821")];
    assert_eq!(
        twilio::parse(&owned(&reply)),
        Some(Callback::Reply { from: MOBILE.into(), text: "YES 4821".into() })
    );
    for none in [
        &[][..],
        &[("MessageStatus", "sent")],
        &[("CallSid", "CA1")],
        &[("MessageSid", "SM1"), ("SmsStatus", "received"), ("From", "marker")],
    ] {
        assert_eq!(twilio::parse(&owned(none)), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twilios_call_backs_arrive_over_http() {
    let d = TwilioDouble::start().await;
    let got: Arc<Mutex<Vec<Callback>>> = Arc::default();
    let (kept, own) = (got.clone(), Arc::new(Mutex::new(String::new())));
    let address = own.clone();
    let url = receiver(move |headers, body| {
        let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let s = headers.get("x-twilio-signature").and_then(|h| h.to_str().ok()).unwrap_or("");
        if !twilio::signature_fits(td::TOKEN, &address.lock().unwrap(), &form, s) {
            return 403;
        }
        kept.lock().unwrap().extend(twilio::parse(&form));
        200
    })
    .await;
    own.lock().unwrap().clone_from(&url);
    let call = Call { gather: &url, status: &url, ..ring("Press 1") };
    let id = tw(&d, PATIENT).call(&call, Utc::now()).await.provider_id.unwrap();
    let taken = d.taken().remove(0);
    assert_eq!(d.status(&taken, "ringing").await.0, 200);
    assert_eq!(d.press(&taken, "1").await.0, 200);
    let form = [("CallSid", id.as_str()), ("Digits", "1")];
    assert_eq!(d.post_signed(&url, &form, &td::sign("another", &url, &form)).await.0, 403);
    let elsewhere = td::sign(td::TOKEN, "https://cdr.example/other", &form);
    assert_eq!(d.post_signed(&url, &form, &elsewhere).await.0, 403, "signed for another address");
    assert_eq!(
        *got.lock().unwrap(),
        [
            Callback::Status { sid: id.clone(), receipt: Receipt::Sending },
            Callback::Key { sid: id, key: '1' }
        ]
    );
}

proptest! {
    #[test]
    fn nothing_said_in_a_call_becomes_markup(text in "\\PC{0,60}|[<>&\"'a/]{0,30}|(?s).{0,30}", action in "[ -~]{0,30}") {
        let clean: String = text.chars().map(|c| if c.is_control() || "\u{fffe}\u{ffff}".contains(c) { ' ' } else { c }).collect();
        let shapes: [(String, &[&str]); 3] = [
            (twilio::ask(&text, &action), &["Response", "Gather", "Say"]),
            (twilio::thank_you(&text), &["Response", "Say", "Hangup"]),
            (twilio::say_again(&text), &["Response", "Gather", "Say"]),
        ];
        for (twiml, names) in shapes {
            let all = xml::parse(&twiml).unwrap();
            prop_assert_eq!(all.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), names);
            let say = all.iter().find(|e| e.name == "Say").unwrap();
            prop_assert_eq!(&say.text, &clean);
        }
        let asked = xml::parse(&twilio::ask(&text, &action)).unwrap();
        prop_assert_eq!(asked[1].attribute("action"), Some(action.as_str()));
    }

    #[test]
    fn no_call_back_makes_a_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200), json in "\\{(\"(event|key|from|text|message_id|id|status|source_number|message)\":(\"\\PC{0,5}\"|1|null|\\[\\]),?){0,4}\\}") {
        for b in [body.as_slice(), json.as_bytes()] {
            let _ = gateway::parse_event(b);
            let _ = govuk::parse_callback(b);
            let form: Vec<(String, String)> = form_urlencoded::parse(b).into_owned().collect();
            let _ = twilio::parse(&form);
            let _ = twilio::signature_fits("x", &String::from_utf8_lossy(b), &form, "y");
        }
    }
}
