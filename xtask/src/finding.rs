//! What a rule says: where, what, why it is a rule, and what to do now; and the exceptions from a rule, each with its
//! reason and a number, so that a list of exceptions can only become shorter unnoticed.

use std::fmt;

/// One place that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is there.
    pub what: String,
    /// Why that is not good.
    pub why: &'static str,
    /// What to do.
    pub now: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { file, line, what, why, now } = self;
        write!(f, "{file}:{line}: {what}\n    why: {why}\n    now: {now}")
    }
}

/// The reason and the remedy of a rule, once for all its findings.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Why it is a rule.
    pub why: &'static str,
    /// What to do about a finding.
    pub now: &'static str,
}

impl Rule {
    /// A finding of this rule; `at` counts lines from 0.
    pub fn at(&self, file: &str, at: usize, what: impl Into<String>) -> Finding {
        Finding { file: file.to_owned(), line: at + 1, what: what.into(), why: self.why, now: self.now }
    }
}

/// Where a rule does not hold.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// A file, or a folder with a `/` at its end.
    pub place: &'static str,
    /// So many times in the file; a folder is not counted.
    pub times: usize,
    /// Why.
    pub reason: &'static str,
}

/// Takes away what is excepted. A file with more than its exception allows is told of, and so is an exception that is
/// larger than what it is for: nobody would see the next one slip in.
pub fn except(found: Vec<Finding>, exceptions: &[Exception]) -> Vec<Finding> {
    let place_of = |file: &str| {
        exceptions.iter().find(|e| e.place == file || (e.place.ends_with('/') && file.starts_with(e.place)))
    };
    let times = |place: &str| found.iter().filter(|f| f.file == place).count();
    let mut left: Vec<Finding> = Vec::new();
    for finding in &found {
        match place_of(&finding.file) {
            Some(e) if e.place.ends_with('/') || times(e.place) <= e.times => {}
            Some(e) => {
                let what = format!("{} (an exception allows {} here: {})", finding.what, e.times, e.reason);
                left.push(Finding { what, ..finding.clone() });
            }
            None => left.push(finding.clone()),
        }
    }
    for e in exceptions.iter().filter(|e| !e.place.ends_with('/') && times(e.place) < e.times) {
        left.push(Finding {
            file: e.place.to_owned(),
            line: 1,
            what: format!(
                "an exception allows {} times what is here {} times ({})",
                e.times,
                times(e.place),
                e.reason
            ),
            why: "an exception that is larger than its reason hides the next mistake",
            now: "lower its number in xtask/src/rules, or remove it",
        });
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { why: "why", now: "now" };
    const EXCEPTION: [Exception; 2] = [
        Exception { place: "a.rs", times: 1, reason: "once" },
        Exception { place: "b/", times: 0, reason: "everywhere" },
    ];

    #[test]
    fn what_is_excepted_is_not_told_and_the_rest_is() {
        let found = vec![RULE.at("a.rs", 0, "x"), RULE.at("b/c.rs", 0, "x"), RULE.at("c.rs", 2, "x")];
        let left = except(found, &EXCEPTION);
        assert_eq!(left.len(), 1);
        assert!(left[0].to_string().starts_with("c.rs:3: x"), "{}", left[0]);
    }

    #[test]
    fn one_more_than_the_exception_allows_is_told() {
        let found = vec![RULE.at("a.rs", 0, "x"), RULE.at("a.rs", 1, "x")];
        assert_eq!(except(found, &EXCEPTION).len(), 2);
    }

    #[test]
    fn an_exception_for_nothing_is_told() {
        assert_eq!(except(Vec::new(), &EXCEPTION)[0].file, "a.rs");
    }
}
