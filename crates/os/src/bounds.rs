//! What a system tells of the bounds of a tree: which limits it keeps, and how often one was hit. Setting and reading
//! them is the duty of `linux/bounds.rs` and its siblings.

/// Which limits of a tree are kept by the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounded {
    /// Its memory.
    pub memory: bool,
    /// Its CPU.
    pub cpu: bool,
}

/// What the kernel has counted of a tree since its leaf was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OomCount {
    /// So often its own memory limit left it nothing to go on with.
    pub hits: u64,
    /// So many of its processes were killed for want of memory, be it its own limit or the machine's.
    pub kills: u64,
}

impl OomCount {
    /// Whether processes were killed since `before`, for the tree's own limit: not because the machine was full.
    pub fn is_over_since(self, before: OomCount) -> bool {
        self.hits > before.hits && self.kills > before.kills
    }
}
