//! Secrets: made of the kernel's random bytes, kept in files that only their user can read, compared without telling
//! how much of a guess was right.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::identity::my_uid;
use crate::layout::named;
use crate::own_file;
use crate::record::replace;

/// Random bytes of one secret; in text twice as many digits.
const BYTES: usize = 32;

/// A new secret: 64 hexadecimal digits.
///
/// # Errors
/// If the kernel gives no random bytes (getrandom(2)): nothing else will do for a secret.
pub fn fresh() -> io::Result<String> {
    let mut bytes = [0u8; BYTES];
    // Up to 256 bytes come whole, or not at all.
    if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())? != BYTES {
        return Err(io::Error::other("the kernel gave too few random bytes"));
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The secret that a file keeps, made if there is none. One that somebody else could have read or written (another
/// owner, a mode beyond 0600, a link) is none any more: it is replaced.
///
/// # Errors
/// If it cannot be written, or there are no random bytes.
pub fn kept(path: &Path) -> io::Result<String> {
    if let Ok(Some(found)) = read(path) {
        return Ok(found);
    }
    let made = fresh().map_err(|e| named(e, "cannot make", path))?;
    replace(path, made.as_bytes())?;
    Ok(made)
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let file = own_file::open(path)?;
    let found = file.metadata()?;
    if found.uid() != my_uid() || found.mode() & 0o077 != 0 {
        return Ok(None);
    }
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text)?;
    let text = text.trim_end();
    let is_one = text.len() == BYTES * 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(is_one.then(|| text.to_owned()))
}

/// Whether two texts are the same. How long it takes depends on their lengths only.
pub fn is_same(one: &str, other: &str) -> bool {
    let differences =
        one.bytes().zip(other.bytes()).fold(0, |found, (a, b)| std::hint::black_box(found | (a ^ b)));
    one.len() == other.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_secret_is_made_once_and_only_its_user_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = kept(&path).unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(kept(&path).unwrap(), made);
        assert_ne!(fresh().unwrap(), fresh().unwrap());
    }

    #[test]
    fn what_others_could_have_read_or_written_is_no_secret_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("token"), folder.path().join("elsewhere"));
        let open = kept(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let anew = kept(&path).unwrap();
        assert_ne!(anew, open);
        for text in ["", "short", &"g".repeat(64), &"0".repeat(65)] {
            std::fs::write(&path, text).unwrap();
            assert_ne!(kept(&path).unwrap(), text);
        }
        std::fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let own = kept(&path).unwrap();
        assert!(
            !std::fs::symlink_metadata(&path).unwrap().is_symlink(),
            "the link is replaced, not followed"
        );
        assert_ne!(own, std::fs::read_to_string(&elsewhere).unwrap());
    }

    #[test]
    fn only_the_whole_secret_is_the_same() {
        assert!(is_same("abc", "abc") && is_same("", ""));
        assert!(!is_same("abc", "abd") && !is_same("abc", "ab") && !is_same("", "a"));
    }
}
