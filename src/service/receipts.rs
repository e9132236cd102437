//! What comes back from carriers: receipts, replies, keys. Authenticated before it gets here;
//! duplicated, late and out of order as it pleases.

use super::Service;
use super::answer::Standing;
use super::error::ServiceError;
use crate::alerts::ask_after;
use crate::alerts::phone;
use crate::alerts::provider::Receipt;
use crate::domain::alert::{AlertKind, AlertState};
use crate::domain::directory;
use crate::domain::event::Means;
use crate::domain::id::AlertId;
use crate::store::changes::{AlertChange, AttemptRow, ChangeSet, DoneRow, PointChange, ReceiptRow};
use crate::store::{CommitError, SentRow};

/// What was made of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Acknowledged,
    HandedOn,
    /// They want no more messages: a gap in the cover.
    Stopped,
    /// It was recalled before they answered.
    Over,
    /// Words that are no answer, or an answer to nothing open.
    NotUnderstood,
}

impl Service {
    /// Records what a carrier says of a message.
    ///
    /// # Errors
    /// Nothing can be stored.
    pub async fn receipt(&self, sent: &SentRow, receipt: &Receipt) -> Result<(), ServiceError> {
        let now = self.now();
        let word = word(receipt);
        let last = matches!(sent.receipt.as_deref(), Some("delivered"))
            || is_failure(sent.receipt.as_deref());
        if last || sent.receipt.as_deref() == Some(word) {
            return Ok(());
        }
        let mut changes = ChangeSet::default();
        let area = sent.lane.split('/').next().unwrap_or_default().to_owned();
        let point = self.store.point_change(&sent.lane, &area, &sent.address);
        let ask_at = if receipt.is_final() {
            None
        } else {
            ask_after(sent.provider.as_deref()).map(|d| now + d)
        };
        changes.receipts.push(ReceiptRow {
            delivery_id: sent.id,
            receipt: word.to_owned(),
            ask_at,
        });
        let state = match receipt {
            Receipt::Delivered => {
                changes.points.push(PointChange { worked_at: Some(now), ..point });
                AlertState::Delivered
            }
            Receipt::PermanentFailure => {
                let unusable = Some("the carrier says that it does not work".to_owned());
                changes.points.push(PointChange { failed_at: Some(now), unusable, ..point });
                changes.maybe_hurry.push(sent.alert_id);
                AlertState::Sending
            }
            Receipt::TemporaryFailure | Receipt::TechnicalFailure => {
                changes.points.push(PointChange { failed_at: Some(now), ..point });
                changes.maybe_hurry.push(sent.alert_id);
                AlertState::Sending
            }
            Receipt::Sending | Receipt::Other(_) => AlertState::Accepted,
        };
        changes.attempts.push(AttemptRow {
            delivery_id: sent.id,
            alert_id: sent.alert_id,
            n: 0,
            at: now,
            outcome: word.to_owned(),
            code: None,
            took_ms: 0,
            state: state.word().to_owned(),
        });
        // A picked-up telephone and a handset that took a text are "delivered", no more.
        changes.alert_changes.push(AlertChange {
            id: sent.alert_id,
            state: state.word(),
            rank: state.rank(),
        });
        self.store.commit(changes).await?;
        if matches!(receipt, Receipt::PermanentFailure) {
            self.refresh_directory().await?;
            self.tell_gaps().await?;
        }
        self.news.tell();
        Ok(())
    }

    /// A text that came back from `number`.
    ///
    /// # Errors
    /// Nothing can be stored.
    pub async fn reply(&self, number: &str, text: &str) -> Result<Taken, ServiceError> {
        let words = Words::read(text);
        if words.stop {
            self.stopped(number).await?;
            return Ok(Taken::Stopped);
        }
        if let Some(code) = &words.code
            && self.verified_by_reply(number, code).await?
        {
            return Ok(Taken::Acknowledged);
        }
        let Some(can_attend) = words.can_attend else { return Ok(Taken::NotUnderstood) };
        let open = self.open_alerts_at(number).await?;
        let fits = |(alert, standing): &(AlertId, Standing)| match &words.code {
            Some(code) => self.links_code(*alert) == *code,
            None => *standing != Standing::StoodIn,
        };
        let meant: Vec<_> = open.into_iter().filter(fits).collect();
        // Several are open and no code says which: acknowledging the wrong one would silence an
        // alert that nobody has.
        let [(alert, _)] = meant.as_slice() else { return Ok(Taken::NotUnderstood) };
        self.acknowledge_by_number(*alert, number, Means::Reply, can_attend).await?;
        Ok(if can_attend { Taken::Acknowledged } else { Taken::HandedOn })
    }

