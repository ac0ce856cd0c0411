//! What `market` promises, told with the real program: rows, refusals, whole snapshots, answers.
//! `stage` is the one door to the program; the stories know neither its files nor its queries.

mod provider_faults;
mod refusals;
mod replaying;
mod rows;
mod scanning;
mod serving;
mod snapshots;
mod stage;
