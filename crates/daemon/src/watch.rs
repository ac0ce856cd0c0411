//! Fresh code: which programs load changed files by themselves.

mod nested;

pub use nested::nested_reloader;
