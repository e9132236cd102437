//! Adding, changing, moving and removing one rule of the policy.

use super::desk::{Desk, Saving};
use super::fields::{Field, FormPage, Group, Said, options};
use super::policy::{channel_label, last_fields, last_typed, read_last, sentences, whom_label};
use super::words;
use crate::domain::alert::{AlertKind, Channel};
use crate::domain::directory::{Area, Rule, Step, Urgency, When, Whom};
use crate::service::ServiceError;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::failed;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

const CHANNELS: [Channel; 4] = [Channel::Webhook, Channel::Email, Channel::Sms, Channel::Voice];

/// Steps a form has room for.
const MOST_STEPS: usize = 12;

/// Events for which a rule counts.
pub(super) fn offered() -> impl Iterator<Item = AlertKind> {
    AlertKind::EVENTS.into_iter().filter(|k| !k.goes_by_itself())
}

fn slots(r: Option<&Rule>) -> usize {
    (r.map_or(0, |r| r.steps.len()) + 2).clamp(4, MOST_STEPS)
}

fn page(desk: &Desk, n: Option<usize>, r: Option<&Rule>) -> FormPage {
    let mut agencies = vec![("agency.*".to_owned(), "Every agency".to_owned())];
    let each = |a: &crate::domain::directory::Agency| (format!("agency.{}", a.id), a.name.clone());
    agencies.extend(desk.area.agencies.iter().map(each));
    let events = offered().map(|k| (format!("event.{}", k.word()), k.label().to_owned())).collect();
    let yes_no = |yes, no| options([("yes", yes), ("no", no)]);
    let mut groups = vec![
        Group::plain(vec![
            Field::checks("agencies", "About these agencies", agencies),
            Field::checks("events", "On these events", events),
            Field::select("when", "At these hours", words::whens()).short(),
            Field::select("told", "Are they told?", yes_no("Told", "Not told")).short(),
            Field::select(
                "urgency",
                "How soon",
                options([("now", "At once, day and night"), ("office", "When the office opens")]),
            )
            .short(),
            Field::select(
                "acknowledge",
                "Must a person there acknowledge?",
                yes_no("Yes, it is followed up until they do", "No"),
            )
            .short(),
            Field::text("act_within", "Minutes until an entry in the response plan is expected")
                .hint("After the acknowledgement; leave empty for 240")
                .short(),
        ]),
        Group::titled(
            "The ladder",
            "Each step comes while nobody has acknowledged. Leave all of them empty for the usual ladder.",
            Vec::new(),
        ),
    ];
    if let (None, Some(first)) = (n, groups.first_mut()) {
        first.fields.push(
            Field::text("place", "Place in the list")
                .hint("1 counts first: of two rules that fit, the earlier wins")
                .short(),
        );
    }
    for i in 1..=slots(r) {
        let mut whom = vec![(String::new(), "Not used".to_owned())];
        whom.extend(Whom::WORDS.iter().filter_map(|w| {
            Some(((*w).to_owned(), words::capital(&whom_label(Whom::parse(w)?, ""))))
        }));
        let by =
            CHANNELS.map(|c| (format!("step.{i}.{}", c.word()), words::capital(channel_label(c))));
        groups.push(Group::titled(
            &format!("Step {i}"),
            "",
            vec![
                Field::select(&format!("step.{i}.whom"), "To whom", whom).short(),
                Field::text(&format!("step.{i}.after"), "Minutes after the start")
                    .hint(if i == 1 { "The first step is at once: 0" } else { "For example 3" })
                    .short(),
                Field::checks(&format!("step.{i}.by"), "How", by.to_vec()),
                Field::text(&format!("step.{i}.team"), "Team").hint("Only for “a team”").short(),
            ],
        ));
    }
    groups.push(Group::titled(
        "The last step",
        "Who is told to ring the agency when nothing has worked. Leave it empty for the area's own.",
        last_fields(),
    ));
    let here = format!("/directory/{}/policy", desk.area.id);
    FormPage {
        title: n.map_or_else(|| "Add a rule".to_owned(), |n| format!("Change rule {n}")),
        groups,
        button: "Save".to_owned(),
        back: here.clone(),
        links: n
            .map(|n| (format!("{here}/{n}/remove"), "Remove this rule".to_owned()))
            .into_iter()
            .collect(),
        ..FormPage::default()
    }
}

fn typed(r: &Rule) -> Vec<(String, String)> {
    let on = |name: String| (name, "on".to_owned());
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    let mut all: Vec<(String, String)> =
        r.agencies.iter().map(|a| on(format!("agency.{a}"))).collect();
    all.extend(r.events.iter().map(|k| on(format!("event.{}", k.word()))));
    all.push(("when".to_owned(), r.when.word().to_owned()));
    all.push(("told".to_owned(), yes(r.told)));
    all.push(("urgency".to_owned(), r.urgency.word().to_owned()));
    all.push(("acknowledge".to_owned(), yes(r.acknowledge)));
    let act = r.act_within_minutes.map(|m| m.to_string()).unwrap_or_default();
    all.push(("act_within".to_owned(), act));
    for (i, s) in (1..).zip(&r.steps) {
        all.push((format!("step.{i}.whom"), s.whom.word().to_owned()));
        all.push((format!("step.{i}.after"), words::as_minutes(s.after_seconds)));
        all.push((format!("step.{i}.team"), s.team.clone()));
        all.extend(s.channels.iter().map(|c| on(format!("step.{i}.{}", c.word()))));
    }
    all.extend(last_typed(r.last.as_ref()));
    all
}

