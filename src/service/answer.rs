//! Answers of partners: "we have this", "we cannot, ask them", however they come.

use super::Service;
use super::change::Decided;
use super::error::{ServiceError, invalid};
use crate::alerts::phone;
use crate::auth::policy::{Action, Caller, Object, Who};
use crate::domain::alert::{Channel, ContactPoint};
use crate::domain::case::{self, Answer, CaseState, Context, Refusal};
use crate::domain::event::{Means, Person};
use crate::domain::id::{AlertId, CaseId};
use crate::domain::ready::Stage;
use serde_json::Value;
use std::collections::BTreeSet;

/// What somebody answered, as it came in.
#[derive(Clone, Debug)]
pub struct Acknowledgement {
    pub person: Person,
    pub note: String,
    pub means: Means,
    pub reply: Reply,
}

/// Can they attend?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    CanAttend,
    Cannot(HandOn),
}

/// Whom somebody who cannot attend named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandOn {
    pub to: String,
    /// A telephone number or an e-mail address at which they are written to at once.
    pub reach: String,
}

/// How an alert stands that was sent to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Unanswered,
    Acting,
    /// "Until ruled out", and a certain one of the same agency has taken its place: an answer that
    /// names it is an answer to that one.
    StoodIn,
}

impl Service {
    /// Takes an answer from a signed-in caller.
    ///
    /// # Errors
    /// Not found (also another agency's or area's), or not storable.
    pub async fn acknowledge(
        &self,
        caller: &Caller,
        alert: AlertId,
        mut ack: Acknowledgement,
    ) -> Result<Decided, ServiceError> {
        let row = self.store.alert(alert).await?;
        if row.is_none() && !may_elsewhere(caller) {
            return Err(ServiceError::Forbidden);
        }
        let row = row.ok_or(ServiceError::NotFound)?;
        let case = CaseId(row.case_id);
        let found = self.store.found(case).await?.ok_or(ServiceError::NotFound)?;
        let object = Object {
            area: Some(&found.area),
            agencies: &[&row.agency],
            stage: Stage::parse(&found.stage),
            access: self.access_of(caller, &found).await?,
        };
        // Somebody who may not acknowledge at all is told so; an alert that is not theirs is not there.
        if !may_elsewhere(caller) {
            return Err(ServiceError::Forbidden);
        }
        Self::allow(caller, Action::Acknowledge, object).map_err(|_| ServiceError::NotFound)?;
        if ack.person.name.is_empty() {
            ack.person.name = match &caller.who {
                Who::Person { name, .. } | Who::Machine { name, .. } => name.clone(),
                Who::Public | Who::Operator => return Err(name_missing()),
            };
        }
        self.answer(caller, case, alert, ack).await
    }

    /// Takes an answer by the link that went out with the alert: holding it is the permission.
    ///
    /// # Errors
    /// Not found, no name given, or not storable.
    pub async fn acknowledge_by_link(
        &self,
        alert: AlertId,
        ack: Acknowledgement,
    ) -> Result<Decided, ServiceError> {
        let row = self.store.alert(alert).await?.ok_or(ServiceError::NotFound)?;
        if ack.person.name.is_empty() {
            return Err(name_missing());
        }
        let case = CaseId(row.case_id);
        // A link works once: one that was passed on, or lies in a mailbox, must not take an answer
        // back. Whoever cannot come after all rings or signs in.
        if matches!(ack.reply, Reply::Cannot(_)) {
            let state = self.store.load(case).await?.ok_or(ServiceError::NotFound)?.state;
            if case::is_answered(&state, alert) {
                return Err(ServiceError::Refused(Refusal::AnsweredBefore));
            }
        }
        self.answer(&Caller::public(), case, alert, ack).await
    }

    /// Takes an answer from the holder of a number that the alert was sent to. Whoever answers a
    /// text or a call is known by the point they were reached at.
    ///
    /// # Errors
    /// Not found, or not storable.
    pub async fn acknowledge_by_number(
        &self,
        alert: AlertId,
        number: &str,
        means: Means,
        can_attend: bool,
    ) -> Result<Decided, ServiceError> {
        let row = self.store.alert(alert).await?.ok_or(ServiceError::NotFound)?;
        let case = CaseId(row.case_id);
        let state = self.store.load(case).await?.ok_or(ServiceError::NotFound)?.state;
        let person = Person { name: holder(&state, alert, number), ..Person::default() };
        let reply = if can_attend { Reply::CanAttend } else { Reply::Cannot(HandOn::default()) };
        let ack = Acknowledgement { person, note: String::new(), means, reply };
        self.answer(&Caller::public(), case, alert, ack).await
    }

