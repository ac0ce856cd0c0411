//! Properties that hold for whatever is given: what is printed reads back, what is computed is what a slow look at each
//! minute finds, what is decided keeps its bounds.

mod decisions;
mod declared;
mod texts;
mod times;
