//! neomutt: sends from the command line; fetches on a terminal of its own, where keys pushed in its configuration pipe
//! all messages into files and leave.

use std::fmt::Write as _;

use super::task::{BODY, HOST, Outcome, Task, messages_in, outcome};
use crate::support::Mail;

pub(super) fn run(task: &Task) -> Outcome {
    let ca = task.ca();
    let mut config = format!(
        "set ssl_force_tls=yes\nset ssl_starttls=yes\nset ssl_verify_host=yes\nset certificate_file=\"{ca}\"\nset \
         ssl_ca_certificates_file=\"{ca}\"\nset from=\"{}\"\nset realname=\"\"\nset copy=no\nset quit=yes\nset \
         sleep_time=0\nset wait_key=no\nset pipe_decode=no\nset pipe_split=yes\n",
        task.user
    );
    match task.door.mail {
        Mail::Imap => fetch(task, config, "imap", "imap", "INBOX", task.mechanism),
        // What it calls `user` is USER and PASS.
        Mail::Pop3 => {
            let way = if task.mechanism == "login" { "user" } else { task.mechanism };
            fetch(task, config, "pop", "pop", "", way)
        }
        Mail::Smtp => {
            let _ = writeln!(config, "set smtp_url=\"{}\"", url(task, "smtp", ""));
            let _ = writeln!(config, "set smtp_pass=\"{}\"", task.password);
            let _ = writeln!(config, "set smtp_authenticators=\"{}\"", task.mechanism);
            let _ = writeln!(config, "set use_envelope_from=yes");
            let config = task.file("neomuttrc", &config);
            let command = ["neomutt", "-n", "-F", &config, "-s", &task.letter.subject, "--", &task.user];
            outcome(&task.run(&command, BODY), |_| Vec::new())
        }
    }
}

fn fetch(task: &Task, mut config: String, name: &str, scheme: &str, folder: &str, way: &str) -> Outcome {
    let place = task.folder("mail");
    let _ = writeln!(config, "set {name}_pass=\"{}\"", task.password);
    let _ = writeln!(config, "set {name}_authenticators=\"{way}\"");
    let _ = writeln!(
        config,
        "push \"<tag-pattern>~A<enter><tag-prefix><pipe-message>cat >$(mktemp {place}/XXXXXX)<enter><exit>\""
    );
    let config = task.file("neomuttrc", &config);
    let neomutt = format!("neomutt -n -F {config} -f {}", url(task, scheme, folder));
    let typescript = task.directory.join("typescript").display().to_string();
    let command = ["script", "--quiet", "--return", "--echo", "never", "--command", &neomutt, &typescript];
    let ended = task.run(&command, "");
    // It stays on its feet when it cannot log in, and leaves as told.
    let messages = messages_in(&task.directory.join("mail"));
    if messages.is_empty() {
        Err(format!("{}{}", ended.stdout, ended.stderr))
    } else {
        outcome(&ended, |_| messages)
    }
}

fn url(task: &Task, scheme: &str, folder: &str) -> String {
    let s = if task.door.implicit_tls { "s" } else { "" };
    format!("{scheme}{s}://{}@{HOST}:{}/{folder}", task.user.replace('@', "%40"), task.port)
}
