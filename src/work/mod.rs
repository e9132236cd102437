//! Loops that run beside the service: sending what is owed, sealing the journal, watching figures.

mod dispatch;
mod lanes;
mod upkeep;

pub use dispatch::{Dispatcher, Handle, Limits, Settings};
pub use upkeep::{seal_once, upkeep};
