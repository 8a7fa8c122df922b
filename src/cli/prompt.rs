//! Asking whoever sits at the terminal. Questions go to stderr, so that they never mix with results.

use std::io::{self, BufRead, IsTerminal, Read, Write as _};

use zeroize::Zeroizing;

use super::failure::Failure;
use crate::base::Password;
use crate::base::secret::PASSWORD_MAX;

/// Whether somebody can be asked.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line; an empty one means `default`.
pub(super) fn line(question: &str, default: Option<&str>) -> anyhow::Result<String> {
    let mut stderr = io::stderr().lock();
    match default {
        Some(default) => write!(stderr, "{question} [{default}]: ")?,
        None => write!(stderr, "{question}: ")?,
    }
    stderr.flush()?;
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer)? == 0 {
        anyhow::bail!("no answer: the input has ended");
    }
    let answer = answer.trim();
    Ok(if answer.is_empty() { default.unwrap_or_default() } else { answer }.to_owned())
}

/// Asks for a password without showing it.
pub(super) fn password(question: &str) -> anyhow::Result<Password> {
    let typed = rpassword::prompt_password(format!("{question}: "))
        .map_err(|error| anyhow::Error::from(error).context("cannot ask for the password"))?;
    Ok(Password::new(typed.into_bytes())?)
}

/// The first line of stdin as a password, without its line end.
pub(super) fn password_from_stdin() -> anyhow::Result<Password> {
    // room for the longest password and its line end, so that the buffer never moves and leaves no copy
    let room = PASSWORD_MAX + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    io::stdin().lock().take(room as u64).read_to_end(&mut bytes)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Password::new(line.to_vec())
        .map_err(|error| Failure::usage(format!("the first line of stdin is no password: {error}")))
}
