//! Are two reports about the same death? Only an equal, valid NHS number that nothing contradicts
//! makes it certain enough to act on; everything else is shown to a person. What is missing never
//! contradicts. A report wrongly taken for a second one would keep a child's alerts back: that is
//! the worst mistake, so every doubt counts against [`Verdict::Same`].

mod names;
mod traits;

pub use names::searched;
pub use traits::Traits;

use crate::domain::facts::words;
use chrono::{Datelike, NaiveDate};
use std::collections::BTreeSet;

words!(
    /// What two reports are to each other, from least to most alike.
    Verdict {
        Different = "different",
        /// Twins, siblings, one incident: different children whose cases belong together.
        Related = "related",
        /// To be looked at by a person.
        Perhaps = "perhaps",
        /// Certain enough to be attached without one.
        Same = "same",
    }
);

impl Verdict {
    /// As pages say it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Different => "Different",
            Self::Related => "Twins, siblings or one incident",
            Self::Perhaps => "Perhaps the same death",
            Self::Same => "Very likely the same death",
        }
    }
}

/// A verdict with its reasons, in words that name no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    pub verdict: Verdict,
    pub agrees: Vec<&'static str>,
    pub differs: Vec<&'static str>,
}

/// How one trait of two reports compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    Agree,
    /// Two spellings, a slip of a digit, a day apart.
    Near,
    Differ,
    /// Not known on one side: neither for nor against.
    Unknown,
}

use Match::{Agree, Differ, Near, Unknown};

impl Match {
    fn some(self) -> bool {
        matches!(self, Agree | Near)
    }
}

struct Compared {
    nhs: Match,
    given: Match,
    /// One first name, not only one name in common: Anne and Mary Anne may be sisters.
    first_name: bool,
    /// The first names differ, and may be one name spelt by ear.
    by_ear: bool,
    family: Match,
    mother: Match,
    /// Twin 1 against twin 2.
    order: Match,
    /// One is marked as one of several and the other is not the same one.
    one_of_several: bool,
    born: Match,
    died: Match,
    sex: Match,
    event: Match,
    home: Match,
    place: Match,
    scene: Match,
}

/// Compares two reports; the same whichever comes first.
#[must_use]
pub fn compare(a: &Traits, b: &Traits) -> Likeness {
    let c = Compared::of(a, b);
    let (agrees, differs) = c.reasons();
    Likeness { verdict: c.verdict(), agrees, differs }
}

impl Compared {
    fn of(a: &Traits, b: &Traits) -> Self {
        let (x, y) = (&a.names, &b.names);
        let order = match (x.order, y.order) {
            (Some(m), Some(n)) if m == n => Agree,
            (Some(_), Some(_)) => Differ,
            _ => Unknown,
        };
        let event = match (a.event, b.event) {
            (Some(m), Some(n)) if m == n => Agree,
            (Some(_), Some(_)) => Differ,
            _ => Unknown,
        };
        Self {
            nhs: sets(&a.nhs, &b.nhs),
            given: given(x, y),
            first_name: is_one_first_name(x, y),
            by_ear: x.given.iter().any(|m| y.given.iter().any(|n| names::may_sound_alike(m, n))),
            family: family(x, y),
            mother: match sets(&x.mother, &y.mother) {
                Differ => Unknown,
                other => other,
            },
            order,
            one_of_several: (x.multiple || y.multiple) && order != Agree,
            born: dates(&a.born, &b.born, |m, n| {
                if m == n {
                    Agree
                } else if is_slip(m, n) {
                    Near
                } else {
                    Differ
                }
            }),
            died: dates(&a.died, &b.died, |m, n| match (m - n).num_days().abs() {
                0 | 1 => Agree,
                2 | 3 => Near,
                _ => Differ,
            }),
            sex: sets(&a.sex, &b.sex),
            event,
            home: sets(&a.home, &b.home),
            // One house has many names: another one is no contradiction.
            place: if sets(&a.place, &b.place) == Agree { Agree } else { Unknown },
            scene: if sets(&a.scene, &b.scene) == Agree { Agree } else { Unknown },
        }
    }

