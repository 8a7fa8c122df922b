//! What a peer said, made fit for a log line, an audit record or a protocol line.

/// `bytes` as text of at most `max` characters: what is not UTF-8 is replaced, control characters become
/// blanks, blanks at either end go.
#[must_use]
pub fn printable(bytes: &[u8], max: usize) -> String {
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .take(max)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_peers_text_can_end_a_line_or_outgrow_its_place() {
        assert_eq!(printable(b" a\r\nb\0\xffc ", 200), "a  b \u{fffd}c");
        assert_eq!(printable("密码密码".as_bytes(), 3), "密码密");
    }
}
