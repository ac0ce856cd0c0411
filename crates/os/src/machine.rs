//! What a machine has for a project: room on its disk, of which kind that is, descriptors. What else it lets soloist do is
//! asked by `linux/machine.rs` and its siblings.

use std::io;
use std::path::Path;

/// The file system that a folder lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What it is called, if it is one of a network: no claim can lie there.
    pub network: Option<&'static str>,
    /// So many bytes are free for this user.
    pub free: u64,
}

impl Disk {
    /// Of a folder (statfs(2)).
    pub fn of(folder: &Path) -> io::Result<Disk> {
        let stat = rustix::fs::statfs(folder)?;
        let free = (stat.f_bavail as u64).saturating_mul(stat.f_bsize as u64);
        Ok(Disk { network: network_name(stat.f_type as u64), free })
    }
}

/// The name of a network file system, by the magic number of statfs(2).
pub(crate) fn network_name(magic: u64) -> Option<&'static str> {
    match magic & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b => Some("SMB"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB2"),
        0x5346_414f => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        0x0102_1997 => Some("9p"),
        0x7375_7245 => Some("Coda"),
        0x0bd0_0bd0 => Some("Lustre"),
        _ => None,
    }
}

/// So many descriptors this process can have open (getrlimit(2), the hard limit).
pub fn descriptors() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room_and_a_network_its_name() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Disk::of(folder.path()).unwrap().free > 0);
        assert!(Disk::of(&folder.path().join("nothing")).is_err());
        // An ext4, and what 32-bit numbers with a sign become in 64 bits.
        assert_eq!((network_name(0xef53), network_name(0x6969)), (None, Some("NFS")));
        assert_eq!(network_name(0xffff_ffff_ff53_4d42), Some("CIFS"));
        assert!(descriptors() > 0);
    }
}
