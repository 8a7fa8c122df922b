//! getmail (Debian's getmail6): hands each message to a command, which keeps it in a file.

use super::task::{HOST, Outcome, Task, messages_in, outcome};
use crate::support::Mail;

pub(super) fn run(task: &Task) -> Outcome {
    let place = task.folder("mail");
    let retriever = match task.door.mail {
        Mail::Imap => "SimpleIMAPSSLRetriever",
        Mail::Pop3 => "SimplePOP3SSLRetriever",
        Mail::Smtp => unreachable!("left out"),
    };
    let config = format!(
        "[retriever]\ntype = {retriever}\nserver = {HOST}\nport = {}\nusername = {}\npassword = {}\nca_certs = \
         {}\n[destination]\ntype = MDA_external\npath = /bin/sh\narguments = (\"-c\", \"cat >$(mktemp \
         {place}/XXXXXX)\")\nallow_root_commands = true\n[options]\nread_all = true\ndelete = false\ndelivered_to = \
         false\nreceived = false\n",
        task.port,
        task.user,
        task.password,
        task.ca(),
    );
    let config = task.file("getmailrc", &config);
    let state = task.folder("state");
    let ended = task.run(&["getmail", "--getmaildir", &state, "--rcfile", &config], "");
    // It ends with status 0 whatever came of it.
    let messages = messages_in(&task.directory.join("mail"));
    if messages.is_empty() {
        Err(format!("{}{}", ended.stdout, ended.stderr))
    } else {
        outcome(&ended, |_| messages)
    }
}
