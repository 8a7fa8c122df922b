//! fetchmail: hands each message to a command, which keeps it in a file.

use super::task::{HOST, Outcome, Task, messages_in, outcome};

pub(super) fn run(task: &Task) -> Outcome {
    let place = task.folder("mail");
    // Without `ssl`, a version of TLS means that STARTTLS or STLS must come first.
    let tls = if task.door.implicit_tls { "ssl" } else { "sslproto tls1.2+" };
    let config = format!(
        "poll {HOST} service {} protocol {} user \"{}\" password \"{}\" is nobody here {tls} sslcertck sslcertfile \
         \"{}\" keep fetchall no rewrite mda \"cat >$(mktemp {place}/XXXXXX)\"\n",
        task.port,
        task.door.mail.name(),
        task.user,
        task.password,
        task.ca(),
    );
    let config = task.file("fetchmailrc", &config);
    // Both files it replaces and removes, as root too: they must be its own.
    let (identifiers, pid) = (task.directory.join("ids"), task.directory.join("pid"));
    let files = ["--idfile".as_ref(), identifiers.as_os_str(), "--pidfile".as_ref(), pid.as_os_str()];
    let command = ["fetchmail", "--verbose", "--nosyslog", "--fetchmailrc", &config].map(AsRef::as_ref);
    let ended = task.run(&[&command[..], &files].concat(), "");
    outcome(&ended, |_| messages_in(&task.directory.join("mail")))
}
