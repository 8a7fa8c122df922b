//! The same statement for several rows in one go.
//!
//! Every question costs a way there and back, to a thread or over a network: more than the work itself for a row that is only
//! written. One statement with the values of many rows goes to both databases. Many statements in one text, with the
//! parameters of all, go to SQLite alone: PostgreSQL takes one at a time.

use super::Store;

/// How many statements are in one text.
const STATEMENTS: usize = 16;

/// A text for so many rows at once, each with parameters of its own, one behind the other.
pub(super) struct Together {
    rows: usize,
    text: &'static str,
    is_one_statement: bool,
}

/// `statement` sixteen times: the parameters of the second begin where those of the first end. For a text that is made once
/// and kept.
pub(super) fn several(statement: &'static str) -> Together {
    let text = repeated(statement, ";\n", STATEMENTS).leak();
    Together { rows: STATEMENTS, text, is_one_statement: false }
}

/// `begin`, then `row` for each of so many rows with `between` between them, and `end`. For a text that is made once and kept.
pub(super) fn one_for(rows: usize, begin: &str, row: &str, between: &str, end: &str) -> Together {
    let text = format!("{begin}{}{end}", repeated(row, between, rows)).leak();
    Together { rows, text, is_one_statement: true }
}

/// `part` so many times, with parameters of its own each time.
fn repeated(part: &str, between: &str, times: usize) -> String {
    let count = parameters(part).map(|(number, _)| number).max().unwrap_or(0);
    let parts = (0..times).map(|time| {
        let mut text = String::with_capacity(part.len() + 16);
        text.push_str(part.split('$').next().unwrap_or_default());
        for (number, rest) in parameters(part) {
            text.push_str(&format!("${}{rest}", number + time * count));
        }
        text
    });
    parts.collect::<Vec<_>>().join(between)
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
    /// Rows and the text for them, in order: those `together` that this database takes, the longest first, and `one` for
    /// each row that is left.
    pub(super) fn portions<'r, T>(
        &self,
        rows: &'r [T],
        one: &'static str,
        together: &[Together],
    ) -> Vec<(&'static str, &'r [T])> {
        let (mut portions, mut rest) = (Vec::new(), rows);
        for several in together.iter().filter(|several| several.is_one_statement || !self.is_shared()) {
            let chunks = rest.chunks_exact(several.rows);
            rest = chunks.remainder();
            portions.extend(chunks.map(|rows| (several.text, rows)));
        }
        portions.extend(rest.chunks(1).map(|row| (one, row)));
        portions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Scratch;

    #[test]
    fn each_time_has_parameters_of_its_own() {
        let text =
            several("UPDATE a SET b = $2, c = CASE WHEN c > $2 THEN c ELSE $10 END WHERE id = $1").text;
        let mut times = text.split(";\n");
        assert_eq!(
            times.next().unwrap(),
            "UPDATE a SET b = $2, c = CASE WHEN c > $2 THEN c ELSE $10 END WHERE id = $1"
        );
        assert_eq!(
            times.next().unwrap(),
            "UPDATE a SET b = $12, c = CASE WHEN c > $12 THEN c ELSE $20 END WHERE id = $11"
        );
        assert_eq!(times.count(), STATEMENTS - 2);
    }

    #[test]
    fn one_statement_has_the_values_of_many_rows() {
        let insert = one_for(3, "INSERT INTO a (b, c) VALUES ", "($1, $2)", ", ", " ON CONFLICT DO NOTHING");
        assert_eq!(
            insert.text,
            "INSERT INTO a (b, c) VALUES ($1, $2), ($3, $4), ($5, $6) ON CONFLICT DO NOTHING"
        );
    }

    #[tokio::test]
    async fn every_row_has_its_text_and_the_longest_come_first() {
        let directory = Scratch::new();
        let database = crate::config::Database::Sqlite(directory.path().join("mailward.db"));
        let sqlite = Store::open(&database).await.unwrap();
        let postgres =
            Store::Postgres(sqlx::PgPool::connect_lazy("postgres://nobody@localhost/none").unwrap());
        let together = [one_for(40, "", "a $1", " ", ""), several("b $1"), one_for(4, "", "c $1", " ", "")];
        let rows: Vec<_> = (0..40 + 16 + 4 + 2).collect();
        let portions = |store: &Store| {
            let portions = store.portions(&rows, "one", &together);
            assert_eq!(portions.iter().flat_map(|(_, rows)| *rows).copied().collect::<Vec<_>>(), rows);
            let letter = |text: &str| text.chars().next().unwrap();
            portions.iter().map(|(text, rows)| (letter(text), rows.len())).collect::<Vec<_>>()
        };
        assert_eq!(portions(&sqlite), [('a', 40), ('b', 16), ('c', 4), ('o', 1), ('o', 1)]);
        let fours = [('c', 4); 5];
        assert_eq!(portions(&postgres), [&[('a', 40)][..], &fours, &[('o', 1), ('o', 1)]].concat());
    }
}
