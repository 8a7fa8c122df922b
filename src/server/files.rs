//! Notices that files were changed: the configuration, and whatever it names.
//!
//! They are looked at every other second, because that sees every way of changing a file alike: written in place,
//! renamed over, a link in the path turned to another folder, on a network's disk. A change counts once it has come to
//! rest, so that a certificate and its key, written one after the other, are one change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// A change is noticed after one to two of these; one `stat` for each file is all that it costs.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files that are looked at.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// As they were when somebody last cared.
    known: Vec<Mark>,
    /// As they were at the last look.
    seen: Vec<Mark>,
    looks: Interval,
}

/// What tells one state of a file from another; `None` while it cannot be looked at.
type Mark = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// A file, and how it was when somebody was about to read it.
#[derive(Clone)]
pub(super) struct Marked {
    path: PathBuf,
    mark: Mark,
}

impl Marked {
    /// As the file is now.
    pub(super) fn now(path: PathBuf) -> Self {
        let mark = mark_of(&path);
        Self { path, mark }
    }

    /// One that is watched already: what is known of it stays.
    pub(super) fn watched(path: PathBuf) -> Self {
        Self { path, mark: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Files {
    /// Looks at these from now on.
    pub(super) fn watch(files: Vec<Marked>) -> Self {
        Self::watch_every(LOOK_EVERY, files)
    }

    fn watch_every(period: Duration, files: Vec<Marked>) -> Self {
        let mut looks = interval(period);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (paths, known): (_, Vec<_>) = files.into_iter().map(|file| (file.path, file.mark)).unzip();
        Self { seen: known.clone(), known, paths, looks }
    }

    /// Looks at these instead. What changed of those that are watched already still counts, and of others what changed since
    /// they were marked.
    pub(super) fn watch_instead(&mut self, files: Vec<Marked>) {
        let watched = |Marked { path, mark }: Marked| {
            let before = self.paths.iter().position(|before| *before == path);
            let mark = before.map_or(mark, |place| self.known.get(place).copied().flatten());
            (path, mark)
        };
        let (paths, known): (_, Vec<_>) = files.into_iter().map(watched).unzip();
        (self.seen, self.known, self.paths) = (known.clone(), known, paths);
    }

    /// Returns when one of them has changed and come to rest. May be dropped and called again.
    pub(super) async fn changed(&mut self) {
        loop {
            self.looks.tick().await;
            let now = marks(&self.paths).await;
            if now != self.known && now == self.seen {
                self.known = now;
                return;
            }
            self.seen = now;
        }
    }

    /// What they are like now is known: somebody is about to read them.
    pub(super) async fn note(&mut self) {
        self.known = marks(&self.paths).await;
    }
}

async fn marks(paths: &[PathBuf]) -> Vec<Mark> {
    let paths = paths.to_vec();
    let look = move || paths.iter().map(|path| mark_of(path)).collect();
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

fn mark_of(path: &Path) -> Mark {
    std::fs::metadata(path).ok().map(|metadata| mark(&metadata))
}

fn mark(file: &Metadata) -> (u64, u64, u64, i64, i64, i64, i64) {
    let (changed, nanos) = (file.ctime(), file.ctime_nsec());
    (file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec(), changed, nanos)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::timeout;

    use super::*;

    const OFTEN: Duration = Duration::from_millis(20);

    fn watch(paths: Vec<PathBuf>) -> Files {
        Files::watch_every(OFTEN, paths.into_iter().map(Marked::now).collect())
    }

    /// Whether a change is noticed.
    async fn notices(files: &mut Files) -> bool {
        timeout(Duration::from_secs(60), files.changed()).await.is_ok()
    }

    /// Whether none is within a few looks.
    async fn sees_nothing(files: &mut Files) -> bool {
        timeout(OFTEN * 15, files.changed()).await.is_err()
    }

    #[tokio::test]
    async fn a_file_written_renamed_over_or_behind_another_link_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (name, folder) in [("a", "one"), ("b", "two")] {
            fs::create_dir(path(folder)).unwrap();
            fs::write(path(folder).join("cert.pem"), name).unwrap();
        }
        std::os::unix::fs::symlink("one", path("live")).unwrap();
        fs::write(path("file"), "1").unwrap();
        let mut files = watch(vec![path("file"), path("live/cert.pem"), path("absent")]);
        assert!(sees_nothing(&mut files).await);
        fs::write(path("file"), "12").unwrap();
        assert!(notices(&mut files).await, "written");
        assert!(sees_nothing(&mut files).await, "once");
        fs::write(path("new"), "34").unwrap();
        fs::rename(path("new"), path("file")).unwrap();
        assert!(notices(&mut files).await, "renamed over");
        std::os::unix::fs::symlink("two", path("next")).unwrap();
        fs::rename(path("next"), path("live")).unwrap();
        assert!(notices(&mut files).await, "another link");
        fs::write(path("absent"), "here").unwrap();
        assert!(notices(&mut files).await, "there at last");
        fs::remove_file(path("file")).unwrap();
        assert!(notices(&mut files).await, "gone");
    }

    #[tokio::test]
    async fn what_somebody_read_already_is_no_change_and_what_changed_before_another_list_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "1").unwrap();
        let mut files = watch(vec![path("file")]);
        fs::write(path("file"), "12").unwrap();
        files.note().await;
        assert!(sees_nothing(&mut files).await);
        fs::write(path("file"), "123").unwrap();
        files.watch_instead(vec![Marked::now(path("other")), Marked::now(path("file"))]);
        assert!(notices(&mut files).await);
        let marked = Marked::now(path("third"));
        fs::write(path("third"), "1").unwrap();
        files.watch_instead(vec![marked]);
        assert!(notices(&mut files).await, "between the mark and the watch");
    }
}
