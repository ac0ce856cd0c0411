//! The puppet: a child of soloist that obeys or disobeys as its flags say. All of it is in `e2e::puppet`.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    e2e::puppet::act()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(2)
}
