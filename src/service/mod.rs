//! What callers may do. Each function authorises, loads, lets the domain decide, and commits:
//! the only code that turns a wish into committed events. Pages, API and commands call the same
//! functions.

mod access;
mod answer;
mod assign;
mod audit;
mod bulk;
mod change;
mod desk;
mod directory;
mod documents;
mod drafts;
mod drafts_sent;
mod drills;
mod dry_run;
mod edit;
mod error;
mod escalate;
mod export;
pub mod import;
mod likeness;
mod likeness_views;
mod likeness_words;
mod lists;
mod merge;
pub mod naming;
mod notify;
mod outbox;
mod panels;
mod people;
mod plan;
mod read;
mod receipts;
mod retention;
mod subject_access;
mod views;

pub use access::{AccessView, GlassView, accounts_of};
pub use answer::{Acknowledgement, HandOn, Reply};
pub use assign::{AssignWish, HandedOver};
pub use audit::{Looks, TrailLine, TrailQuery, actor_named};
pub use bulk::{Act, Line, MOST};
pub use change::{AmendmentRequest, Decided, JarDecision, Wish};
pub use desk::{COUNTED, Section, Today};
pub use directory::{AreaVersion, GAP_DAYS};
pub use documents::{DocumentLimits, Kept, Upload};
pub use drafts::{Held, Judged, OldDraft};
pub use drafts_sent::{FURTHER_HOURS, Told};
pub use drills::{DrillLine, DrillResult};
pub use dry_run::{BY_ITSELF, DryRun, Run, RunLast, RunStep, Try, length};
pub use edit::{Desk as EditDesk, Effect, FieldChange, History, Revised, Revision};
pub use error::{ServiceError, invalid};
pub use escalate::Escalated;
pub use export::{Export, ExportError, Format, Piece};
pub use likeness::{Arrivals, Looked};
pub use likeness_views::{AccountLine, Comparison, FactLine, Likened};
pub use lists::{AssignedTo, CaseQuery, ClockWish, Handed, Listing, order_of};
pub use merge::Pairing;
pub use notify::{Answer, Idempotency};
pub use outbox::{Hand, Hands, Lease};
pub use panels::{PanelList, PanelListLine, panel_json};
pub use people::Invited;
pub use plan::{PlanLine, PlanPart, plan_agencies};
pub use read::{AlertDetail, BoardCase, CaseDetail, TimelineItem};
pub use receipts::Taken;
pub use retention::{Certificate, DueLine};
pub use subject_access::SubjectCopy;
pub use views::{DeskChoice, NewView, View};

use crate::auth::policy::{Action, Caller, Object, may};
use crate::config::OnArrival;
use crate::config::area::{Book, Directory};
use crate::domain::alert::{AlertKind, Desk, Recipient};
use crate::domain::calendar::Calendar;
use crate::domain::case::Context;
use crate::domain::id::AlertId;
use crate::domain::retention::Rules;
use crate::platform::clock::SharedClock;
use crate::platform::fresh;
use crate::platform::metrics::Metrics;
use crate::platform::news::News;
use crate::store::Store;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Everything a command needs.
#[derive(Clone)]
pub struct Service {
    pub store: Store,
    pub book: Arc<Book>,
    pub clock: SharedClock,
    pub metrics: Arc<Metrics>,
    /// Takes freshly committed messages at once; without one they wait for a worker's next look.
    pub hands: Hands,
    /// Rung after every commit, for pages that watch.
    pub news: News,
    /// How long cases are kept.
    pub retention: Arc<Rules>,
    /// What happens to a notification that may be a second one of the same death.
    pub duplicates: OnArrival,
    /// Where stored notifications go to be compared; without one the look at changed cases does it.
    pub arrivals: Arrivals,
    pub documents: DocumentLimits,
    /// How many days whoever notified may see, with their code, what happened next.
    pub what_next_days: u32,
}

impl Service {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The directory as it stands now.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.book.today()
    }

    /// Runs `f` with what decisions in `area` need at `now`.
    fn with_context<T>(
        &self,
        area: &str,
        now: DateTime<Utc>,
        opened: &BTreeSet<AlertId>,
        f: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        let directory = self.directory();
        let known = directory.area(area);
        let desk = Desk {
            area: area.to_owned(),
            area_name: known.map(|a| a.name.clone()).unwrap_or_default(),
            call_back: known.map(|a| a.call_back.clone()).unwrap_or_default(),
        };
        let recipients =
            |kind: AlertKind| -> Vec<Recipient> { directory.recipients(area, kind, now) };
        let extra = known.map_or(&[][..], |a| &a.extra_triggers);
        f(&mut Context {
            new_id: &mut fresh::id,
            recipients: &recipients,
            desk: &desk,
            extra,
            opened: &|id| opened.contains(&id),
            usable: &|p| !directory.is_unusable(area, &p.id),
        })
    }

    /// The areas a caller may list, of those configured.
    #[must_use]
    pub fn areas_of(&self, caller: &Caller) -> Vec<String> {
        self.directory().areas().map(|a| a.id.clone()).filter(|a| caller.covers(a)).collect()
    }

    /// Working days of an area.
    #[must_use]
    pub fn calendar(&self, area: &str) -> Calendar {
        self.directory().calendar(area)
    }

    fn allow(caller: &Caller, action: Action, object: Object<'_>) -> Result<(), ServiceError> {
        if may(caller, action, object) { Ok(()) } else { Err(ServiceError::Forbidden) }
    }
}
