//! What is checked of every page is seen to fail: on pages that have one fault each.

use crate::driver::{Browser, Language};
use crate::world::tell;

/// Nothing is wrong with it.
const GOOD: &str = "<!doctype html><html lang=\"en\"><meta name=\"color-scheme\" content=\"light dark\"><title>Good</title>\
    <style>body { font: 16px sans-serif; background: Canvas; color: CanvasText }\
    :focus-visible { outline: 3px solid CanvasText }</style>\
    <body><h1>Good</h1><p>Text.</p><form><label for=\"name\">Name</label> <input id=\"name\"> <button>Send</button></form>\
    <p><a href=\"/\" style=\"color: inherit\">On</a></p></body></html>";

/// What is put into it, in the place of what, and what is to be said of that.
const FAULTS: [(&str, &str, &str); 18] = [
    ("lang=\"en\"", "lang=\"zh-Hans\"", "is in <html lang=\"zh-Hans\">"),
    ("<title>Good</title>", "<title> </title>", "has no title"),
    ("<h1>Good</h1>", "<h2>Good</h2>", "has 0 headings"),
    ("<p>Text.</p>", "<h1>Text.</h1>", "has 2 headings"),
    ("<label for=\"name\">Name</label>", "<span>Name</span>", "no label: <input#name>"),
    (">Send<", "> <", "no name: <button>"),
    (">On<", "><", "no name: <a>"),
    ("<button>", "<button tabindex=\"1\">", "jumps the queue of Tab: <button>"),
    ("<p>Text.", "<p id=\"name\">Text.", "has several #name"),
    ("<p>Text.", "<p style=\"min-width: 313px\">Text.", "scrolls sideways: 321 px at 320"),
    ("<p>Text.", "<p style=\"color: #808080\">Text.", "phone, light: contrast 3.95 instead of 4.5"),
    ("<p>Text.", "<p style=\"opacity: .4\">Text.", "desktop, dark: contrast"),
    (
        "<p>Text.",
        "<p style=\"color: #000; background: rgb(0 0 0 / 60%)\">Text.",
        "phone, light: contrast 3.66 instead of 4.5",
    ),
    ("<p>Text.", "<p style=\"font-size: 24px; color: #a0a0a0\">Text.", "light: contrast 2.61 instead of 3"),
    ("<input id", "<input placeholder=\"x\" style=\"color: #777\" id", "of <input#name>"),
    (":focus-visible", "button:focus-visible", "focus cannot be seen: <a>"),
    (
        "outline: 3px solid CanvasText",
        "outline: 3px solid rgb(128 128 128 / 20%)",
        "focus cannot be seen: <input#name>",
    ),
    (
        "<p>Text.</p>",
        "<p>Text.</p><a href=\"/\" inert>Never</a>",
        "Tab reaches <input#name> \"\" instead of <a>",
    ),
];

#[test]
fn each_fault_of_a_page_is_found_and_a_page_without_one_passes() {
    tell(async {
        let browser = Browser::open("data:text/html,", Language::English, "checking").await;
        let show = |page: &str| {
            let page: String = page.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let browser = &browser;
            async move {
                browser.go(&page).await;
                browser.look(None).await
            }
        };
        assert_eq!(show(GOOD).await, [""; 0]);
        for (place, fault, said) in FAULTS {
            assert!(GOOD.contains(place), "{place}");
            let wrong = show(&GOOD.replacen(place, fault, 1)).await;
            assert!(wrong.iter().any(|wrong| wrong.contains(said)), "{fault}: {wrong:?}");
        }
        browser.close().await;
    });
}
