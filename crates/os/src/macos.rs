//! macOS: the sibling of `linux.rs`, with the same functions and no mechanism yet. What will take the place of what:
//! proc_pidinfo for /proc, kqueue for pidfd (EVFILT_PROC) and signalfd (EVFILT_SIGNAL); no subreaper and no cgroup, so
//! a tree is its session, a snapshot of parents, and the cookie. flock(2) is inherited, so a claim works as on Linux.

crate::unbuilt::unbuilt! {
    system: "macOS",
    identity: "process identity needs proc_pidinfo",
    handle: "process events need kqueue EVFILT_PROC",
    leaf: "there are no cgroups, a tree is held by its session",
    notify: "who sent a datagram needs a connected socket, there is no SO_PASSCRED",
    signals: "signals as events need kqueue EVFILT_SIGNAL",
    spawn: "starting a program needs a fork without clone3 and close_range",
    tree: "a tree without a subreaper needs its session, a snapshot of parents and the cookie",
    changes: "watching folders needs kqueue EVFILT_VNODE, and the clock a notification of its own",
    ports: "the owners of a port need proc_pidfdinfo",
}
