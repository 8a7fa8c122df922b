//! The table as it is printed, what is missing in it, and the short form that the documentation shows.

use super::table::{CREDENTIALS, Cell, DOORS, Row, TABLE};
use super::{Done, asked_for};
use crate::support::in_repository;

/// One row for each client; in each column one mark for each credential.
pub(super) fn table(done: &[Done]) -> String {
    let mut reasons = Vec::new();
    let head =
        DOORS.map(|door| format!("{:<10}", door.scheme() + if door.implicit_tls { "" } else { "+tls" }));
    let mut lines = vec![format!("{:<12} {}", "", head.join(" "))];
    for row in &TABLE {
        let cells = row.cells.iter().zip(DOORS).map(|(cell, door)| {
            let reason = match cell {
                Cell::Runs if asked_for(row.client) => {
                    return (0..CREDENTIALS.len())
                        .map(|credential| match result(done, row, credential, door) {
                            Some(Ok(())) => '✓',
                            Some(Err(_)) => '✗',
                            None => '?',
                        })
                        .collect();
                }
                Cell::Runs => "not asked for",
                Cell::LeftOut(reason) => reason,
            };
            let number = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
                reasons.push(reason);
                reasons.len() - 1
            });
            format!("({})", number + 1)
        });
        let cells = cells.map(|cell: String| format!("{cell:<10}")).collect::<Vec<_>>();
        let took = done.iter().filter(|one| one.client == row.client).map(|one| one.took);
        let took = took.max().unwrap_or_default();
        lines.push(format!("{:<12} {} {:>5.1} s", row.client, cells.join(" "), took.as_secs_f32()));
    }
    let credentials = CREDENTIALS.map(|credential| credential.name).join(", ");
    lines.push(format!("marks: {credentials}; time: the slowest of the three; not run:"));
    lines.extend(reasons.iter().enumerate().map(|(index, reason)| format!("  ({}) {reason}", index + 1)));
    lines.join("\n")
}

/// What went wrong, and each cell that has neither a result nor a reason.
pub(super) fn problems(done: &[Done]) -> Vec<String> {
    let mut problems = Vec::new();
    for row in TABLE.iter().filter(|row| asked_for(row.client)) {
        for (door, cell) in DOORS.into_iter().zip(row.cells) {
            for (credential, name) in CREDENTIALS.iter().map(|credential| credential.name).enumerate() {
                let problem = match (cell, result(done, row, credential, door)) {
                    (Cell::Runs, Some(Ok(()))) => continue,
                    (Cell::LeftOut(reason), None) if !reason.is_empty() => continue,
                    (_, Some(Err(problem))) => problem,
                    (Cell::Runs, None) => "it did not run",
                    (Cell::LeftOut(_), None) => "no reason is given",
                    (Cell::LeftOut(_), Some(Ok(()))) => "it ran, though it is left out",
                };
                problems.push(format!("{} at {} ({name}): {problem}", row.client, door.ports()));
            }
        }
    }
    problems
}

fn result<'d>(
    done: &'d [Done],
    row: &Row,
    credential: usize,
    door: super::Door,
) -> Option<Result<(), &'d str>> {
    let one = done.iter().find(|one| one.client == row.client && one.credential == credential)?;
    let (_, result) = one.doors.iter().find(|(known, _)| *known == door)?;
    Some(result.as_ref().copied().map_err(String::as_str))
}

/// The rows of the table in the documentation.
fn documented() -> String {
    let head = DOORS.map(|door| format!("{} {}", door.mail.name().to_uppercase(), door.ports()));
    let mut rows = TABLE.iter().collect::<Vec<_>>();
    rows.sort_by_key(|row| row.client.to_lowercase());
    let lines = rows.iter().map(|row| {
        let cells = row.cells.map(|cell| if matches!(cell, Cell::Runs) { "✓" } else { "–" });
        format!("| {} | {} |\n", row.client, cells.join(" | "))
    });
    format!("| client | {} |\n|---|---|---|---|---|---|---|\n{}", head.join(" | "), lines.collect::<String>())
}

#[test]
fn the_documentation_says_which_clients_are_tested() {
    let page = std::fs::read_to_string(in_repository("docs/users/clients.md")).expect("the page");
    let expected = documented();
    assert!(page.contains(&expected), "docs/users/clients.md does not have this table:\n\n{expected}");
}
