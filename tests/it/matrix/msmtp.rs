//! msmtp, as other programs' `sendmail`.

use super::task::{HOST, Outcome, Task, outcome};

pub(super) fn run(task: &Task) -> Outcome {
    let config = format!(
        "account default\nhost {HOST}\nport {}\nauth {}\nuser {user}\npassword {}\nfrom {user}\ndomain \
         client.test\ntls on\ntls_starttls {}\ntls_trust_file {}\n",
        task.port,
        task.mechanism,
        task.password,
        if task.door.implicit_tls { "off" } else { "on" },
        task.ca(),
        user = task.user,
    );
    let config = task.file("msmtprc", &config);
    let ended = task.run(&["msmtp", "--file", &config, "--", &task.user], &task.letter.whole());
    outcome(&ended, |_| Vec::new())
}