    fn verdict(&self) -> Verdict {
        if self.is_same() {
            Verdict::Same
        } else if self.nhs == Agree {
            // One of them has somebody else's number, or something else is wrong: a person looks.
            Verdict::Perhaps
        } else if self.is_perhaps() {
            Verdict::Perhaps
        } else if self.is_related() {
            Verdict::Related
        } else {
            Verdict::Different
        }
    }

    fn is_same(&self) -> bool {
        let contradicted = [self.sex, self.event, self.order].contains(&Differ)
            || !matches!(self.born, Agree | Unknown)
            || !matches!(self.died, Agree | Unknown)
            || (self.given != Unknown && !self.first_name)
            || self.family == Differ
            || self.one_of_several;
        // A number alone may be copied from the wrong line: something else must say so too.
        let borne_out =
            self.born == Agree || self.given.some() || (self.died == Agree && self.family.some());
        self.nhs == Agree && !contradicted && borne_out
    }

    fn is_perhaps(&self) -> bool {
        let other_child = (self.given == Differ && !self.is_one_name_by_ear())
            || self.order == Differ
            || (self.sex == Differ && !self.given.some());
        if other_child {
            return false;
        }
        if self.nhs == Differ {
            // Two numbers are two children, unless everything else says that one is wrong.
            return self.given.some()
                && self.family.some()
                && self.born == Agree
                && self.died.some()
                && self.sex != Differ;
        }
        let weigh = |m: Match, agree: i32, near: i32, differ: i32| match m {
            Agree => agree,
            Near => near,
            Differ => -differ,
            Unknown => 0,
        };
        let points = weigh(self.given, 3, 2, 0)
            + weigh(self.family, 3, 2, 2)
            + weigh(self.born, 4, 2, 4)
            + weigh(self.died, 2, 1, 5)
            + weigh(self.home, 3, 0, 1)
            + weigh(self.mother, 2, 0, 0)
            + weigh(self.place, 1, 0, 0)
            + weigh(self.sex, 0, 0, 3)
            + weigh(self.event, 0, 0, 1);
        points >= 6
    }

    /// Twins have names that differ more, or the family would not tell them apart either.
    fn is_one_name_by_ear(&self) -> bool {
        self.by_ear
            && self.family.some()
            && self.born == Agree
            && self.died.some()
            && self.sex != Differ
            && !self.one_of_several
    }

    fn is_related(&self) -> bool {
        let household = self.home == Agree
            || self.mother == Agree
            || (self.family == Agree && (self.place == Agree || self.born == Agree));
        let together = self.died.some() || self.born == Agree;
        // One incident, whoever they are.
        let incident = self.scene == Agree && self.died == Agree;
        (household && together) || incident
    }

    fn reasons(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let all: [(Match, &str, &str, &str); 11] = [
            (self.nhs, "the NHS number is the same", "", "the NHS numbers are not the same"),
            (
                self.given,
                "the first name is the same",
                "the first names are spelt almost alike, or one is among the other's",
                "the first names are not the same",
            ),
            (
                self.family,
                "the family name is the same",
                "the family name is spelt almost alike, or is another name of the family",
                "the family names are not the same",
            ),
            (self.mother, "the mother's surname is the same", "", ""),
            (
                self.born,
                "born on the same day",
                "the birth dates differ by a slip: a day, or day and month changed round",
                "the birth dates are not the same",
            ),
            (
                self.died,
                "died on the same day or the next",
                "died within three days",
                "the dates of death are more than three days apart",
            ),
            (self.sex, "the sex is the same", "", "the sex is not the same"),
            (self.event, "", "", "one reports a death and the other a collapse or a stillbirth"),
            (self.home, "the home postcode is the same", "", "the home postcodes are not the same"),
            (self.place, "the place of death is the same", "", ""),
            (self.order, "the same twin", "", "one is twin 1 and the other twin 2"),
        ];
        let said = |t: &&'static str| !t.is_empty();
        let agrees = all.iter().filter_map(|(m, agree, near, _)| match m {
            Agree => Some(*agree),
            Near => Some(*near),
            Differ | Unknown => None,
        });
        let differs = all.iter().filter(|(m, ..)| *m == Differ).map(|(.., differ)| *differ);
        let mut differs: Vec<&str> = differs.filter(said).collect();
        if self.one_of_several && self.order != Differ {
            differs.push("one of them is called a twin");
        }
        (agrees.filter(said).collect(), differs)
    }
}

