//! A notification written page by page: begun, saved, resumed, handed on, sent.

use super::Service;
use super::error::{ServiceError, invalid};
use super::notify::all_warnings;
use super::{Answer, Idempotency};
use crate::auth::policy::{Action, Caller, Object};
use crate::domain::alert::{AlertKind, Channel, ContactPoint};
use crate::domain::draft::{self, Draft, Fields, HandedOn, Mark, Page, Skipped, spoken_code};
use crate::domain::event::Route;
use crate::domain::facts::Facts;
use crate::domain::intake::{self, Need, Problem, Warning};
use crate::domain::jar::{self, Assessment};
use crate::domain::scope::{self, Scope};
use crate::platform::crypt::hex;
use crate::platform::fresh;
use crate::store::DraftRow;
use crate::store::changes::{AuditRow, ChangeSet, SentDraft};
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use uuid::Uuid;

/// How often a save is tried when another tab saves too.
const TRIES: usize = 10;
/// How long a draft is kept that nobody sends.
const KEPT_DAYS: i64 = 14;
/// Mails with one draft's code, and mails to one address within an hour.
const MAILS: u32 = 3;
const MAILS_AN_HOUR: i64 = 5;
/// From this age on the office sees a draft.
const OLD_MINUTES: i64 = 60;

/// A draft in the hands of whoever has its code.
#[derive(Clone)]
pub struct Held {
    pub code: String,
    pub row: DraftRow,
    pub draft: Draft,
}

impl Held {
    /// What a page of this draft carries to say which draft it belongs to; the code cannot be
    /// told from it.
    #[must_use]
    pub fn mark(&self) -> String {
        mark_of(&self.row.code)
    }
}

fn mark_of(digest: &[u8]) -> String {
    hex(&digest[..digest.len().min(8)])
}

/// What is known of a draft's facts right now.
#[derive(Clone)]
pub struct Judged {
    pub facts: Facts,
    /// The body that would be sent: what cannot be used is kept beside.
    pub body: serde_json::Value,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Warning>,
    pub scope: Scope,
    pub assessment: Assessment,
    pub skipped: Vec<Skipped>,
}

/// A draft that the office should know of.
#[derive(Clone, Debug, Serialize)]
pub struct OldDraft {
    pub area: String,
    pub started_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub step: String,
    /// How to reach whoever wrote it, if they have said; nothing else of it is shown.
    pub call_back: String,
}

impl Service {
    /// Begins a draft with its first page. The same form key is the same draft, so that a page
    /// sent twice begins one.
    ///
    /// # Errors
    /// No such area, or not storable.
    pub async fn begin_draft(
        &self,
        area: Option<&str>,
        form: &str,
        typed: &Fields,
    ) -> Result<Held, ServiceError> {
        let caller = Caller::public();
        let area = self.area_for(&caller, area)?;
        Self::allow(&caller, Action::Notify, Object { area: Some(&area), ..Object::default() })?;
        let id = Uuid::from_slice(&self.store.draft_bytes("id", form)[..16]).unwrap_or_default();
        let code = spoken_code(&self.store.draft_bytes("code", form));
        let now = self.now();
        let page = Page::What;
        let mut d = Draft::default();
        d.take(page.word(), page.fields(), typed, 0, Mark { version: 1, at: now });
        let row = DraftRow {
            id,
            code: self.store.draft_digest(&code),
            area,
            step: page.word().to_owned(),
            version: 1,
            started_at: now,
            changed_at: now,
            expires_at: now + Duration::days(KEPT_DAYS),
            sent_at: None,
            case_id: None,
            sealed: self.store.seal_draft(id, &d)?,
        };
        if self.store.add_draft(row).await? {
            return self.draft(&code).await;
        }
        self.save_page(&code, page, typed.clone(), 1, false).await
    }

    /// The draft with this code.
    ///
    /// # Errors
    /// No such code, or it has run out.
    pub async fn draft(&self, code: &str) -> Result<Held, ServiceError> {
        let code = draft::read_code(code).ok_or(ServiceError::NotFound)?;
        let row = self.store.draft(&code, self.now()).await?.ok_or(ServiceError::NotFound)?;
        let draft = self.store.open_draft(&row)?;
        Ok(Held { code, row, draft })
    }

    /// Whether a page with this mark belongs to the draft with this code. One that carries no mark
    /// does not say.
    #[must_use]
    pub fn is_page_of(&self, mark: &str, code: &str) -> bool {
        mark.is_empty()
            || draft::read_code(code)
                .is_some_and(|code| mark_of(&self.store.draft_digest(&code)) == mark)
    }

