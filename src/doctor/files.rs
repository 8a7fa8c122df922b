//! Who may read and write what.
//!
//! Whoever owns `data_dir` is taken for the user who runs the gate; which further groups that user is in is not known
//! here, so a file that only such a group could open is doubtful.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Area, Report};
use crate::config::{Config, Database, UpstreamCredential};

const AREA: Area = Area::Files;

/// Whoever runs the gate.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Public,
    Secret,
}

pub(super) fn look(path: &Path, config: &Config, report: &mut Report) {
    let data_dir = &config.server.data_dir;
    let owner = match fs::metadata(data_dir) {
        Ok(metadata) => {
            look_at_data(config, &metadata, report);
            Some(User { uid: metadata.uid(), gid: metadata.gid() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let subject = data_dir.display().to_string();
            report.doubtful(
                AREA,
                subject,
                "the data directory is not there yet",
                "the first start makes it; where it was there before, restore it: it holds the key file",
            );
            None
        }
        Err(error) => {
            report.failure(AREA, data_dir.display().to_string(), &error);
            None
        }
    };
    let holds_password =
        matches!(&config.database, Database::Postgres(_)) && config.database.to_string().contains("***");
    let content = if holds_password { Content::Secret } else { Content::Public };
    look_at(path, "the configuration", content, owner, report);
    for files in &config.certificates {
        look_at(&files.cert, "a certificate", Content::Public, owner, report);
        look_at(&files.key, "a private key", Content::Secret, owner, report);
    }
    for upstream in &config.upstreams {
        if let UpstreamCredential::Master(master) = &upstream.credential {
            look_at(&master.password_file, "the master user's password", Content::Secret, owner, report);
        }
        let endpoints = [&upstream.imap, &upstream.pop3, &upstream.smtp];
        let mut roots: Vec<&PathBuf> =
            endpoints.into_iter().flatten().filter_map(|endpoint| endpoint.ca_file.as_ref()).collect();
        roots.dedup();
        for file in roots {
            look_at(file, "roots for an upstream", Content::Public, owner, report);
        }
    }
}

fn look_at_data(config: &Config, data_dir: &Metadata, report: &mut Report) {
    let directory = config.server.data_dir.display().to_string();
    let mode = mode(data_dir);
    if mode & 0o077 == 0 {
        report.good(AREA, directory.as_str(), "only its owner may enter the data directory");
    } else {
        let hint = format!("chmod 700 {directory}");
        report.doubtful(
            AREA,
            directory.as_str(),
            format!("others may enter the data directory (mode {mode:03o})"),
            hint,
        );
    }
    let key = config.server.key_file();
    let subject = key.display().to_string();
    match fs::metadata(&key) {
        Ok(metadata) if self::mode(&metadata) & 0o077 != 0 => {
            let found = format!("others may read the key file (mode {:03o})", self::mode(&metadata));
            report.wrong(
                AREA,
                subject.as_str(),
                found,
                format!("chmod 600 {subject}; who read it can open second factors"),
            );
        }
        Ok(metadata) if metadata.uid() != data_dir.uid() => report.wrong(
            AREA,
            subject.as_str(),
            "the key file belongs to another user than the data directory",
            format!("chown --reference={directory} {subject}"),
        ),
        Ok(_) => {
            report.good(AREA, subject, "only its owner may read the key file: is a copy kept elsewhere?");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => report.doubtful(
            AREA,
            subject,
            "the key file is not there yet",
            "the first start makes one; where the database was used before, restore it from the backup",
        ),
        Err(error) => report.failure(AREA, subject, &error),
    }
}

fn look_at(path: &Path, what: &str, content: Content, owner: Option<User>, report: &mut Report) {
    let subject = path.display().to_string();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            report.wrong(
                AREA,
                subject,
                format!("{what} cannot be read: {error}"),
                "correct the path, or who may enter its folders",
            );
            return;
        }
    };
    let mode = mode(&metadata);
    if content == Content::Secret && mode & 0o007 != 0 {
        let hint = format!("chmod 640 {subject}, with the group of the service");
        report.wrong(AREA, subject, format!("everybody may read {what} (mode {mode:03o})"), hint);
        return;
    }
    let Some(user) = owner else {
        report.good(AREA, subject, format!("{what} is there"));
        return;
    };
    match first_obstacle(path, user) {
        None => report.good(AREA, subject, format!("{what} can be read by who runs the gate")),
        Some(obstacle) => {
            let found = format!(
                "{what} cannot be opened by user {}, who owns the data directory: `{}` keeps them out",
                user.uid,
                obstacle.display()
            );
            let hint = "give the service's group leave to read it and to enter its folders; a further group of that user may have it already";
            report.doubtful(AREA, subject, found, hint);
        }
    }
}

/// The folder on the way, or the file itself, that `user` may not open.
fn first_obstacle(path: &Path, user: User) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    let mut way: Vec<&Path> = real.ancestors().collect();
    way.reverse();
    let (file, folders) = way.split_last()?;
    let may = |path: &Path, bit: u32| fs::metadata(path).is_ok_and(|metadata| user.may(bit, &metadata));
    let folder = folders.iter().find(|folder| !may(folder, 0o1));
    folder.or_else(|| (!may(file, 0o4)).then_some(file)).map(|path| path.to_path_buf())
}

impl User {
    fn may(self, bit: u32, metadata: &Metadata) -> bool {
        let shift = match (self.uid == metadata.uid(), self.gid == metadata.gid()) {
            _ if self.uid == 0 => return true,
            (true, _) => 6,
            (false, true) => 3,
            (false, false) => 0,
        };
        mode(metadata) >> shift & bit != 0
    }
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o777
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_on_the_way_may_keep_a_user_out_of_a_readable_file() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("live");
        fs::create_dir(&inner).unwrap();
        let file = inner.join("privkey.pem");
        fs::write(&file, "key").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        set(folder.path(), 0o755);
        set(&inner, 0o700);
        set(&file, 0o644);
        let own = fs::metadata(&file).unwrap();
        let other = User { uid: own.uid() + 1, gid: own.gid() + 1 };
        assert_eq!(first_obstacle(&file, other).unwrap(), fs::canonicalize(&inner).unwrap());
        set(&inner, 0o711);
        assert_eq!(first_obstacle(&file, other), None);
        set(&file, 0o640);
        assert_eq!(first_obstacle(&file, other).unwrap(), fs::canonicalize(&file).unwrap());
        assert_eq!(first_obstacle(&file, User { gid: own.gid(), ..other }), None, "its group");
    }
}
