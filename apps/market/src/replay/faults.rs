//! What the replay provider does wrong, on demand.

use std::fmt;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// As it should.
    Ok,
    /// 429 to everything.
    Limit,
    /// The same with `Retry-After`.
    LimitAfter,
    /// The crumb is the text of a 429.
    CrumbLimit,
    /// 401 to everything that needs a crumb, whichever it is.
    Unauthorized,
    /// The crumbs given out so far are not known any more.
    StaleCrumb,
    /// A byte at a time.
    Drip,
    /// Half of the JSON, as if it were all.
    Truncated,
    /// A page in place of the JSON.
    Html,
    /// The connection is reset in the middle of the body.
    Reset,
    /// Values of other types, or `{"raw","fmt"}`.
    Types,
    /// Null values, and missing ones.
    Nulls,
}

const NAMES: [(Fault, &str); 12] = [
    (Fault::Ok, "ok"),
    (Fault::Limit, "429"),
    (Fault::LimitAfter, "429-after"),
    (Fault::CrumbLimit, "crumb-429"),
    (Fault::Unauthorized, "401"),
    (Fault::StaleCrumb, "stale-crumb"),
    (Fault::Drip, "drip"),
    (Fault::Truncated, "truncated"),
    (Fault::Html, "html"),
    (Fault::Reset, "reset"),
    (Fault::Types, "types"),
    (Fault::Nulls, "nulls"),
];

impl std::str::FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(_, known)| *known == name).map(|(fault, _)| *fault);
        found.ok_or_else(|| format!("it is none of {}", NAMES.map(|(_, name)| name).join(", ")))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(known, _)| known == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}