/// Known on both sides: do they have one in common?
fn sets<T: Ord>(a: &BTreeSet<T>, b: &BTreeSet<T>) -> Match {
    if a.is_empty() || b.is_empty() {
        Unknown
    } else if a.is_disjoint(b) {
        Differ
    } else {
        Agree
    }
}

/// The best of every pair of readings.
fn dates(
    a: &BTreeSet<NaiveDate>,
    b: &BTreeSet<NaiveDate>,
    one: impl Fn(NaiveDate, NaiveDate) -> Match,
) -> Match {
    let pairs = a.iter().flat_map(|m| b.iter().map(|n| one(*m, *n)));
    pairs.fold(Unknown, |best, m| match (best, m) {
        (Agree, _) | (_, Agree) => Agree,
        (Near, _) | (_, Near) => Near,
        _ => Differ,
    })
}

/// A day more or less, day and month changed round, or one year wrong.
fn is_slip(a: NaiveDate, b: NaiveDate) -> bool {
    let swapped = a.year() == b.year() && a.day() == b.month() && a.month() == b.day();
    let year = (a.year() - b.year()).abs() == 1 && a.ordinal() == b.ordinal();
    (a - b).num_days().abs() <= 1 || swapped || year
}

/// First and family name in each other's place.
fn is_changed_round(a: &names::Names, b: &names::Names) -> bool {
    let whole = |n: &names::Names| {
        let known = !n.given.is_empty() && !n.family.is_empty();
        known.then(|| n.given.iter().chain(&n.family).cloned().collect::<BTreeSet<_>>())
    };
    whole(a).is_some() && whole(a) == whole(b)
}

fn given(a: &names::Names, b: &names::Names) -> Match {
    if a.given.is_empty() || b.given.is_empty() {
        return Unknown;
    }
    if a.given[0] == b.given[0] || is_changed_round(a, b) {
        return Agree;
    }
    let set = |n: &names::Names| n.given.iter().cloned().collect::<BTreeSet<_>>();
    let (x, y) = (set(a), set(b));
    let one_holds_the_other = x.is_subset(&y) || y.is_subset(&x);
    if one_holds_the_other || is_one_first_name(a, b) { Near } else { Differ }
}

/// The same first name, spelt almost alike, changed round with the family name, or known besides.
fn is_one_first_name(a: &names::Names, b: &names::Names) -> bool {
    let (Some(m), Some(n)) = (a.given.first(), b.given.first()) else { return false };
    m == n
        || is_changed_round(a, b)
        || a.also.contains(n)
        || b.also.contains(m)
        || names::alike(m, n)
}

fn family(a: &names::Names, b: &names::Names) -> Match {
    let all = |n: &names::Names| {
        n.family.iter().chain(&n.also).chain(&n.mother).cloned().collect::<BTreeSet<_>>()
    };
    let (x, y) = (all(a), all(b));
    if x.is_empty() || y.is_empty() {
        return Unknown;
    }
    if !a.family.is_disjoint(&b.family) || is_changed_round(a, b) {
        return Agree;
    }
    let spelt = x.iter().any(|m| y.iter().any(|n| names::alike(m, n)));
    if !x.is_disjoint(&y) || spelt {
        return Near;
    }
    // Only a family name against a family name is a difference.
    if a.family.is_empty() || b.family.is_empty() { Unknown } else { Differ }
}

#[cfg(test)]
mod tests;
