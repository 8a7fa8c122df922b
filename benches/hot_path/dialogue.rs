//! A client's words up to its attempt.

use std::sync::Arc;

use divan::Bencher;
use mailward::base::Language;
use mailward::protocol::imap::Imap;
use mailward::protocol::{Channel, Dialogue, MailProtocol, ServerDialogue, ServerSetup, Step, Wording};

#[divan::bench]
fn imap_login(bencher: Bencher<'_, '_>) {
    let wording = Arc::new(Wording {
        hostname: "mail.example.org".to_owned(),
        portal: None,
        language: Language::English,
    });
    bencher.bench(|| {
        let (wording, offer) = (Arc::clone(&wording), Arc::default());
        let mut dialogue =
            <Imap as MailProtocol>::Server::new(ServerSetup { wording, offer, channel: Channel::Secured });
        for line in ["", "a1 CAPABILITY\r\n", "a2 LOGIN \"ada@example.org\" \"abcdefghijkmnpqr\"\r\n"] {
            dialogue.receive(line.as_bytes());
            loop {
                match dialogue.step() {
                    Step::Send(bytes) => drop(divan::black_box(bytes)),
                    Step::Event(attempt) => {
                        drop(divan::black_box(attempt));
                        return;
                    }
                    Step::NeedInput | Step::StartTls | Step::Close => break,
                }
            }
        }
    });
}
