//! The soak: `soak --minutes 10 --seed 7 [--services 30]`. As root it plays in namespaces of its own, where its ports are
//! nobody else's, its disk can be full, and all of it ends with it. All else is in `e2e::soak`.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(2)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::Write;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Command, ExitCode};
    use std::time::Duration;

    use e2e::binaries::BUILT;
    use e2e::soak::{Wish, run};
    use e2e::{binaries, program, skip_loudly};

    const USAGE: &str = "usage: soak [--minutes N] [--seed N] [--services N]";
    /// Set inside; its value is the file that ends it.
    const INSIDE: &str = "SOAK_INSIDE";
    /// An interrupt ends the deeds; then all is judged and cleared as ever. What is started in the background is
    /// deaf to it.
    const SHELL: &str = "trap ': >\"$SOAK_INSIDE\"' INT TERM; [ -z \"$SOAK_NET\" ] || ip link set lo up || exit 2\n\
                         \"$@\" & child=$!\n\
                         while :; do wait $child; code=$?; kill -0 $child 2>/dev/null || break; done; exit $code";

    pub fn main() -> ExitCode {
        let wish = match wish(std::env::args().skip(1)) {
            Ok(wish) => wish,
            Err(why) => {
                say(&format!("{why}\n{USAGE}"));
                return ExitCode::from(2);
            }
        };
        if std::env::var_os(INSIDE).is_none() {
            return enter(&wish);
        }
        let verdict = run(&wish);
        say(&verdict.to_string());
        if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Does not come back if all is well.
    fn enter(wish: &Wish) -> ExitCode {
        let minutes = wish.length.as_secs_f64() / 60.0;
        say(&format!("soak: seed {}, {minutes:.1} minutes, {} services and jobs", wish.seed, wish.services));
        // Before anything is built: what is built with others' features replaces this very program, and then its path is
        // that of a deleted one.
        let Ok(me) = std::env::current_exe() else { return ExitCode::from(2) };
        // Built out here, so that it is not built in there.
        let built = binaries().soloist.parent().map(Path::to_owned).unwrap_or_default();
        let is_root = rustix::process::geteuid().is_root();
        let unshare = program("unshare").filter(|_| is_root && program("ip").is_some());
        if unshare.is_none() {
            skip_loudly("full disks and ports of its own need root, unshare(1) and ip(8)");
        }
        let mut command = match &unshare {
            Some(unshare) => {
                let mut command = Command::new(unshare);
                command.args([
                    "--mount",
                    "--net",
                    "--pid",
                    "--fork",
                    "--kill-child",
                    "--mount-proc",
                    "/bin/sh",
                ]);
                command.env("SOAK_NET", "1");
                command
            }
            None => Command::new("/bin/sh"),
        };
        let stop = me.with_file_name(format!("soak-{}.stop", std::process::id()));
        command
            .args(["-c", SHELL, "soak"])
            .arg(me)
            .args(std::env::args_os().skip(1))
            .env(INSIDE, stop)
            .env(BUILT, built);
        let why = command.exec();
        say(&format!("soak: {why}"));
        ExitCode::from(2)
    }

    fn wish(mut words: impl Iterator<Item = String>) -> Result<Wish, String> {
        let mut wish = Wish {
            seed: 1,
            length: Duration::from_secs(600),
            services: 30,
            has_own_disk: std::env::var_os("SOAK_NET").is_some(),
            stop: std::env::var_os(INSIDE).map(Into::into),
        };
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("{flag} stands alone"))?;
            let wrong = || format!("{flag} {value}: no such number");
            match flag.as_str() {
                "--seed" => wish.seed = value.parse().map_err(|_| wrong())?,
                "--services" => {
                    wish.services = value.parse().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(wrong)?
                }
                "--minutes" => {
                    let minutes = value.parse::<f64>().ok().filter(|n| (0.1..=100_000.0).contains(n));
                    wish.length = Duration::from_secs_f64(minutes.ok_or_else(wrong)? * 60.0);
                }
                _ => return Err(format!("{flag}: no such flag")),
            }
        }
        Ok(wish)
    }

    fn say(words: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{words}");
    }
}
