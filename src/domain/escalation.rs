//! The obligation: one agency is to be reached about one event, and it stays open until a person
//! there has acknowledged (and then acted), or it is recalled. A pure machine: what happened and
//! the time go in, what to do next comes out.
//!
//! ```text
//!            due, hurried               due                      no entry in the plan in time
//! Climbing ───────────────> Climbing ───────────> Ringing ─┐    ┌──────────────┐
//!    │        next rung                named human │  ^─────┘    v              │
//!    │ acknowledged                                │ due      Climbing ──> Acting
//!    └──────────────> Acting <─────────────────────┘                        │ acted
//!                                        recalled, from anywhere ──> Settled <┘
//! ```
//!
//! Law: an open obligation always has a next step in the future, and once its rungs are used up a
//! human is named who rings. Every gap starts when the step before it ran, so that an outage or a
//! clock that jumps never sends several rungs at once.

use super::alert::ContactPoint;
use super::facts::words;
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

/// What is left to try for one agency, frozen when its alert began. The first rung went out with
/// the alert itself and is not in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    pub rungs: Vec<Rung>,
    pub human: Human,
    /// Seconds after an acknowledgement within which an entry in the response plan is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act_within_seconds: Option<i64>,
    /// For what can wait: seconds until the office opens, counted from when the alert began. The
    /// times of rungs and human include them; until then nobody is woken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waits_seconds: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(seconds: &i64) -> bool {
    *seconds == 0
}

/// Contact points tried at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// Seconds after the alert began, as planned.
    pub after_seconds: i64,
    pub points: Vec<ContactPoint>,
}

/// Who rings when nothing else has worked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Human {
    pub name: String,
    /// Where this human is reached.
    pub number: String,
    /// The number of the agency, to be rung by this human.
    pub ring: String,
    pub after_seconds: i64,
    pub repeat_seconds: i64,
    pub points: Vec<ContactPoint>,
}

words!(
    Phase {
        /// No acknowledgement is asked for.
        Untracked = "untracked",
        Climbing = "climbing",
        /// A named human is told to ring, again and again.
        Ringing = "ringing",
        /// Acknowledged; an entry in the response plan is awaited.
        Acting = "acting",
        Settled = "settled",
    }
);

/// Where an obligation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub phase: Phase,
    /// The rung that is next; as many as there are rungs means the human is.
    pub rung: u32,
    /// How often the human was told.
    pub round: u32,
    /// When the next step is due; none only when nothing is owed any more.
    pub next_at: Option<DateTime<Utc>>,
}

words!(
    /// Why a step ran.
    Why {
        Due = "due",
        /// Nothing of the step before could be sent: waiting would help nobody.
        NothingSent = "nothing_sent",
        /// They said that they cannot.
        CannotAttend = "cannot_attend",
        /// Acknowledged, but no entry in the plan followed.
        NotActedOn = "not_acted_on",
    }
);

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Tries this rung.
    Rung(u32),
    /// Tells the named human to ring, and tries the agency's last rung once more.
    Ring { round: u32 },
    /// Begins again with the first rung.
    ComeBack,
}

/// Never shorter than this between two steps.
const SHORTEST: i64 = 5;
/// The human is told at most this seldom.
const LONGEST_REPEAT: i64 = 2 * 3600;

impl Ladder {
    /// For alerts that were planned without one: only the human.
    #[must_use]
    pub fn bare(call_back: &str) -> Self {
        Self {
            rungs: Vec::new(),
            human: Human {
                name: "the area's call-back number".to_owned(),
                number: call_back.to_owned(),
                ring: String::new(),
                after_seconds: 900,
                repeat_seconds: 900,
                points: Vec::new(),
            },
            act_within_seconds: None,
            waits_seconds: 0,
        }
    }

    /// When it may first be climbed, if it began at `began`. By a clock that was set back since, no
    /// later than if it began now.
    #[must_use]
    pub fn opens(&self, began: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        began.min(now) + Duration::seconds(self.waits_seconds)
    }