fn read(form: &Form, area: &Area, r: &mut Rule) -> Vec<Said> {
    let mut said = Vec::new();
    let ticked = |name: String| !form.get(&name).is_empty();
    r.agencies = std::iter::once("*")
        .chain(area.agencies.iter().map(|a| a.id.as_str()))
        .filter(|a| ticked(format!("agency.{a}")))
        .map(str::to_owned)
        .collect();
    if r.agencies.is_empty() {
        said.push(Said::new("agencies", "choose at least one agency"));
    }
    // Events of which the form does not speak stay.
    r.events.retain(|k| !offered().any(|o| o == *k));
    r.events.extend(offered().filter(|k| ticked(format!("event.{}", k.word()))));
    if r.events.is_empty() {
        said.push(Said::new("events", "choose at least one event"));
    }
    r.when = When::parse(form.get("when")).unwrap_or_default();
    r.told = form.get("told") != "no";
    r.urgency = Urgency::parse(form.get("urgency")).unwrap_or(Urgency::Now);
    r.acknowledge = form.get("acknowledge") != "no";
    r.act_within_minutes = match form.get("act_within") {
        "" => None,
        _ => words::whole(form, "act_within", (1, 10_080), &mut said),
    };
    r.steps = steps(form, &mut said);
    r.last = read_last(form, r.last.as_ref(), &mut said);
    if let (Some(l), Some(s)) = (&r.last, r.steps.last())
        && s.after_seconds >= l.after_seconds
    {
        said.push(Said::new("last.after", "the last step comes after the others"));
    }
    said
}

fn steps(form: &Form, said: &mut Vec<Said>) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    for i in 1..=MOST_STEPS {
        let field = |f: &str| format!("step.{i}.{f}");
        let channels: Vec<Channel> =
            CHANNELS.into_iter().filter(|c| !form.get(&field(c.word())).is_empty()).collect();
        let Some(whom) = Whom::parse(form.get(&field("whom"))) else {
            if !channels.is_empty() {
                said.push(Said::new(&field("whom"), "choose to whom this step turns"));
            }
            continue;
        };
        if channels.is_empty() {
            said.push(Said::new(&field("by"), "choose at least one way"));
        }
        let team = form.get(&field("team")).to_owned();
        if whom == Whom::Team && team.is_empty() {
            said.push(Said::new(&field("team"), "enter the team's name"));
        }
        let first = out.is_empty();
        let after = if first && form.get(&field("after")).is_empty() {
            Some(0)
        } else {
            words::minutes(form, &field("after"), said)
        };
        if let Some(after) = after {
            if first && after != 0 {
                said.push(Said::new(&field("after"), "the first step is at once: 0"));
            }
            if after > 86_400 {
                said.push(Said::new(&field("after"), "more than a day later is too late to help"));
            }
            if out.last().is_some_and(|b| after < b.after_seconds + 30) {
                let why = "each step comes at least half a minute after the one before";
                said.push(Said::new(&field("after"), why));
            }
        }
        out.push(Step { after_seconds: after.unwrap_or(0), whom, team, channels });
    }
    out
}

fn empty() -> Rule {
    Rule {
        agencies: Vec::new(),
        events: Vec::new(),
        when: When::Always,
        told: true,
        urgency: Urgency::Now,
        acknowledge: true,
        act_within_minutes: None,
        steps: Vec::new(),
        last: None,
    }
}

/// Where a rule stands in the list, from the number in its address, which counts from 1.
fn index(desk: &Desk, n: &str) -> Option<usize> {
    let n = n.parse::<usize>().ok()?.checked_sub(1)?;
    (n < desk.area.policy.len()).then_some(n)
}

pub(super) async fn new(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
) -> Response {
    match Desk::write(&web, &headers, &area).await {
        Ok(desk) => {
            let mut all = typed(&empty());
            all.push(("place".to_owned(), "1".to_owned()));
            desk.blank(&web, &page(&desk, None, None), &all)
        }
        Err(r) => r,
    }
}

pub(super) async fn add(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let mut rule = empty();
    let said = read(&form, &desk.area, &mut rule);
    let mut new = desk.area.clone();
    let said = place(&form, new.policy.len(), said).map_or_else(
        |said| said,
        |at| {
            new.policy.insert(at, rule);
            Vec::new()
        },
    );
    finish(&web, desk, &form, new, said, "added a rule".to_owned(), None).await
}

