//! What happens when a notification may be about a death that was notified before.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duplicates {
    pub on_arrival: OnArrival,
    /// How often changed cases are looked at again; 0: nothing is compared but the NHS number of
    /// what comes in.
    pub look_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnArrival {
    /// A certain one becomes a second account; the others are shown to the office.
    Attach,
    /// All are shown to the office.
    Show,
    /// Nobody looks.
    Off,
}
