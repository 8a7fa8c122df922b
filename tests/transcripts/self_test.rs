//! The harness itself: it must pass what is right and fail what is wrong, above all a dialogue whose steps
//! depend on how its input was cut.

use crate::replay::every_cut;
use crate::script::{Header, Script, Side};
use crate::side::{Player, Seen};

const ECHO: &str = "# pipelining, and a pair that stays together\nkey: value\n\nC: a\nC+ b\nC: c{no-crlf}\nS: a\nS: b\n[unread c]\n";

/// Answers each line with itself; or, when broken, each read.
struct Echo {
    input: Vec<u8>,
    by_line: bool,
}

impl Player for Echo {
    fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    fn step(&mut self) -> Seen {
        let end = match self.by_line {
            true => self.input.iter().position(|b| *b == b'\n').map(|at| at + 1),
            false => Some(self.input.len()).filter(|len| *len > 4),
        };
        end.map_or(Seen::Nothing, |end| Seen::Sent(self.input.drain(..end).collect()))
    }

    fn end_of_input(&mut self) {}

    fn secured(&mut self) {}

    fn answer(&mut self, _: &str) {}

    fn unread(self: Box<Self>) -> Vec<u8> {
        self.input
    }
}

fn run(content: &str, by_line: bool) -> Result<(), String> {
    let factory = match by_line {
        true => |_: &Header| Box::new(Echo { input: Vec::new(), by_line: true }) as Box<dyn Player>,
        false => |_: &Header| Box::new(Echo { input: Vec::new(), by_line: false }) as Box<dyn Player>,
    };
    every_cut(&Script::parse("echo.txt".to_owned(), content, Side::Server), factory)
}

#[test]
fn a_dialogue_that_does_what_is_written_passes() {
    assert_eq!(run(ECHO, true), Ok(()));
}

#[test]
fn a_mismatch_names_file_line_expected_and_got() {
    let fault = run(&ECHO.replace("S: b", "S: x"), true).unwrap_err();
    assert_eq!(fault, "echo.txt:8: under Whole\n  expected x\\r\\n\n  got      b\\r\\n");
}

#[test]
fn steps_that_depend_on_the_cut_are_found() {
    let fault = run("C: ab\nC: cd\nS: ab\nS: cd\n", false).unwrap_err();
    assert!(fault.contains("EveryByte"), "{fault}");
}

#[test]
fn what_is_left_over_is_found() {
    assert!(run(&ECHO.replace("[unread c]\n", "[unread x]\n"), true).is_err());
    assert!(run(&ECHO.replace("S: b\n", ""), true).is_err());
}
