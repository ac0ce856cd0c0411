//! Decides. The state machines of soloist, pure: no clock, file, network, thread, random source, log or
//! environment. Time and randomness come in as arguments; what should be done goes out as a list of effects.

pub mod event;
mod health;
pub mod id;
pub mod instance;
pub mod plan;
pub mod project;
mod random;
mod restart;
pub mod schedule;
pub mod state;
pub mod time;
