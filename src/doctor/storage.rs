//! Database, audit trail, and the room that they have.

use std::path::Path;

use super::{Area, Mark, Report};
use crate::base::SiteKey;
use crate::base::key::Purpose;
use crate::config::{Config, Database};
use crate::store::{Look, look as look_at, look_at_key_check};

const AREA: Area = Area::Storage;

/// Below this somebody should look, and below that there may be no room for the next day.
const ROOM_SOON: u64 = 2 << 30;
const ROOM_LEAST: u64 = 256 << 20;

pub(super) async fn look(config: &Config, report: &mut Report) {
    let subject = config.database.to_string();
    match look_at(&config.database).await {
        Ok(Look::Current) => {
            report.good(AREA, subject.as_str(), format!("answers, and has all tables{}", size(config)));
            look_at_key(config, subject, report).await;
        }
        Ok(Look::Absent) if config.server.key_file().exists() => report.wrong(
            AREA,
            subject,
            "is missing, and the key file was used with one",
            "put it back, or restore it from a backup; to begin anew, with nobody's second factor, move the key file away, too",
        ),
        Ok(Look::Absent) => report.good(AREA, subject, "is not there yet: the first start makes it"),
        Ok(Look::Behind(count)) => {
            report.good(AREA, subject, format!("answers; {count} migrations come with the next start"));
        }
        Ok(Look::Ahead) => report.wrong(
            AREA,
            subject,
            "was used by a newer version of this program",
            "install that version again, here and on every other gate of this database",
        ),
        Err(error) => report.failure(AREA, subject, &error),
    }
    let mut places = vec![("the audit trail", &config.audit.directory)];
    if config.server.data_dir != config.audit.directory {
        places.push(("the data directory", &config.server.data_dir));
    }
    for (what, directory) in places {
        tell_room(what, directory, report);
    }
}

/// Whether the key file and the database belong together.
async fn look_at_key(config: &Config, subject: String, report: &mut Report) {
    let key = config.server.key_file();
    // One that cannot be read is told of with the other files.
    let Some(Ok(own)) = key.exists().then(|| SiteKey::open_or_create(&key)) else { return };
    match look_at_key_check(&config.database).await {
        Ok(Some(check)) if !own.verify(Purpose::KeyCheck, &[], &check) => report.wrong(
            AREA,
            subject,
            format!("the key file `{}` is not the one that the database was used with", key.display()),
            "restore the one, or the other: all gates on one database need copies of the same key file",
        ),
        Ok(_) => {}
        Err(error) => report.failure(AREA, subject, &error),
    }
}

fn size(config: &Config) -> String {
    let Database::Sqlite(path) = &config.database else { return String::new() };
    std::fs::metadata(path).map_or_else(|_| String::new(), |file| format!("; {}", amount(file.len())))
}

fn tell_room(what: &str, directory: &Path, report: &mut Report) {
    let subject = directory.display().to_string();
    // What is not there yet will be made below what is.
    let Some(there) = directory.ancestors().find(|folder| folder.is_dir()) else { return };
    let Ok(disk) = rustix::fs::statvfs(there) else {
        report.doubtful(
            AREA,
            subject,
            format!("how much room {what} has cannot be told"),
            "look with `df -h`",
        );
        return;
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let found = format!("{what} has {} of room", amount(free));
    let mark = match free {
        ROOM_SOON.. => Mark::Good,
        ROOM_LEAST.. => Mark::Doubtful,
        _ => Mark::Wrong,
    };
    let hint = (mark != Mark::Good).then(|| {
        "make room, or nobody gets in once no record can be written (`when_full` of `[audit]`)".to_owned()
    });
    report.add(AREA, mark, subject, found, hint);
}

fn amount(bytes: u64) -> String {
    match bytes {
        0x4000_0000.. => format!("{} GiB", bytes >> 30),
        0x10_0000.. => format!("{} MiB", bytes >> 20),
        _ => format!("{} KiB", bytes >> 10),
    }
}
