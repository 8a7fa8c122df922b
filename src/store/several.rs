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

/// `insert`, which has the values of one row, with those of sixteen: one statement for the database, and one answer.
/// For a text that is made once and kept.
pub(super) fn several_rows(insert: &'static str) -> &'static str {
    let Some((before, values)) = insert.split_once("VALUES ") else { return several(insert) };
    let Some((row, after)) = values.split_once(')') else { return several(insert) };
    let count = parameters(row).count();
    let rows = (0..SEVERAL).map(|time| {
        let numbers = (1..=count).map(|number| format!("${}", number + time * count));
        format!("({})", numbers.collect::<Vec<_>>().join(", "))
    });
    format!("{before}VALUES {}{after}", rows.collect::<Vec<_>>().join(", ")).leak()
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

    #[test]
    fn an_insert_has_sixteen_rows() {
        let text = several_rows("INSERT INTO a (b, c) VALUES ($1, $2) ON CONFLICT (b) DO NOTHING");
        assert!(text.starts_with("INSERT INTO a (b, c) VALUES ($1, $2), ($3, $4), "), "{text}");
        assert!(text.ends_with(", ($31, $32) ON CONFLICT (b) DO NOTHING"), "{text}");
    }
}