    /// Seconds from the step before to rung `i` (or, past the last, to the human), without the wait
    /// for the office before the first.
    fn gap(&self, i: u32) -> i64 {
        let at = |n: usize| self.rungs.get(n).map_or(self.human.after_seconds, |r| r.after_seconds);
        let i = usize::try_from(i).unwrap_or(usize::MAX).min(self.rungs.len());
        let before = if i == 0 { self.waits_seconds } else { at(i - 1) };
        (at(i) - before).max(SHORTEST)
    }

    fn repeat(&self, round: u32) -> i64 {
        // Four times at the set pace, then ever more seldom: nobody is stormed, nothing stops.
        let doublings = round.saturating_sub(4).min(8);
        let seconds = self.human.repeat_seconds.max(SHORTEST) << doublings;
        seconds.min(LONGEST_REPEAT.max(self.human.repeat_seconds))
    }

    /// The longest an open obligation may wait for its next step.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        let rungs = u32::try_from(self.rungs.len()).unwrap_or(u32::MAX);
        let climb = (0..=rungs).map(|i| self.gap(i)).max().unwrap_or(SHORTEST);
        let climb = climb + self.waits_seconds;
        let ring = LONGEST_REPEAT.max(self.human.repeat_seconds);
        Duration::seconds(climb.max(ring).max(self.act_within_seconds.unwrap_or(0)))
    }
}

impl Progress {
    /// Nothing to follow up: word only.
    #[must_use]
    pub fn untracked() -> Self {
        Self { phase: Phase::Untracked, rung: 0, round: 0, next_at: None }
    }

    /// An alert went out at `at`.
    #[must_use]
    pub fn begin(ladder: &Ladder, at: DateTime<Utc>) -> Self {
        let first = ladder.rungs.first().map_or(ladder.human.after_seconds, |r| r.after_seconds);
        let next_at = Some(at + Duration::seconds(first.max(SHORTEST)));
        Self { phase: Phase::Climbing, rung: 0, round: 0, next_at }
    }

