//! The macros inside transcript lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The bytes that `text` stands for, without a line end.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from_brace) = rest.split_at(open);
        out.extend_from_slice(before.as_bytes());
        match from_brace.find('}').and_then(|end| Some((end, expand(&from_brace[1..end])?))) {
            Some((end, expanded)) => {
                out.extend_from_slice(&expanded);
                rest = &from_brace[end + 1..];
            }
            None => {
                out.push(b'{');
                rest = &from_brace[1..];
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// The bytes of a line: with CRLF, unless it says `{no-crlf}` at its end.
pub(crate) fn line(text: &str) -> Vec<u8> {
    match text.strip_suffix("{no-crlf}") {
        Some(text) => bytes(text),
        None => [bytes(text), b"\r\n".to_vec()].concat(),
    }
}

fn expand(name: &str) -> Option<Vec<u8>> {
    if let Some(hex) = name.strip_prefix("0x") {
        let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
        return Some(
            digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect(),
        );
    }
    if let Some(text) = name.strip_prefix("b64:") {
        return Some(STANDARD.encode(text).into_bytes());
    }
    if let Some(fields) = name.strip_prefix("plain:") {
        let fields: Vec<&str> = fields.split(':').collect();
        let (authzid, user, password) = match fields[..] {
            [user, password] => ("", user, password),
            [authzid, user, password] => (authzid, user, password),
            _ => return None,
        };
        return Some(STANDARD.encode(format!("{authzid}\0{user}\0{password}")).into_bytes());
    }
    if let Some((unit, count)) = name.rsplit_once('*') {
        return Some(unit.repeat(count.parse().ok()?).into_bytes());
    }
    match name {
        "cr" => Some(b"\r".to_vec()),
        "lf" => Some(b"\n".to_vec()),
        "nul" => Some(b"\0".to_vec()),
        "sp" => Some(b" ".to_vec()),
        "tab" => Some(b"\t".to_vec()),
        _ => None,
    }
}

/// Bytes as a person can read them, long runs cut.
pub(crate) fn show(bytes: &[u8]) -> String {
    let text: String =
        bytes.iter().take(400).flat_map(|b| std::ascii::escape_default(*b)).map(char::from).collect();
    let more = bytes.len().saturating_sub(400);
    if more > 0 { format!("{text}… and {more} bytes more") } else { text }
}

#[test]
fn macros_expand_and_other_braces_stay() {
    assert_eq!(bytes("a{3}{0x00ff}{ab*2}{sp}{"), b"a{3}\0\xffabab {");
    assert_eq!(line("{plain:u:p}"), b"AHUAcA==\r\n");
    assert_eq!(line("x{no-crlf}"), b"x");
}
