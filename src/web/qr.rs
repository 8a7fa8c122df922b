//! A QR code for a page.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// Modules of quiet zone on each side (ISO/IEC 18004).
const QUIET: usize = 4;

/// `uri` as an SVG element, dark on light whatever the page's colours are: not every phone reads the inverse. What fits no
/// QR code gives an empty text. It holds numbers and our own markup only, and is as secret as `uri`.
pub(super) fn svg(uri: &str) -> String {
    let Ok(code) = QrCode::with_error_correction_level(uri, EcLevel::M) else { return String::new() };
    let width = code.width();
    let mut path = String::new();
    for (row, modules) in code.to_colors().chunks(width).enumerate() {
        let mut column = 0;
        for run in modules.chunk_by(|one, next| one == next) {
            if run.first() == Some(&Color::Dark) {
                let _ = write!(path, "M{} {}h{}v1h-{}z", column + QUIET, row + QUIET, run.len(), run.len());
            }
            column += run.len();
        }
    }
    let side = width + 2 * QUIET;
    format!(
        "<svg viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" aria-hidden=\"true\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_quiet_zone_and_nothing_of_the_text_in_it() {
        let drawn = svg("otpauth://totp/x?secret=ABCDEFGH\"><script>");
        // The finder pattern's first row: seven dark modules behind the quiet zone.
        assert!(drawn.contains("d=\"M4 4h7v1h-7z"), "{drawn}");
        assert!(!drawn.contains("script"));
        assert_eq!(svg(&"x".repeat(4_000)), "");
    }
}
