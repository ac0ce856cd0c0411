//! Windows: the sibling of `linux.rs`, with the same functions and no mechanism yet. What will take the place of what:
//! a Job Object (kill on close, no breakaway) for the tree; a named mutex of the guard for the claim, as file locks are
//! not inherited; named pipes for links; and for the polite stop CREATE_NO_WINDOW without CREATE_NEW_PROCESS_GROUP and
//! a process that attaches to the child's console to send CTRL_C. Pids are reused at once: names must be random.

crate::unbuilt::unbuilt! {
    system: "Windows",
    identity: "process identity needs OpenProcess and GetProcessTimes",
    handle: "process events need a wait for the process handle",
    leaf: "a tree needs a Job Object instead of a cgroup",
    notify: "sd_notify is spoken over a Unix socket",
    signals: "the polite stop needs a process that sends CTRL_C to the child's console",
    spawn: "starting a program needs CreateProcess into a Job Object",
    tree: "a tree needs a Job Object, kill on close and no breakaway",
    changes: "watching folders needs ReadDirectoryChangesW, and the clock WM_TIMECHANGE",
    ports: "the owners of a port need GetExtendedTcpTable",
}
