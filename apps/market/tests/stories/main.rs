//! What `market` promises, told with the real program: rows, refusals, whole snapshots, answers.
//! `stage` is the one door to the program; the stories know neither its files nor its queries.

mod issues;
mod refusals;
mod rows;
mod serving;
mod snapshots;
mod stage;
#[cfg(target_os = "linux")]
mod ticks;