    async fn answer(
        &self,
        caller: &Caller,
        case: CaseId,
        alert: AlertId,
        ack: Acknowledgement,
    ) -> Result<Decided, ServiceError> {
        short("name", &ack.person.name, 200)?;
        short("role", &ack.person.role, 200)?;
        short("note", &ack.note, 2000)?;
        if let Reply::Cannot(on) = &ack.reply {
            short("to", &on.to, 200)?;
            short("reach", &on.reach, 200)?;
        }
        let answer = Answer { person: ack.person, means: ack.means, note: ack.note };
        let now = self.now();
        match ack.reply {
            Reply::CanAttend => {
                let decide = |state: &CaseState, _: &mut Context<'_>| {
                    case::acknowledge(state, alert, &answer)
                };
                let none = BTreeSet::new();
                self.decide(caller, case, None, &none, decide, |_| Value::Null)
                    .await
                    .map(|(d, _)| d)
            }
            Reply::Cannot(on) => {
                let points = points_of(&on)?;
                let decide = |state: &CaseState, _: &mut Context<'_>| {
                    let mine = own_lanes(state, alert, &points);
                    case::hand_on(state, alert, answer.clone(), on.to.clone(), mine, now)
                };
                let none = BTreeSet::new();
                let done = self.decide(caller, case, None, &none, decide, |_| Value::Null).await;
                // The next rung is due at once: nobody waits for the next look.
                self.news.tell();
                done.map(|(d, _)| d)
            }
        }
    }

    /// The open alerts of which a text or call went to this number, newest first, and how each
    /// stands. However the number is written: a carrier says +44 7700…, the directory 07700….
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_alerts_at(
        &self,
        number: &str,
    ) -> Result<Vec<(AlertId, Standing)>, ServiceError> {
        let Ok(number) = phone::normalise(number) else { return Ok(Vec::new()) };
        let mut out: Vec<(AlertId, Standing)> = Vec::new();
        for o in self.store.open_numbers().await? {
            let same = phone::normalise(&o.address).is_ok_and(|n| n == number);
            if same && !out.iter().any(|(id, _)| id.0 == o.id) {
                let standing = match o.phase.as_str() {
                    "acting" => Standing::Acting,
                    "settled" => Standing::StoodIn,
                    _ => Standing::Unanswered,
                };
                out.push((AlertId(o.id), standing));
            }
        }
        Ok(out)
    }
}

/// A text that people type is as long as people type: what is longer would only fill the board.
///
/// # Errors
/// Too long, or with control characters in it.
pub(super) fn short(field: &'static str, text: &str, most: usize) -> Result<(), ServiceError> {
    if text.chars().count() > most {
        return Err(invalid(field, "too_long", format!("must be at most {most} characters")));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(invalid(field, "characters", "has characters that cannot be shown"));
    }
    Ok(())
}

/// Whether an alert may send us there: numbers in the United Kingdom, and none that cost whoever
/// rings them.
fn is_ordinary(number: &str) -> bool {
    let national = number.strip_prefix("+44").unwrap_or_default();
    let dear = ["9", "70", "87", "84"];
    !national.is_empty() && !dear.iter().any(|d| national.starts_with(d))
}

/// Where somebody named is reached; refused if it cannot be used.
fn points_of(on: &HandOn) -> Result<Vec<(Channel, String)>, ServiceError> {
    let reach = on.reach.trim();
    if reach.is_empty() {
        return Ok(Vec::new());
    }
    if reach.contains('@') {
        let fine = !reach.contains(char::is_whitespace)
            && reach.rsplit_once('@').is_some_and(|(u, d)| !u.is_empty() && d.contains('.'));
        return if fine {
            Ok(vec![(Channel::Email, reach.to_owned())])
        } else {
            Err(invalid("reach", "email", "Enter an e-mail address or a telephone number"))
        };
    }
    match phone::normalise(reach) {
        Ok(n) if !is_ordinary(&n) => Err(invalid(
            "reach",
            "telephone",
            "Enter an ordinary number in the United Kingdom, or an e-mail address",
        )),
        Ok(n) if phone::is_mobile(&n) => Ok(vec![(Channel::Sms, n.clone()), (Channel::Voice, n)]),
        Ok(n) => Ok(vec![(Channel::Voice, n)]),
        Err(e) => Err(invalid("reach", "telephone", e.to_string())),
    }
}

fn own_lanes(state: &CaseState, alert: AlertId, points: &[(Channel, String)]) -> Vec<ContactPoint> {
    let agency = state.alerts.get(&alert).map_or("", |a| a.agency.as_str());
    let point = |(channel, address): &(Channel, String)| ContactPoint {
        id: format!("{}/{agency}/handed-on/{}", state.area, channel.word()),
        channel: *channel,
        address: address.clone(),
        who: "handed on".to_owned(),
    };
    points.iter().map(point).collect()
}

/// Who stands behind a number, as the board names them.
fn holder(state: &CaseState, alert: AlertId, number: &str) -> String {
    let same = |p: &&ContactPoint| {
        phone::normalise(&p.address).is_ok_and(|n| Ok(n) == phone::normalise(number))
    };
    let known = state.alerts.get(&alert).and_then(|a| a.tried.iter().find(same));
    known
        .map(|p| p.who.clone())
        .filter(|w| !w.is_empty())
        .unwrap_or_else(|| "whoever holds the number that was rung".to_owned())
}

fn may_elsewhere(caller: &Caller) -> bool {
    let agency: Vec<&str> = caller.agency.as_deref().into_iter().collect();
    let object = Object { area: None, agencies: &agency, ..Object::default() };
    crate::auth::policy::may(caller, Action::Acknowledge, object)
}

fn name_missing() -> ServiceError {
    invalid("name", "required", "enter your name, so that it is known who has this")
}
