//! What happened between two cases of one death, as sentences. The other case is named only where
//! the two are bound together: who reads one case may not know of the other.

use crate::domain::event::{Event, Person, Settled};
use crate::domain::likeness::Verdict;

pub(super) fn sentence(event: &Event) -> String {
    match event {
        Event::AccountAttached { reference, by, reason, .. } => {
            format!(
                "{reference} was made a second account of this case{}.{}",
                who(by.as_ref()),
                why(reason)
            )
        }
        Event::AccountDetached { reference, by, reason, .. } => format!(
            "{reference} is no second account of this case any more, says {}; its facts were taken out again.{}",
            by.name,
            why(reason)
        ),
        Event::BecameAccount { reference, by, reason, settled, .. } => {
            let settled = match settled.len() {
                0 => String::new(),
                1 => " One alert was answered for there.".to_owned(),
                n => format!(" {n} alerts were answered for there."),
            };
            format!(
                "Made a second account of {reference}{}.{}{settled}",
                who(by.as_ref()),
                why(reason)
            )
        }
        Event::AccountToldMore { .. } => {
            "More was said; whom it concerns is alerted on the first case.".to_owned()
        }
        Event::BecameCase { reference, by, reason, .. } => format!(
            "Stands for itself again and is no second account of {reference}, says {}.{}",
            by.name,
            why(reason)
        ),
        Event::LikenessFound { verdict, agrees, differs, .. } => {
            let what = match verdict {
                Verdict::Same => "Another case is very likely of the same death",
                Verdict::Perhaps => "Another case is perhaps of the same death",
                Verdict::Related => "Another case may be of a twin, a sibling or the same incident",
                Verdict::Different => "Another case that seemed alike is not any more",
            };
            let but = if differs.is_empty() {
                String::new()
            } else {
                format!("; but {}", differs.join(", "))
            };
            format!("{what}: {}{but}.", agrees.join(", "))
        }
        Event::LikenessSettled { settled, by, reason, .. } => {
            let what = match settled {
                Settled::NotTheSame => "Another case is not of the same death",
                Settled::Related => "Another case is of a twin, a sibling or the same incident",
            };
            format!("{what}, says {}.{}", by.name, why(reason))
        }
        // Each of the others has its sentence elsewhere.
        other => other.name().replace('_', " "),
    }
}

fn who(by: Option<&Person>) -> String {
    by.map_or_else(|| ", because nothing contradicts it".to_owned(), |p| format!(" by {}", p.name))
}

fn why(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" Reason: {reason}") }
}
