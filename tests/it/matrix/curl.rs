//! curl: its configuration comes on standard input, so that no secret stands on a command line.

use super::task::{HOST, Outcome, Task, outcome};
use crate::support::Mail;

pub(super) fn run(task: &Task) -> Outcome {
    // What is to be fetched is named by number: the mailbox holds one message.
    let what = match task.door.mail {
        Mail::Imap => "INBOX;MAILINDEX=1",
        Mail::Pop3 => "1",
        Mail::Smtp => "client.test",
    };
    let mut config = vec![
        format!("url = \"{}://{HOST}:{}/{what}\"", task.door.scheme(), task.port),
        format!("user = \"{}:{}\"", task.user, task.password),
        format!("login-options = \"AUTH={}\"", task.mechanism.to_uppercase()),
        format!("cacert = \"{}\"", task.ca()),
        "ssl-reqd\nsilent\nshow-error\nverbose\nmax-time = 60".to_owned(),
    ];
    if task.door.mail == Mail::Smtp {
        let letter = task.file("letter", &task.letter.whole());
        config.push(format!("mail-from = \"{}\"", task.user));
        config.push(format!("mail-rcpt = \"{}\"", task.user));
        config.push(format!("upload-file = \"{letter}\""));
    }
    let ended = task.run(&["curl", "--disable", "--config", "-"], &config.join("\n"));
    outcome(&ended, |ended| match task.door.mail {
        Mail::Imap | Mail::Pop3 => vec![ended.stdout.clone()],
        Mail::Smtp => Vec::new(),
    })
}
