//! What lies in a folder in which somebody says `soloist init`.

use std::fs;

use soloist_daemon::config::{Config, FILE_NAME};
use soloist_daemon::init::propose;

/// What is read there, and what only has to be there.
const FILES: [&str; 10] = [
    "package.json",
    "docker-compose.yml",
    "Procfile",
    "main.py",
    "Cargo.toml",
    "src/main.rs",
    "web/package.json",
    "web/vite.config.js",
    "start.sh",
    ".env",
];

/// Files in their order, each ended by a byte that no text has: whatever is proposed loads, and is the same when it is
/// proposed again.
pub fn init(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in
        FILES.iter().zip(data.split(|byte| *byte == 0xff)).filter(|(_, bytes)| !bytes.is_empty())
    {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
    let proposal = propose(folder.path()).expect("what was found can be declared together");
    let config = Config::parse(&proposal.text, folder.path(), FILE_NAME).expect("it loads");
    assert_eq!(config.declared.len(), proposal.found.len());
    assert_eq!(propose(folder.path()).expect("again").text, proposal.text);
}
