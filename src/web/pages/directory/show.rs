//! The directory of an area: warnings first, then every agency with who is on and how each is
//! reached.

use super::desk::Desk;
use super::standing;
use super::words::moment;
use crate::auth::policy::{Action, Object, may};
use crate::domain::calendar::Calendar;
use crate::domain::directory::{Agency, Area, Contact, Gap, Person, Standing};
use crate::domain::rota::{self, HORIZON_DAYS};
use crate::service::{GAP_DAYS, ServiceError};
use crate::web::Web;
use crate::web::pages::{failed, signed_in};
use crate::web::render::see_other;
use crate::web::request;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The caller's own area, or a choice.
pub(super) async fn areas(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if !may(&session.caller, Action::ReadDirectory, Object::default()) {
        return failed(&web, ServiceError::Forbidden);
    }
    let directory = web.service.directory();
    let mine: Vec<&Area> = directory.areas().filter(|a| session.caller.covers(&a.id)).collect();
    if let [only] = mine.as_slice() {
        return see_other(&format!("/directory/{}", only.id));
    }
    let areas: Vec<Value> = mine.iter().map(|a| json!({ "id": a.id, "name": a.name })).collect();
    let c = json!({ "frame": frame, "areas": areas });
    web.templates.page(StatusCode::OK, "directory/areas.html", c)
}

/// `saved` is the version that was just made.
pub(super) async fn area(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let desk = match Desk::read(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let known = web.service.standings(&area).await;
    let gaps = web.service.gaps(&desk.session.caller, &area).await;
    let (known, gaps) = match (known, gaps) {
        (Ok(k), Ok(g)) => (k, g),
        (Err(e), _) | (_, Err(e)) => return failed(&web, e),
    };
    let saved = request::query(query.as_deref()).remove("saved").and_then(|v| v.parse().ok());
    let now = web.service.clock.now();
    let calendar = web.service.calendar(&area);
    let look = Look { area: &desk.area, calendar: &calendar, known: &known, now };
    let (urgent, weak): (Vec<_>, Vec<_>) = gaps.iter().partition(|g| g.urgent);
    let own = json!({
        "agencies": desk.area.agencies.iter().map(|a| look.agency(a)).collect::<Vec<_>>(),
        "urgent": urgent.into_iter().map(gap).collect::<Vec<_>>(),
        "weak": weak.into_iter().map(gap).collect::<Vec<_>>(),
        "gap_days": GAP_DAYS,
        "saved": saved.filter(|v: &i64| *v == desk.version),
        "undo": desk.version - 1,
    });
    web.templates.page(StatusCode::OK, "directory/area.html", desk.context(own))
}

fn gap(g: &Gap) -> Value {
    json!({
        "agency": g.agency,
        "agency_name": g.agency_name,
        "why": g.why,
        // What lasts is not about hours.
        "hours": g.to.map(|to| format!("{} to {}", moment(g.from), moment(to))),
    })
}

struct Look<'a> {
    area: &'a Area,
    calendar: &'a Calendar,
    known: &'a BTreeMap<String, Standing>,
    now: DateTime<Utc>,
}

impl Look<'_> {
    fn agency(&self, a: &Agency) -> Value {
        let people = a.people.iter().map(|p| {
            json!({
                "id": p.id,
                "name": p.name,
                "role": p.role,
                "team": p.team,
                "points": self.points(a, &p.contacts, Some(p)),
            })
        });
        json!({
            "id": a.id,
            "name": a.name,
            "ring": a.ring,
            "told": !a.told_of.is_empty() || self.area.policy.iter().any(|r| {
                r.told && r.agencies.iter().any(|n| n == "*" || *n == a.id)
            }),
            "desks": self.points(a, &a.contacts, None),
            "people": people.collect::<Vec<_>>(),
            "rota": a.rota.is_some(),
            "on": self.on(a),
        })
    }

    fn points(&self, a: &Agency, contacts: &[Contact], p: Option<&Person>) -> Vec<Value> {
        contacts
            .iter()
            .map(|c| {
                json!({
                    "id": c.id,
                    "kind": c.kind.label(),
                    "phone": !matches!(c.kind.word(), "email" | "webhook"),
                    "webhook": c.kind.word() == "webhook",
                    "address": c.address,
                    "when": c.when.label(),
                    "team": c.team,
                    "standing": standing::of(self.area, &a.id, c, p, self.known),
                })
            })
            .collect()
    }

    /// Who is on now and who comes next.
    fn on(&self, a: &Agency) -> Option<Value> {
        let r = a.rota.as_ref()?;
        let name = |p: Option<&str>| match p {
            Some(id) => a.person(id).map_or_else(|| id.to_owned(), |p| p.name.clone()),
            None => "nobody".to_owned(),
        };
        let until = self.now + Duration::days(HORIZON_DAYS);
        let shifts = rota::shifts(r, self.calendar, self.now, until);
        let now = shifts.first()?;
        let next = shifts.get(1);
        Some(json!({
            "now": name(now.person.as_deref()),
            "nobody": now.person.is_none(),
            "until": next.map(|n| moment(n.from)),
            "next": next.map(|n| name(n.person.as_deref())),
        }))
    }
}
