//! The one place that prints results.
//!
//! Text that came from clients or from the database is shown with its control characters spelled out, so
//! that no mail client's name can steer an administrator's terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;

use super::failure::Failure;

/// Writes to stdout.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match reveal(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::PipeClosed.into()),
        other => Ok(other?),
    }
}

/// Writes to stdout what is shown once and kept nowhere: that nobody reads it is a failure like any other. It
/// is on its way when this returns, and waits in no buffer.
pub(super) fn reveal(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints a line.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    print(&format!("{text}\n"))
}

/// Prints records for programs: one JSON value, indented.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&json_text(value)?)
}

/// The text of that.
pub(super) fn json_text(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n")
}

/// Prints one record for programs that read line by line.
pub(super) fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// Columns of text, each as wide as its widest cell.
pub(super) struct Table {
    indent: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With a heading over each column.
    pub(super) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self { indent: 0, rows: vec![headings.map(str::to_owned).to_vec()] }
    }

    /// Names and values, without headings.
    pub(super) fn of_pairs() -> Self {
        Self { indent: 2, rows: vec![] }
    }

    /// Without the column under `heading`: all its cells would say what was asked for.
    pub(super) fn without(mut self, heading: &str) -> Self {
        let place = self.rows.first().and_then(|row| row.iter().position(|cell| cell == heading));
        if let Some(place) = place {
            for row in &mut self.rows {
                row.remove(place);
            }
        }
        self
    }

    /// The rows alone.
    pub(super) fn without_headings(mut self) -> Self {
        self.rows.remove(0);
        self
    }

    /// Moved to the right.
    pub(super) fn indented(mut self) -> Self {
        self.indent = 2;
        self
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| visible(&cell)).to_vec());
    }

    /// The lines, without blanks at their ends.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows.iter().filter_map(|row| row.get(column)).map(|c| width(c)).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(self.indent);
            for (cell, widest) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell}{}  ", " ".repeat(widest.saturating_sub(width(cell))));
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// The text with control and direction characters spelled out.
pub(super) fn visible(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::new(), |mut shown, c| {
        if steers(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// How many columns of a terminal the text takes: Chinese, Japanese and Korean characters and most pictures
/// take two, marks that combine with another character none (Unicode Standard Annex 11).
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match c {
            c if unicode_normalization::char::is_combining_mark(c) => 0,
            '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
            '\u{1100}'..='\u{115f}'
            | '\u{2e80}'..='\u{303e}'
            | '\u{3041}'..='\u{a4cf}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}'
            | '\u{ff00}'..='\u{ff60}'
            | '\u{ffe0}'..='\u{ffe6}'
            | '\u{1f300}'..='\u{1f64f}'
            | '\u{1f680}'..='\u{1f6ff}'
            | '\u{1f900}'..='\u{1f9ff}'
            | '\u{20000}'..='\u{3fffd}' => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_under_chinese_names() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["手机邮箱".into(), "active".into()]);
        table.row(["iPhone".into(), "active".into()]);
        assert_eq!(table.render(), "NAME      STATE\n手机邮箱  active\niPhone    active\n");
    }

    #[test]
    fn a_column_goes_with_its_heading() {
        let mut table = Table::new(["TIME", "ACCOUNT", "OUTCOME"]);
        table.row(["now".into(), "anna@example.org".into(), "refused".into()]);
        let table = table.without("ACCOUNT").without("NO SUCH COLUMN");
        assert_eq!(table.render(), "TIME  OUTCOME\nnow   refused\n");
    }

    #[test]
    fn a_clients_name_cannot_steer_the_terminal() {
        assert_eq!(visible("a\x1b[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
        assert_eq!(visible("手机 é"), "手机 é");
    }
}
