//! Where a trail is kept, in words: the gates of one database tell their chains apart by it, and people learn
//! where to look.

use std::path::Path;

/// `machine:directory`. What it is compared with stands under a MAC, so it need not be proof of anything: a
/// machine that is renamed only takes its older chains for somebody else's once their files are gone.
pub(super) fn of(directory: &Path) -> String {
    // Asked of the kernel: under the unit (`ProcSubset=pid`) there is no /proc/sys to read it from.
    let machine = rustix::system::uname();
    format!("{}:{}", machine.nodename().to_string_lossy(), directory.display())
}
