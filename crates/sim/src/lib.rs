//! Doubts the core: seeded worlds of misfortune around `Project`, each checked after every step against the truth and
//! then given a calm in which everything must come right. `world.rs` is one life, `campaign.rs` is many;
//! `plants.rs` doubts the doubt.

pub mod campaign;
#[cfg(feature = "search")]
pub mod check;
pub mod plants;
mod world;

pub use crate::world::{Broken, Tale, Tally, live};