    /// A key that was pressed during the call of a message.
    ///
    /// # Errors
    /// Nothing can be stored.
    pub async fn key(&self, sent: &SentRow, key: char) -> Result<Taken, ServiceError> {
        let can_attend = match key {
            '1' => true,
            '2' => false,
            _ => return Ok(Taken::NotUnderstood),
        };
        let alert = AlertId(sent.alert_id);
        match self.acknowledge_by_number(alert, &sent.address, Means::VoiceKey, can_attend).await {
            Ok(d) if d.state.alerts.get(&alert).is_some_and(|a| a.recalled) => Ok(Taken::Over),
            Ok(_) => Ok(if can_attend { Taken::Acknowledged } else { Taken::HandedOn }),
            // A call of the service itself (a gap, a test) asks for nothing.
            Err(ServiceError::NotFound) => Ok(Taken::NotUnderstood),
            Err(e) => Err(e),
        }
    }

    /// Whoever holds `number` wants no more texts.
    async fn stopped(&self, number: &str) -> Result<(), ServiceError> {
        let mut set = ChangeSet::default();
        let mut lanes = Vec::new();
        for (area, point) in self.points_with(number) {
            let lane = point.id.clone();
            set.points.push(PointChange {
                failed_at: Some(self.now()),
                unusable: Some("replied STOP".to_owned()),
                ..self.store.point_change(&lane, &area, &point.address)
            });
            lanes.push(lane);
        }
        if lanes.is_empty() {
            self.store
                .keep_stray(self.now(), "reply", "STOP from a number that is nobody's")
                .await?;
            return Ok(());
        }
        self.store.commit(set).await?;
        self.refresh_directory().await?;
        self.tell_gaps().await?;
        // Nobody who says that will answer by text: what still waits for an answer from there goes
        // on to its next rung now.
        for (alert, standing) in self.open_alerts_at(number).await? {
            if standing == Standing::Unanswered {
                self.acknowledge_by_number(alert, number, Means::Reply, false).await?;
            }
        }
        Ok(())
    }

