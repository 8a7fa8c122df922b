//! Disks that can be full, or fail.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::support::run;

/// A small disk in memory, mounted until dropped.
pub(crate) struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    /// Mounts one of that size (`4m`) at `path`, which is made.
    pub(crate) fn mount(path: &Path, size: &str) -> Self {
        fs::create_dir_all(path).expect("a mount point");
        let options = format!("size={size},mode=700");
        run("mount", &["-t", "tmpfs", "-o", &options, "faults", &text(path)], "").success();
        Self { path: path.to_owned() }
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) -> Filled {
        let path = self.path.join("filler");
        let mut file = File::create(&path).expect("a file that fills the disk");
        for size in [64 * 1024, 4096, 1] {
            while file.write(&vec![0; size]).is_ok_and(|written| written > 0) {}
        }
        Filled { path }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

/// What fills a disk, until dropped.
pub(crate) struct Filled {
    path: PathBuf,
}

impl Drop for Filled {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A disk that becomes read-only by itself when an error is found on it, as those of servers do.
pub(crate) struct Ext4 {
    image: PathBuf,
    path: PathBuf,
}

impl Ext4 {
    /// Makes one, and mounts it at `path`, which is made; its image is beside it.
    pub(crate) fn mount(path: &Path) -> Self {
        let image = path.with_extension("image");
        File::create(&image).and_then(|file| file.set_len(24 << 20)).expect("an image of a disk");
        run("mkfs.ext4", &["-q", "-E", "nodiscard", &text(&image)], "").success();
        let disk = Self { image, path: path.to_owned() };
        disk.mount_again();
        disk
    }

    fn mount_again(&self) {
        fs::create_dir_all(&self.path).expect("a mount point");
        run("mount", &["-o", "loop,errors=remount-ro", &text(&self.image), &text(&self.path)], "").success();
    }

    /// The kernel finds an error: from now on nothing can be written.
    pub(crate) fn fail(&self) {
        let device = run("findmnt", &["-no", "SOURCE", &text(&self.path)], "").success();
        let device = device.trim().trim_start_matches("/dev/");
        fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "a test wants it so").expect("an error");
        assert!(fs::write(self.path.join("probe"), "x").is_err(), "it can be written still");
    }

    /// What an administrator does when nobody uses it.
    pub(crate) fn repair(&self) {
        run("umount", &[&text(&self.path)], "").success();
        let checked = run("fsck.ext4", &["-p", &text(&self.image)], "");
        assert!(checked.status <= 1, "{checked:?}");
        self.mount_again();
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

/// Not with `run`: a panic while a test fails already would hide its reason.
fn unmount(path: &Path) {
    let _ = std::process::Command::new("umount").arg("--lazy").arg(path).status();
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
