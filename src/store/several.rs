//! The same statement for several rows in one go.
//!
//! SQLite runs on a thread of its own, and every question costs a way there and back: more than the work itself for a
//! row that is only written. So its statements are asked sixteen at a time, as one text with the parameters of all.
//! PostgreSQL takes one statement at a time.

use super::Store;

/// How many at a time.
const SEVERAL: usize = 16;

/// `statement` sixteen times, each with parameters of its own: the second begins where those of the first end. For a
/// text that is made once and kept.
pub(super) fn several(statement: &'static str) -> &'static str {
    let count = parameters(statement).map(|(number, _)| number).max().unwrap_or(0);
    let texts = (0..SEVERAL).map(|time| {
        let mut text = String::with_capacity(statement.len() + 16);
        let mut parts = statement.split('$');
        text.push_str(parts.next().unwrap_or_default());
        for (number, rest) in parameters(statement) {
            text.push_str(&format!("${}{rest}", number + time * count));
        }
        text
    });
    texts.collect::<Vec<_>>().join(";\n").leak()
}

/// The number behind each `$`, and what follows it up to the next.
fn parameters(statement: &str) -> impl Iterator<Item = (usize, &str)> {
    statement.split('$').skip(1).map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        (number.parse().unwrap_or(0), rest)
    })
}

impl Store {
    /// Rows and the statement for them, in order: `together` for sixteen, `one` for what is left.
    pub(super) fn portions<'r, T>(
        &self,
        rows: &'r [T],
        one: &'static str,
        together: &'static str,
    ) -> impl Iterator<Item = (&'static str, &'r [T])> + use<'r, T> {
        let alone = if self.is_shared() { rows.len() } else { rows.len() % SEVERAL };
        let (most, rest) = rows.split_at(rows.len() - alone);
        most.chunks(SEVERAL)
            .map(move |rows| (together, rows))
            .chain(rest.chunks(1).map(move |row| (one, row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_has_parameters_of_its_own() {
        let text = several("UPDATE a SET b = $2, c = CASE WHEN c > $2 THEN c ELSE $10 END WHERE id = $1");
        let mut times = text.split(";\n");
        assert_eq!(
            times.next().unwrap(),
            "UPDATE a SET b = $2, c = CASE WHEN c > $2 THEN c ELSE $10 END WHERE id = $1"
        );
        assert_eq!(
            times.next().unwrap(),
            "UPDATE a SET b = $12, c = CASE WHEN c > $12 THEN c ELSE $20 END WHERE id = $11"
        );
        assert_eq!(times.count(), SEVERAL - 2);
    }
}