    /// Tells the office of points that are no use any more, each once: a gap is never a silence.
    /// Called where one is seen to fail, and by the watcher for those that failed while sending.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tell_gaps(&self) -> Result<(), ServiceError> {
        let today = self.directory();
        for (area, lane, why, since) in self.unusable_points().await? {
            let Some(a) = today.area(&area) else { continue };
            let (what, day) = (format!("gap/{lane}"), since.to_rfc3339());
            if self.store.is_done(&what, &day).await? {
                continue;
            }
            let mut parts = lane.splitn(3, '/').skip(1);
            let agency = parts.next().unwrap_or_default();
            let mut notice = self.plain_notice(&area, agency, AlertKind::CoverageGap);
            notice.lines = vec![format!("{}: {why}.", parts.next().unwrap_or_default())];
            let points: Vec<_> =
                self.office_points(a).into_iter().filter(|p| p.id != lane).collect();
            let set = ChangeSet {
                done: vec![DoneRow { what, day, at: self.now() }],
                ..ChangeSet::default()
            };
            match self.announce(set, &[(notice, points)]).await {
                // Another node told it.
                Ok(()) | Err(CommitError::Conflict) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    async fn verified_by_reply(&self, number: &str, code: &str) -> Result<bool, ServiceError> {
        if code.len() != 6 {
            return Ok(false);
        }
        for (_, point) in self.points_with(number) {
            if self.store.take_code(&point.id, code, self.now()).await? {
                self.refresh_directory().await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Points of the directory that are texts to this number, with their areas.
    fn points_with(&self, number: &str) -> Vec<(String, crate::domain::alert::ContactPoint)> {
        let today = self.directory();
        let Ok(number) = phone::normalise(number) else { return Vec::new() };
        let mut out = Vec::new();
        for a in today.areas() {
            for (under, c, person) in a.points() {
                if phone::normalise(&c.address).is_ok_and(|n| n == number) {
                    let lanes = directory::lanes(a, under, c, person);
                    out.extend(lanes.into_iter().map(|l| (a.id.clone(), l)));
                }
            }
        }
        out.retain(|(_, p)| p.channel == crate::domain::alert::Channel::Sms);
        out
    }

    fn links_code(&self, alert: AlertId) -> String {
        let key = self.store.service_key(crate::store::ServiceKey::Links).clone();
        crate::alerts::link::Links::new(key, "").code(alert)
    }
}

/// What a reply says.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    stop: bool,
    can_attend: Option<bool>,
    code: Option<String>,
}

/// Words that make an answer a "no", wherever they stand: a doubtful answer must not silence an
/// alert.
const NO: [&str; 24] = [
    "no", "n", "nope", "not", "cannot", "cant", "cnt", "couldnt", "unable", "wont", "wouldnt",
    "dont", "doesnt", "isnt", "arent", "never", "nobody", "none", "wrong", "busy", "leave", "sick",
    "away", "later",
];
/// What a "yes" may begin with.
const YES: [&str; 8] = ["yes", "y", "ok", "okay", "yep", "yeah", "ack", "acknowledged"];
/// What may stand beside it and still be a plain yes.
const BESIDE: [&str; 34] = [
    "i",
    "im",
    "ill",
    "we",
    "will",
    "well",
    "do",
    "can",
    "attend",
    "attending",
    "have",
    "got",
    "this",
    "that",
    "it",
    "thanks",
    "thank",
    "you",
    "on",
    "my",
    "our",
    "the",
    "way",
    "coming",
    "received",
    "confirmed",
    "responding",
    "team",
    "please",
    "and",
    "am",
    "are",
    "be",
    "there",
];

impl Words {
    fn read(text: &str) -> Self {
        // "can't" is one word, however its apostrophe was typed.
        let text: String =
            text.chars().filter(|c| !matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '`')).collect();
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
            .map(str::to_lowercase)
            .collect();
        let is_code =
            |w: &String| matches!(w.len(), 4 | 6) && w.bytes().all(|b| b.is_ascii_digit());
        let code = words.iter().find(|w| is_code(w)).cloned();
        let stops = ["stop", "stopall", "unsubscribe", "cancel", "end", "quit"];
        // The whole text, or STOP with little beside it: "end of shift" is no such wish.
        let first = words.first().map(String::as_str).unwrap_or_default();
        let stop =
            (words.len() == 1 && stops.contains(&first)) || (first == "stop" && words.len() <= 3);
        let no = words.iter().any(|w| NO.contains(&w.as_str()));
        let plain =
            |w: &String| is_code(w) || YES.contains(&w.as_str()) || BESIDE.contains(&w.as_str());
        let yes = YES.contains(&first)
            || (code.is_some()
                && words.len() > 1
                && words.iter().any(|w| YES.contains(&w.as_str())));
        let can_attend = match (no, yes && words.iter().all(plain) && !text.contains('?')) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        };
        Self { stop, can_attend, code }
    }
}

/// A receipt as it is kept.
fn word(r: &Receipt) -> &'static str {
    match r {
        Receipt::Sending => "sending",
        Receipt::Delivered => "delivered",
        Receipt::PermanentFailure => "permanent_failure",
        Receipt::TemporaryFailure => "temporary_failure",
        Receipt::TechnicalFailure => "technical_failure",
        Receipt::Other(_) => "other",
    }
}

fn is_failure(receipt: Option<&str>) -> bool {
    receipt.is_some_and(|r| r.ends_with("_failure"))
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn replies_are_read_and_a_doubtful_one_is_no_yes() {
        let w = |t: &str| Words::read(t);
        let code = |c: &str| Some(c.to_owned());
        assert_eq!(
            w("YES 4821"),
            Words { stop: false, can_attend: Some(true), code: code("4821") }
        );
        for yes in
            ["yes", " yes. ", "Ok will do 0042", "4821 yes", "Yes, we have this. On my way", "y"]
        {
            assert_eq!(w(yes).can_attend, Some(true), "{yes}");
        }
        for no in [
            "no, cannot",
            "yes but I cannot attend",
            "Yes got it but I can't attend 3854",
            "Ok but I won\u{2019}t be able to come 1234",
            "Y wrong person 1234",
            "yes, but on leave",
            "I'm driving, can not answer",
        ] {
            assert_eq!(w(no).can_attend, Some(false), "{no}");
        }
        for neither in [
            "who is this?",
            "",
            "Y did you text me 1234",
            "yes?",
            "Cancel my earlier text, yes can attend 3854",
            "\u{1f44d}",
        ] {
            assert_eq!(w(neither).can_attend, None, "{neither}");
        }
        for stop in ["STOP", "stop please", "Unsubscribe"] {
            assert!(w(stop).stop, "{stop}");
        }
        for not in [
            "please do not stop",
            "End of shift, ring the next",
            "Cancel my earlier text, yes can attend",
        ] {
            assert!(!w(not).stop, "{not}");
        }
    }
}
