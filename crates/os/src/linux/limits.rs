//! What a process may use and as whom it runs: setrlimit(2), setpriority(2), umask(2), setgroups(2), setresgid(2),
//! setresuid(2). Checked before the fork, applied between fork and exec by system calls alone.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use rustix::thread::{Gid, Uid};

use crate::guard::Limits;
use crate::program::{SpawnError, Step};

/// The names of getrlimit(2) without `RLIMIT_`, in lower case.
const RESOURCES: [(&str, Resource); 16] = [
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// Limits in the words of the kernel.
#[derive(Debug, Default)]
pub struct Confinement {
    rlimits: Vec<(Resource, Rlimit)>,
    nice: Option<i32>,
    umask: Option<rustix::fs::Mode>,
    /// None: they stay as they are.
    groups: Option<Vec<Gid>>,
    group: Option<Gid>,
    user: Option<Uid>,
}

/// What was refused: the step, which of several (rlimits), and why.
pub type Refusal = (Step, u8, Errno);

impl Confinement {
    /// Translates the limits; an error names what no kernel knows.
    pub fn of(limits: &Limits) -> Result<Confinement, SpawnError> {
        let refuse = |step, errno: Errno, at: u8| SpawnError {
            step,
            errno: errno.raw_os_error(),
            object: object(limits, step, at),
        };
        let mut confinement = Confinement { nice: limits.nice, ..Confinement::default() };
        for (at, (name, soft, hard)) in (0..=u8::MAX).zip(&limits.rlimits) {
            let known = RESOURCES.iter().find(|(known, _)| known == name);
            let (_, resource) = known.ok_or_else(|| refuse(Step::Rlimit, Errno::NOENT, at))?;
            let value = |value: u64| (value != u64::MAX).then_some(value);
            confinement.rlimits.push((*resource, Rlimit { current: value(*soft), maximum: value(*hard) }));
        }
        // The kernel would cut both into their range without a word.
        if limits.nice.is_some_and(|nice| !(-20..=19).contains(&nice)) {
            return Err(refuse(Step::Nice, Errno::INVAL, 0));
        }
        if limits.umask.is_some_and(|umask| umask > 0o777) {
            return Err(refuse(Step::Umask, Errno::INVAL, 0));
        }
        confinement.umask = limits.umask.map(rustix::fs::Mode::from_raw_mode);
        // -1 means "as it is" to setresuid(2): it must not be taken for a user.
        if limits.user == Some(u32::MAX) {
            return Err(refuse(Step::User, Errno::INVAL, 0));
        }
        if limits.group == Some(u32::MAX) {
            return Err(refuse(Step::Group, Errno::INVAL, 0));
        }
        if limits.groups.contains(&u32::MAX) {
            return Err(refuse(Step::Groups, Errno::INVAL, 0));
        }
        confinement.user =
            limits.user.filter(|user| *user != rustix::process::geteuid().as_raw()).map(Uid::from_raw);
        confinement.group =
            limits.group.filter(|group| *group != rustix::process::getegid().as_raw()).map(Gid::from_raw);
        // Another user must not keep our groups. Who stays who they are needs no right to be that.
        let is_asked = confinement.user.is_some() || !limits.groups.is_empty();
        confinement.groups = is_asked.then(|| limits.groups.iter().copied().map(Gid::from_raw).collect());
        Ok(confinement)
    }

    /// In the child, after what must be done with the guard's rights. Only system calls: nothing is allocated. Those of
    /// rustix change the calling thread alone, and the child has no other; the C library's would look for others.
    pub fn apply(&self) -> Result<(), Refusal> {
        for (at, (resource, limit)) in (0..=u8::MAX).zip(&self.rlimits) {
            rustix::process::setrlimit(*resource, *limit).map_err(|e| (Step::Rlimit, at, e))?;
        }
        if let Some(nice) = self.nice {
            rustix::process::setpriority_process(None, nice).map_err(|e| (Step::Nice, 0, e))?;
        }
        if let Some(umask) = self.umask {
            rustix::process::umask(umask);
        }
        if let Some(groups) = &self.groups {
            rustix::thread::set_thread_groups(groups).map_err(|e| (Step::Groups, 0, e))?;
        }
        if let Some(group) = self.group {
            rustix::thread::set_thread_res_gid(group, group, group).map_err(|e| (Step::Group, 0, e))?;
        }
        if let Some(user) = self.user {
            rustix::thread::set_thread_res_uid(user, user, user).map_err(|e| (Step::User, 0, e))?;
        }
        Ok(())
    }

    /// As whom it runs, if not as we do.
    pub fn user(&self) -> Option<Uid> {
        self.user
    }
}

/// What a step was about, for its error.
pub fn object(limits: &Limits, step: Step, at: u8) -> String {
    let number = |id: Option<u32>| id.map_or(String::new(), |id| id.to_string());
    match step {
        Step::Rlimit => match limits.rlimits.get(usize::from(at)) {
            Some((name, _, _)) if !RESOURCES.iter().any(|(known, _)| known == name) => name.clone(),
            Some((name, soft, hard)) => format!("{name} to {} (at most {})", amount(*soft), amount(*hard)),
            None => String::new(),
        },
        Step::Nice => limits.nice.map_or(String::new(), |nice| nice.to_string()),
        Step::Umask => limits.umask.map_or(String::new(), |umask| format!("{umask:03o}")),
        Step::Groups => limits.groups.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
        Step::Group => number(limits.group),
        Step::User => number(limits.user),
        Step::Fork | Step::Descriptors | Step::PidFile | Step::Folder | Step::Exec => String::new(),
    }
}

fn amount(value: u64) -> String {
    if value == u64::MAX { "no limit".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(limits: &Limits) -> String {
        Confinement::of(limits).unwrap_err().to_string()
    }

    #[test]
    fn what_no_kernel_knows_is_named() {
        let said = refusal(&Limits { rlimits: vec![("nofle".into(), 1, 1)], ..Limits::default() });
        assert!(said.contains("`nofle`") && said.contains("nofile"), "{said}");
        let said = refusal(&Limits { nice: Some(20), ..Limits::default() });
        assert!(said.contains("20") && said.contains("-20 to 19"), "{said}");
        let said = refusal(&Limits { umask: Some(0o1000), ..Limits::default() });
        assert!(said.contains("1000") && said.contains("777"), "{said}");
        assert!(refusal(&Limits { user: Some(u32::MAX), ..Limits::default() }).contains("user"));
    }

    #[test]
    fn who_stays_who_they_are_changes_nothing() {
        let mine = rustix::process::geteuid().as_raw();
        let limits = Limits { user: Some(mine), ..Limits::default() };
        let confinement = Confinement::of(&limits).unwrap();
        assert!(confinement.user.is_none() && confinement.groups.is_none());
    }
}
