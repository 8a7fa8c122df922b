//! mbsync (isync): pulls the inbox into a Maildir.

use super::task::{HOST, Outcome, Task, messages_in, outcome};

pub(super) fn run(task: &Task) -> Outcome {
    let place = task.folder("mail");
    let tls = if task.door.implicit_tls { "IMAPS" } else { "STARTTLS" };
    let config = format!(
        "IMAPStore gate\nHost {HOST}\nPort {}\nUser {}\nPass \"{}\"\nSSLType {tls}\nSystemCertificates \
         no\nCertificateFile {}\nAuthMechs {}\n\nMaildirStore here\nPath {place}/\nInbox \
         {place}/INBOX\n\nChannel inbox\nFar :gate:\nNear :here:\nSync Pull\nCreate Near\nSyncState *\n",
        task.port,
        task.user,
        task.password,
        task.ca(),
        task.mechanism.to_uppercase(),
    );
    let config = task.file("mbsyncrc", &config);
    let ended = task.run(&["mbsync", "--config", &config, "--all"], "");
    // Unread messages are in one folder of a Maildir, the others in the other.
    let folders = ["new", "cur"].map(|folder| task.directory.join("mail/INBOX").join(folder));
    outcome(&ended, |_| folders.iter().flat_map(|folder| messages_in(folder)).collect())
}
