//! Loops that run beside the service: sending what is owed, sealing the journal, watching figures.

mod asker;
mod copies;
pub mod daily;
mod dispatch;
mod escalator;
mod lanes;
mod likeness;
mod lines;
mod patience;
mod recorded;
mod upkeep;
pub mod watcher;
mod worked;

pub use asker::{asker, follower};
pub use daily::daily;
pub use dispatch::{Dispatcher, Handle, Limits, Settings};
pub use escalator::{escalate_once, escalator};
pub use likeness::likeness;
pub use lines::renewer;
pub use upkeep::{seal_once, upkeep};
pub use watcher::{Watch, watcher};
pub use worked::Worked;