    /// Whether something is still owed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Climbing | Phase::Ringing | Phase::Acting)
    }

    /// Whether nobody has acknowledged yet.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        matches!(self.phase, Phase::Climbing | Phase::Ringing)
    }

    #[must_use]
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.is_open() && self.next_at.is_none_or(|t| t <= now)
    }

    /// The next step, taken now. None if nothing is owed, or if it is not yet time and nothing
    /// hurries.
    #[must_use]
    pub fn step(
        self,
        ladder: &Ladder,
        now: DateTime<Utc>,
        hurried: bool,
    ) -> Option<(Act, Why, Self)> {
        let due = self.is_due(now);
        let early = hurried && self.phase == Phase::Climbing;
        if !(due || early) {
            return None;
        }
        let why = if due { Why::Due } else { Why::NothingSent };
        let then = |s: i64| Some(now + Duration::seconds(s));
        match self.phase {
            Phase::Untracked | Phase::Settled => None,
            Phase::Climbing if (self.rung as usize) < ladder.rungs.len() => {
                let next = self.rung + 1;
                let after = Self { rung: next, next_at: then(ladder.gap(next)), ..self };
                Some((Act::Rung(self.rung), why, after))
            }
            Phase::Climbing | Phase::Ringing => {
                let round = self.round + 1;
                let next_at = then(ladder.repeat(round));
                let after = Self { phase: Phase::Ringing, round, next_at, ..self };
                Some((Act::Ring { round }, why, after))
            }
            Phase::Acting => {
                // Without the wait for the office: that was when it began.
                let next_at = then(ladder.gap(0));
                let after = Self { phase: Phase::Climbing, rung: 0, round: 0, next_at };
                Some((Act::ComeBack, Why::NotActedOn, after))
            }
        }
    }

    /// A person at the agency has it and can attend.
    #[must_use]
    pub fn acknowledged(self, ladder: &Ladder, now: DateTime<Utc>) -> Self {
        if !self.is_unanswered() {
            return self;
        }
        match ladder.act_within_seconds {
            Some(s) => {
                let next_at = Some(now + Duration::seconds(s.max(60)));
                Self { phase: Phase::Acting, next_at, ..self }
            }
            None => self.settled(),
        }
    }

    /// They have it but cannot: the next rung goes at once, unless `told` says that whoever they
    /// handed it to has just been written to; then it has the usual time. While the office of a
    /// ladder that can wait is closed, neither: its rungs are those of the day.
    #[must_use]
    pub fn handed_on(
        self,
        ladder: &Ladder,
        now: DateTime<Utc>,
        told: bool,
        opens: DateTime<Utc>,
    ) -> Self {
        match self.phase {
            Phase::Untracked | Phase::Settled => self,
            // A human rings already, round by round: one more "cannot" does not hurry that.
            Phase::Ringing => self,
            Phase::Climbing | Phase::Acting => {
                let wait = if told { ladder.gap(self.rung) } else { 0 };
                let next_at = Some((now + Duration::seconds(wait)).max(opens));
                Self { phase: Phase::Climbing, next_at, ..self }
            }
        }
    }

    /// The agency's part stands in the response plan.
    #[must_use]
    pub fn acted(self) -> Self {
        if self.phase == Phase::Acting { self.settled() } else { self }
    }

    /// Recalled, stood down or otherwise over.
    #[must_use]
    pub fn settled(self) -> Self {
        if self.phase == Phase::Untracked {
            return self;
        }
        Self { phase: Phase::Settled, next_at: None, ..self }
    }

    /// Puts a next step that lies impossibly far ahead (a clock that was wrong) or is missing where
    /// it may be at most. None if there is nothing to mend.
    #[must_use]
    pub fn mended(self, ladder: &Ladder, now: DateTime<Utc>, opens: DateTime<Utc>) -> Option<Self> {
        let most = match self.phase {
            // It waits for the office first.
            Phase::Climbing => now.max(opens) + self.most_wait(ladder),
            _ => now + self.most_wait(ladder),
        };
        let wrong = match self.next_at {
            _ if !self.is_open() => false,
            None => true,
            Some(t) => t > most + Duration::seconds(60),
        };
        wrong.then_some(Self { next_at: Some(most), ..self })
    }

    fn most_wait(&self, ladder: &Ladder) -> Duration {
        let seconds = match self.phase {
            Phase::Climbing => ladder.gap(self.rung),
            Phase::Ringing => ladder.repeat(self.round.max(1)),
            Phase::Acting => ladder.act_within_seconds.unwrap_or(SHORTEST).max(60),
            Phase::Untracked | Phase::Settled => 0,
        };
        Duration::seconds(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use std::collections::{BTreeSet, VecDeque};

    fn ladder(rungs: u32, act: bool) -> Ladder {
        that_waits(rungs, act, 0)
    }

    fn that_waits(rungs: u32, act: bool, waits: i64) -> Ladder {
        let rung = |i| Rung { after_seconds: waits + 180 * (i + 1), points: Vec::new() };
        Ladder {
            rungs: (0..i64::from(rungs)).map(rung).collect(),
            human: Human {
                after_seconds: waits + 180 * (i64::from(rungs) + 1),
                ..Ladder::bare("01632 960100").human
            },
            act_within_seconds: act.then_some(3600),
            waits_seconds: waits,
        }
    }

    fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 25, 3, 0, 0).unwrap()
    }

    #[test]
    fn nobody_answers_every_rung_then_a_human_again_and_again() {
        let l = ladder(2, false);
        let (mut p, mut now) = (Progress::begin(&l, noon()), noon());
        let mut acts = Vec::new();
        for _ in 0..8 {
            assert!(p.step(&l, p.next_at.unwrap() - Duration::seconds(1), false).is_none());
            now = p.next_at.unwrap();
            let (act, _, after) = p.step(&l, now, false).unwrap();
            acts.push((act, (now - noon()).num_minutes()));
            p = after;
        }
        let climbs = Act::Rung;
        let rings = |round| Act::Ring { round };
        assert_eq!(
            acts,
            [
                (climbs(0), 3),
                (climbs(1), 6),
                (rings(1), 9),
                (rings(2), 24),
                (rings(3), 39),
                (rings(4), 54),
                (rings(5), 69),
                (rings(6), 99)
            ]
        );
        assert!(p.is_open() && p.next_at.unwrap() > now);
    }

    #[test]
    fn an_outage_does_not_send_several_rungs_at_once() {
        let l = ladder(3, false);
        let late = noon() + Duration::hours(5);
        let (act, _, p) = Progress::begin(&l, noon()).step(&l, late, false).unwrap();
        assert_eq!(act, Act::Rung(0));
        assert!(p.step(&l, late, false).is_none());
        assert_eq!(p.next_at, Some(late + Duration::minutes(3)));
    }

    #[test]
    fn a_clock_set_back_an_hour_delays_no_step_by_an_hour() {
        let l = ladder(3, false);
        let p = Progress::begin(&l, noon() + Duration::hours(1));
        let mended = p.mended(&l, noon(), noon()).unwrap();
        assert!(mended.next_at.unwrap() <= noon() + Duration::minutes(3));
        assert_eq!(mended.mended(&l, noon(), noon()), None);
    }

    #[test]
    fn an_answer_neither_lengthens_the_wait_for_the_office_nor_rings_the_day_at_night() {
        let (hours, began) = (60, noon());
        let l = that_waits(2, true, hours * 3600);
        let opens = |now| l.opens(began, now);
        let monday = began + Duration::hours(hours);
        let saturday = began + Duration::hours(20);
        let p = Progress::begin(&l, began);
        assert_eq!(p.next_at, Some(monday + Duration::minutes(3)));
        for told in [true, false] {
            let after = p.handed_on(&l, saturday, told, opens(saturday));
            assert_eq!(after.next_at, Some(monday), "neither before nor days after");
            let acting = p.acknowledged(&l, saturday);
            let after = acting.handed_on(&l, saturday, told, opens(saturday));
            assert_eq!(after.next_at, Some(monday));
        }
        // Once it is open, as everywhere.
        let open = monday + Duration::hours(1);
        assert_eq!(p.handed_on(&l, open, false, opens(open)).next_at, Some(open));
        let usual = p.handed_on(&l, open, true, opens(open)).next_at;
        assert_eq!(usual, Some(open + Duration::minutes(3)));
        // What comes back climbs from then on, and what is right is not mended.
        let acting = p.acknowledged(&l, open);
        let late = open + Duration::hours(2);
        let (act, _, again) = acting.step(&l, late, false).unwrap();
        assert_eq!((act, again.next_at), (Act::ComeBack, Some(late + Duration::minutes(3))));
        assert_eq!(p.mended(&l, saturday, opens(saturday)), None);
        let lost = Progress { next_at: None, ..p };
        let found = lost.mended(&l, saturday, opens(saturday)).unwrap();
        assert_eq!(found.next_at, p.next_at);
        // A clock set back a day: a day later at most.
        let back = began - Duration::days(1);
        assert_eq!(
            p.mended(&l, back, opens(back)).unwrap().next_at,
            p.next_at.map(|t| t - Duration::days(1))
        );
    }

    #[derive(Clone, Copy, Debug)]
    enum Input {
        Tick,
        Early,
        Hurry,
        Acknowledge,
        Cannot,
        HandOn,
        Acted,
        Recall,
        Back,
    }

    const INPUTS: [Input; 9] = [
        Input::Tick,
        Input::Early,
        Input::Hurry,
        Input::Acknowledge,
        Input::Cannot,
        Input::HandOn,
        Input::Acted,
        Input::Recall,
        Input::Back,
    ];

    /// One input at the worst moment for it; the time after it.
    fn feed(l: &Ladder, p: Progress, i: Input, now: DateTime<Utc>) -> (Progress, DateTime<Utc>) {
        let stepped = |p: Progress, now, hurry| p.step(l, now, hurry).map_or(p, |(_, _, p)| p);
        match i {
            Input::Tick => {
                let now = p.next_at.map_or(now, |t| t.max(now));
                (stepped(p, now, false), now)
            }
            Input::Early => (stepped(p, now, false), now),
            Input::Hurry => (stepped(p, now, true), now),
            Input::Acknowledge => (p.acknowledged(l, now), now),
            Input::Cannot => (p.handed_on(l, now, false, l.opens(noon(), now)), now),
            Input::HandOn => (p.handed_on(l, now, true, l.opens(noon(), now)), now),
            Input::Acted => (p.acted(), now),
            Input::Recall => (p.settled(), now),
            Input::Back => {
                let now = now - Duration::hours(1);
                (p.mended(l, now, l.opens(noon(), now)).unwrap_or(p), now)
            }
        }
    }

    /// Every state that any sequence of lost, repeated and reordered inputs can reach, told apart
    /// by everything but absolute time: in each, an open obligation has a next step no further
    /// ahead than the ladder allows, and a human is named once the rungs are used up.
    #[test]
    fn from_every_reachable_state_an_open_obligation_has_a_next_step_or_a_human() {
        let mut all = 0;
        let shapes = (0..4).flat_map(|r| [(r, false), (r, true)]);
        for (rungs, act, waits) in shapes.flat_map(|(r, act)| [(r, act, 0), (r, act, 7200)]) {
            let l = that_waits(rungs, act, waits);
            let mut seen = BTreeSet::new();
            let mut queue = VecDeque::from([(Progress::begin(&l, noon()), noon())]);
            while let Some((p, now)) = queue.pop_front() {
                let wait = p.next_at.map(|t| (t - now).num_seconds());
                // Rounds beyond the slowest pace behave alike.
                let closed = (l.opens(noon(), now) - now).num_seconds().max(0);
                let key = (p.phase, p.rung, p.round.min(14), wait, closed);
                if !seen.insert(key) {
                    continue;
                }
                assert!(seen.len() < 20_000, "the state space does not close");
                if p.is_open() {
                    let t = p.next_at.expect("an open obligation has a next step");
                    assert!(t <= now + l.longest_wait() + Duration::seconds(60), "{p:?}");
                    // Left alone, it moves at that time, and then waits again.
                    let (act, _, after) = p.step(&l, t.max(now), false).expect("it moves");
                    assert!(after.is_open() && after.next_at.unwrap() > t.max(now), "{p:?}");
                    if p.rung as usize >= l.rungs.len() && p.phase != Phase::Acting {
                        assert!(matches!(act, Act::Ring { .. }) && !l.human.number.is_empty());
                    }
                } else {
                    assert_eq!(p.next_at, None);
                    assert!(p.step(&l, now + Duration::days(9), true).is_none(), "over is over");
                }
                for i in INPUTS {
                    let (after, then) = feed(&l, p, i, now);
                    if matches!(i, Input::Early | Input::Hurry) && !p.is_due(now) {
                        assert!(
                            matches!(i, Input::Hurry) || after == p,
                            "nothing is sent before its time"
                        );
                    }
                    // Only a person's answer, an entry in the plan or a recall ever closes it.
                    if p.is_unanswered() && !after.is_unanswered() {
                        assert!(matches!(i, Input::Acknowledge | Input::Recall), "{i:?} {p:?}");
                    }
                    let (again, _) = feed(&l, after, i, then);
                    if matches!(i, Input::Acknowledge | Input::Acted | Input::Recall) {
                        assert_eq!(again, after, "twice is once: {i:?}");
                    }
                    queue.push_back((after, then));
                }
            }
            all += seen.len();
        }
        assert!(all > 300, "{all} states is too few to be all");
    }
}