/// Where in the list a new rule goes.
fn place(form: &Form, rules: usize, mut said: Vec<Said>) -> Result<usize, Vec<Said>> {
    let last = u32::try_from(rules + 1).unwrap_or(1);
    let n = words::whole(form, "place", (1, last), &mut said);
    match (n, said.is_empty()) {
        (Some(n), true) => Ok(n.saturating_sub(1) as usize),
        _ => Err(said),
    }
}

async fn finish(
    web: &Web,
    desk: Desk,
    form: &Form,
    new: Area,
    said: Vec<Said>,
    what: String,
    n: Option<usize>,
) -> Response {
    let saving = Saving {
        what,
        to: format!("/directory/{}/policy", desk.area.id),
        places: &[("contact.mail", "last.email"), ("contact.phone", "last.phone")],
    };
    let made = if said.is_empty() { Ok(new) } else { Err(said) };
    desk.finish(web, form, made, saving, |d| {
        page(d, n, n.and_then(|n| d.area.policy.get(n.saturating_sub(1))))
    })
    .await
}

pub(super) type Of = Path<(String, String)>;

pub(super) async fn form(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, n)): Of,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    match index(&desk, &n).and_then(|i| Some((i, desk.area.policy.get(i)?))) {
        Some((i, r)) => desk.blank(&web, &page(&desk, Some(i + 1), Some(r)), &typed(r)),
        None => failed(&web, ServiceError::NotFound),
    }
}

pub(super) async fn save(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, n)): Of,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let Some(i) = index(&desk, &n) else { return failed(&web, ServiceError::NotFound) };
    let mut new = desk.area.clone();
    let said = new.policy.get_mut(i).map(|r| read(&form, &desk.area, r)).unwrap_or_default();
    finish(&web, desk, &form, new, said, format!("changed rule {}", i + 1), Some(i + 1)).await
}

fn removal(desk: &Desk, n: usize, r: &Rule) -> FormPage {
    let mut lead = sentences(&desk.area, r);
    lead.push(
        "Without it the next rule that fits counts, and then what each agency's page says. You can \
         go back to this version afterwards, under History."
            .to_owned(),
    );
    FormPage {
        title: format!("Remove rule {n}?"),
        lead,
        button: "Remove".to_owned(),
        danger: true,
        back: format!("/directory/{}/policy", desk.area.id),
        ..FormPage::default()
    }
}

pub(super) async fn ask(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, n)): Of,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    match index(&desk, &n).and_then(|i| Some((i, desk.area.policy.get(i)?))) {
        Some((i, r)) => desk.blank(&web, &removal(&desk, i + 1, r), &[]),
        None => failed(&web, ServiceError::NotFound),
    }
}

pub(super) async fn remove(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, n)): Of,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let Some(i) = index(&desk, &n) else { return failed(&web, ServiceError::NotFound) };
    let mut new = desk.area.clone();
    let rule = new.policy.remove(i);
    let saving = Saving {
        what: format!("removed rule {}", i + 1),
        to: format!("/directory/{area}/policy"),
        places: &[],
    };
    desk.finish(&web, &form, Ok(new), saving, |d| removal(d, i + 1, &rule)).await
}

pub(super) async fn up(state: State<Web>, headers: HeaderMap, path: Of, body: Body) -> Response {
    shift(state.0, headers, path.0, body, |i| i.checked_sub(1)).await
}

pub(super) async fn down(state: State<Web>, headers: HeaderMap, path: Of, body: Body) -> Response {
    shift(state.0, headers, path.0, body, |i| i.checked_add(1)).await
}

/// Moves a rule one place: the first that fits counts, so the order matters.
async fn shift(
    web: Web,
    headers: HeaderMap,
    (area, n): (String, String),
    body: Body,
    to: impl FnOnce(usize) -> Option<usize>,
) -> Response {
    let (mut desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let here = format!("/directory/{area}/policy");
    let Some(i) = index(&desk, &n) else { return failed(&web, ServiceError::NotFound) };
    let Some(j) = to(i).filter(|j| *j < desk.area.policy.len()) else { return see_other(&here) };
    let stale = desk.stale(&web, &form).await;
    let said = if stale.is_some() {
        stale
    } else {
        let mut new = desk.area.clone();
        new.policy.swap(i, j);
        let what = format!("moved rule {} to place {}", i + 1, j + 1);
        let saving = Saving { what, to: here.clone(), places: &[] };
        match desk.save(&web, new, &saving).await {
            Ok(version) => return see_other(&format!("{here}?saved={version}")),
            Err(super::desk::Unsaved::Failed(r)) => return r,
            Err(super::desk::Unsaved::Stale(s)) => Some(s),
            Err(super::desk::Unsaved::Said(mut s)) => s.pop(),
        }
    };
    let message = said.map(|s| s.message).unwrap_or_default();
    web.templates.error(StatusCode::CONFLICT, "The rule was not moved", &message)
}
