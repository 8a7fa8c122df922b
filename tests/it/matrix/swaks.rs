//! swaks, which verifies certificates by an authority in a file of its own.

use super::task::{HOST, Outcome, Task, outcome};

pub(super) fn run(task: &Task) -> Outcome {
    let letter = format!("@{}", task.file("letter", &task.letter.whole()));
    let (port, ca, mechanism) = (task.port.to_string(), task.ca(), task.mechanism.to_uppercase());
    let tls = if task.door.implicit_tls { "--tls-on-connect" } else { "--tls" };
    let command = [
        &["swaks", "--server", HOST, "--port", &port, tls, "--tls-verify", "--tls-ca-path", &ca][..],
        &["--ehlo", "client.test", "--from", &task.user, "--to", &task.user, "--data", &letter],
        &["--timeout", "60", "--auth", &mechanism, "--auth-user", &task.user, "--auth-password"],
    ];
    // It asks for what it is not told, one line each.
    outcome(&task.run(&command.concat(), &format!("{}\n", task.password)), |_| Vec::new())
}
