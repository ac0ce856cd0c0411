//! Every crate that is built into anything of ours has a licence that deny.toml allows. Asks Cargo, without a network.

use std::process::Command;

/// Whether a licence (SPDX, or the older `MIT/Apache-2.0`) can be met with the allowed ones: all that `AND` joins, of what
/// `OR` joins any. Of mixed ones, which nobody has without parentheses, the stricter reading counts.
fn is_allowed(licence: &str, allowed: &[&str]) -> bool {
    licence.split(" AND ").all(|part| {
        let part = part.replace('/', " OR ").replace(['(', ')'], "");
        part.split(" OR ").any(|one| allowed.contains(&one.trim()))
    })
}

#[test]
fn every_licence_is_an_allowed_one() {
    let root = xtask::root();
    let rules: toml::Table = std::fs::read_to_string(root.join("deny.toml")).unwrap().parse().unwrap();
    let allowed = rules["licenses"]["allow"].as_array().unwrap();
    let allowed: Vec<&str> = allowed.iter().filter_map(toml::Value::as_str).collect();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata
        .args([
            "metadata",
            "--locked",
            "--offline",
            "--format-version",
            "1",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(&root);
    let output = metadata.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = told["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{}", packages.len());
    let bad: Vec<String> = packages
        .iter()
        .filter(|package| !is_allowed(package["license"].as_str().unwrap_or_default(), &allowed))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(bad.is_empty(), "deny.toml does not allow:\n{}", bad.join("\n"));
}

#[test]
fn what_is_joined_is_read_so() {
    let allowed = ["MIT", "Zlib"];
    for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(GPL-3.0 OR MIT) AND Zlib", "Unlicense / MIT"] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Zlib) AND GPL-3.0", "MIT WITH something", "MITX"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
