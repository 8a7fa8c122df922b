//! A QR code for a terminal.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Draws `uri` in half blocks, two modules to a line, with its quiet zone; no line end behind the last line.
///
/// Light modules are drawn and dark ones left to the background, so that it scans from the dark terminals
/// that administrators use; phones read the inverse on a light one. What fits no QR code (beyond some 2,900
/// bytes) gives an empty text: the key can still be typed. The text is as secret as `uri`.
#[must_use]
pub fn terminal(uri: &str) -> String {
    // The lowest level of error correction: screens don't get dirty, and the code fits small terminals.
    QrCode::with_error_correction_level(uri, EcLevel::L).map_or_else(
        |_| String::new(),
        |code| code.render().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolment_fits_a_terminal_and_has_a_quiet_zone_that_is_drawn() {
        let uri = "otpauth://totp/mail.example.org:somebody%40example.org\
                   ?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=mail.example.org";
        let drawn = terminal(uri);
        let lines: Vec<&str> = drawn.lines().collect();
        let width = lines[0].chars().count();
        assert!(width <= 80 && lines.len() <= 40, "{width} × {}\n{drawn}", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() == width));
        // Four modules on each side (ISO/IEC 18004): two lines above, and four blocks at the left.
        assert!(lines[..2].iter().all(|line| line.chars().all(|c| c == '█')));
        assert!(
            lines[2..lines.len() - 2].iter().all(|line| line.starts_with("████") && line.ends_with("████"))
        );
        // The finder pattern's dark ring begins behind it.
        assert!(lines[2].starts_with("████ ▄▄▄▄▄ "));
    }

    #[test]
    fn what_fits_no_code_gives_nothing() {
        assert_eq!(terminal(&"x".repeat(4_000)), "");
    }
}