    /// Saves one page. Once the notification is sent, its pages take no more: the held draft comes
    /// back as sent, unchanged.
    ///
    /// # Errors
    /// Something typed on this page cannot be used, and nobody has said to go on without it.
    pub async fn save_page(
        &self,
        code: &str,
        page: Page,
        mut typed: Fields,
        from: i64,
        anyway: bool,
    ) -> Result<Held, ServiceError> {
        draft::tidy(&mut typed, self.now());
        let names = page.fields();
        self.alter(code, false, page.word(), |d, mark| {
            let changed = d.take(page.word(), names, &typed, from, mark);
            if changed && !anyway {
                self.usable(d, |field| Page::asking(field) == Some(page))?;
            }
            Ok(changed)
        })
        .await
    }

    /// Refuses what cannot be used among the fields that `here` picks.
    pub(super) fn usable(
        &self,
        d: &Draft,
        here: impl Fn(&str) -> bool,
    ) -> Result<(), ServiceError> {
        let read = intake::read(draft::body(&d.fields), Need::Nothing, self.now());
        let mut problems = read.err().unwrap_or_default();
        problems.retain(|p| here(&p.field));
        if problems.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(problems)) }
    }

    /// Changes a draft, again if somebody else was quicker. `f` says whether anything changed.
    /// Nothing happens to a draft that is sent when it should not be, or the other way round.
    pub(super) async fn alter(
        &self,
        code: &str,
        sent: bool,
        step: &str,
        f: impl Fn(&mut Draft, Mark) -> Result<bool, ServiceError>,
    ) -> Result<Held, ServiceError> {
        for _ in 0..TRIES {
            let mut held = self.draft(code).await?;
            if held.row.sent_at.is_some() != sent {
                return Ok(held);
            }
            let mark = Mark { version: held.row.version + 1, at: self.now() };
            if !f(&mut held.draft, mark)? {
                return Ok(held);
            }
            held.row.version = mark.version;
            held.row.changed_at = mark.at;
            if !step.is_empty() {
                step.clone_into(&mut held.row.step);
            }
            held.row.sealed = self.store.seal_draft(held.row.id, &held.draft)?;
            if self.store.change_draft(held.row.clone(), sent).await? {
                return Ok(held);
            }
        }
        Err(ServiceError::Busy)
    }

    /// What the facts of a draft come to so far.
    #[must_use]
    pub fn judged(&self, held: &Held) -> Judged {
        let now = self.now();
        let (body, facts, warnings, problems) = salvage(draft::body(&held.draft.fields), now);
        let directory = self.directory();
        let extra = directory.area(&held.row.area).map_or(&[][..], |a| &a.extra_triggers);
        let assessment = jar::assess(&facts, extra);
        // What was answered before it became needless still stands, and is shown.
        let mut skipped = draft::skipped(&facts, extra);
        skipped.retain(|s| held.draft.get(s.field).is_empty());
        Judged {
            warnings: all_warnings(&warnings, &assessment),
            scope: scope::judge(&facts),
            skipped,
            assessment,
            facts,
            body,
            problems,
        }
    }

    /// Sends a draft: it becomes a case in one commit. A second press gets the first's answer. A
    /// page that somebody saves meanwhile goes with it.
    ///
    /// # Errors
    /// No way to call back; nothing else keeps a draft from being sent.
    pub async fn send_draft(&self, code: &str) -> Result<Option<Answer>, ServiceError> {
        for _ in 0..TRIES {
            match self.send_as_it_stands(code).await {
                Err(ServiceError::Busy) => {}
                done => return done,
            }
        }
        Err(ServiceError::Busy)
    }

    async fn send_as_it_stands(&self, code: &str) -> Result<Option<Answer>, ServiceError> {
        let held = self.draft(code).await?;
        if held.row.sent_at.is_some() {
            return Ok(None);
        }
        let judged = self.judged(&held);
        // The facts are the case's from now on; the draft keeps none of them.
        let rest = Draft {
            handed_on: held.draft.handed_on.clone(),
            mailed: held.draft.mailed,
            ..Draft::default()
        };
        let id = held.row.id;
        let sent = SentDraft {
            id,
            version: held.row.version,
            case_id: Uuid::nil(),
            at: self.now(),
            expires_at: self.now() + Duration::days(i64::from(self.what_next_days)),
            sealed: self.store.seal_draft(id, &rest)?,
        };
        // A draft is sent once, whatever it says by then.
        let once = Idempotency { key: format!("draft/{id}"), body: b"draft".to_vec() };
        let answer = self
            .take_in(
                &Caller::public(),
                Some(&held.row.area),
                judged.body,
                Route::Page,
                Some(once),
                Need::OnlyCallBack,
                Some(sent),
            )
            .await?;
        Ok(Some(answer))
    }

    /// Sends the code to the writer's own address. Neither can be read in the outbox.
    ///
    /// # Errors
    /// Not an address, or too many mails.
    pub async fn mail_draft_code(&self, code: &str, address: &str) -> Result<(), ServiceError> {
        let address = address.trim();
        let shaped = address.split_once('@').is_some_and(|(a, d)| {
            !a.is_empty() && d.contains('.') && !d.contains('@') && !d.ends_with('.')
        });
        if !shaped
            || address.len() > 200
            || address.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            let why = "enter an e-mail address, like name@nhs.example";
            return Err(invalid("_mail", "not_an_address", why));
        }
        let held = self.draft(code).await?;
        let too_many = || {
            invalid("_mail", "too_many", "enough mails have been sent; write the code down instead")
        };
        if held.draft.mailed >= MAILS {
            return Err(too_many());
        }
        let words = AlertKind::DraftCode.word();
        let room = self
            .store
            .take_pace(
                "email",
                address,
                words,
                fresh::id(),
                self.now(),
                MAILS_AN_HOUR,
                MAILS_AN_HOUR,
            )
            .await?;
        if !room {
            return Err(too_many());
        }
        let sent = held.row.sent_at.is_some();
        self.alter(code, sent, "", |d, _| {
            d.mailed += 1;
            Ok(true)
        })
        .await?;
        let area = &held.row.area;
        let mut notice = self.plain_notice(area, "notifier", AlertKind::DraftCode);
        notice.code = self.store.veiled(&held.code)?;
        let lane = &hex(&self.store.address_digest(address))[..12];
        let point = ContactPoint {
            id: format!("{area}/notifier/{lane}"),
            channel: Channel::Email,
            address: self.store.veiled(address)?,
            who: String::new(),
        };
        self.announce(ChangeSet::default(), &[(notice, vec![point])]).await?;
        Ok(())
    }

    /// Notes who gives a draft to whom. The code stays the same.
    ///
    /// # Errors
    /// Nobody named, or not storable.
    pub async fn hand_draft_on(
        &self,
        code: &str,
        from: &str,
        to: &str,
    ) -> Result<Held, ServiceError> {
        if to.trim().is_empty() {
            return Err(invalid("_to", "required", "say who takes over"));
        }
        let line = |t: &str| t.trim().chars().take(100).collect::<String>();
        self.alter(code, false, "", |d, mark| {
            d.handed_on.push(HandedOn { from: line(from), to: line(to), at: mark.at });
            Ok(true)
        })
        .await
    }

    /// How many drafts have waited for more than an hour.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn count_old_drafts(&self, caller: &Caller) -> Result<usize, ServiceError> {
        Ok(self.old_rows(caller).await?.len())
    }

    /// Drafts that have waited for more than an hour: how far they came and where to ring. What
    /// was typed about the child is not shown; the look is an audit line all the same.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn old_drafts(&self, caller: &Caller) -> Result<Vec<OldDraft>, ServiceError> {
        let rows = self.old_rows(caller).await?;
        let look = AuditRow {
            at: self.now(),
            actor: caller.actor(),
            action: "list_drafts",
            role: caller.role(),
            ..AuditRow::default()
        };
        self.store.commit(ChangeSet { audit: vec![look], ..ChangeSet::default() }).await?;
        rows.into_iter()
            .map(|r| {
                let d = self.store.open_draft(&r)?;
                let ways = [d.get("notifier.telephone"), d.get("notifier.email")];
                let ways: Vec<&str> = ways.into_iter().filter(|w| !w.is_empty()).collect();
                Ok(OldDraft {
                    call_back: ways.join(", "),
                    area: r.area,
                    started_at: r.started_at,
                    changed_at: r.changed_at,
                    step: r.step,
                })
            })
            .collect()
    }

    pub(super) async fn old_rows(&self, caller: &Caller) -> Result<Vec<DraftRow>, ServiceError> {
        Self::allow(caller, Action::ListCases, Object::default())?;
        let now = self.now();
        let mut rows = self.store.waiting_drafts(now - Duration::minutes(OLD_MINUTES), now).await?;
        rows.retain(|r| caller.covers(&r.area));
        Ok(rows)
    }
}

/// A body that can be used, its facts, and what was wrong with it as typed.
pub(super) fn salvage(
    mut body: serde_json::Value,
    now: DateTime<Utc>,
) -> (serde_json::Value, Facts, Vec<Warning>, Vec<Problem>) {
    let mut all = Vec::new();
    // Taking one value out can bring another problem to light; each round takes out at least one.
    for _ in 0..8 {
        match intake::read(body.clone(), Need::Nothing, now) {
            Ok(a) => return (body, a.facts, a.warnings, all),
            Err(problems) => {
                body = draft::salvaged(body, &problems);
                all.extend(problems);
            }
        }
    }
    (body, Facts::default(), Vec::new(), all)
}
