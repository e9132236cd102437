//! Reading a notification: everything optional, every wrong field named at once, nothing refused
//! but what makes the notification unusable.

mod read;
mod reader;
pub mod repair;
pub mod strict;

pub use read::{ETHNICITIES, Need, read, review};
pub use reader::{Notes, Object, Problem, Warning};

/// A body that can be used, and what should be looked at again.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub facts: super::facts::Facts,
    pub warnings: Vec<Warning>,
}
