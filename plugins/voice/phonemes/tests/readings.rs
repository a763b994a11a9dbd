//! How written forms are put into words.

use carport_voice_phonemes::Phonemizer;
use std::path::Path;
use std::sync::LazyLock;

static PHONEMIZER: LazyLock<Phonemizer> = LazyLock::new(|| {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/hibari");
    Phonemizer::open(Path::new(models)).expect("the voice's files")
});

fn check(rows: &[(&str, &str)]) {
    for (written, read) in rows {
        assert_eq!(PHONEMIZER.normalise(written), *read, "{written}");
    }
}

#[test]
fn times_and_dates() {
    check(&[
        ("at 10:30", "at ten thirty"),
        ("at 9:05 pm", "at nine oh five P.M."),
        ("at 9:05 p.m.", "at nine oh five P.M."),
        ("at 12:00", "at twelve o'clock"),
        ("12:00:01", "twelve and one second"),
        ("25:00", "25:00"),
        ("2024-03-05", "March fifth, 2024"),
        ("3/5/2024", "March fifth, 2024"),
        ("31/12/99", "December thirty-first, 1999"),
        ("2024-13-05 stays", "2024-13-05 stays"),
        ("on Jan. 3, 1990", "on January third, 1990"),
        ("on 5 March.", "on the fifth of March."),
        ("May 40", "May 40"),
    ]);
}

#[test]
fn money_and_measures() {
    check(&[
        ("$5 million", "5 million dollars"),
        ("£3k", "3 thousand pounds"),
        ("¥500", "500 yen"),
        ("USD 1", "1 dollar"),
        ("50¢", "50 cents"),
        ("20 °C", "20 degrees Celsius"),
        ("-1°", "-1 degree"),
        ("5 km", "5 kilometers"),
        ("1 km", "1 kilometer"),
        ("16GB", "16 gigabytes"),
        ("64 KiB", "64 kibibytes"),
        ("3/4 of it", "3 quarters of it"),
        ("1/2", "one half"),
        ("24/7", "24 slash 7"),
        ("5-10%", "5 to 10%"),
        ("1990–1995", "1990 to 1995"),
        ("+5", "plus 5"),
        ("555-1234", "5 5 5, 1 2 3 4"),
        ("(212) 555-0123", "2 1 2, 5 5 5, 0 1 2 3"),
    ]);
}

#[test]
fn names_and_signs() {
    check(&[
        ("Prof. Smith", "Professor Smith"),
        ("St. Paul", "Saint Paul"),
        ("Main St.", "Main Street."),
        ("approx. five", "approximately five"),
        ("I said no.", "I said no."),
        ("no. 5", "number 5"),
        ("No. 5", "Number 5"),
        ("#5", "number 5"),
        ("Chapter IV", "Chapter 4"),
        ("Henry VIII", "Henry the eighth"),
        ("a = b", "a equals b"),
        ("cats & dogs", "cats & dogs"),
        ("don’t", "don't"),
        ("ｆｕｌｌ", "full"),
    ]);
}

#[test]
fn names_of_the_machine_world() {
    check(&[
        ("(see config.toml).", "(see config dot toml)."),
        ("src/main.rs", "source slash main dot R.S"),
        ("/var/log", "slash var slash log"),
        ("and/or", "and/or"),
        ("TCP/IP", "TCP/IP"),
        ("https://example.com/a?b=c", "example dot com slash a"),
        ("<https://example.com/>", "example dot com"),
        ("ann@example.org", "ann at example dot org"),
        ("v1.2", "version 1 point 2"),
        ("1.2.3-rc.1", "1 point 2 point 3 R.C dot 1"),
        ("127.0.0.1:80", "127 dot 0 dot 0 dot 1 colon 80"),
        ("--dry-run", "dash dash dry run"),
        ("snake_case", "snake case"),
        ("the `stderr`, or (stdin)", "the standard error, or (standard in)"),
        ("std::io::stdout()", "S.T.D I.O standard out"),
        ("tokio::main", "tokio main"),
        ("std::fs", "S.T.D F.S"),
        ("parseJson()", "parse Json"),
        ("`session.auth`", "session dot auth"),
        ("0xFF", "zero x F F"),
        ("3.14", "3.14"),
        ("the .NET runtime", "the dot NET runtime"),
        ("about .5 of it", "about .5 of it"),
        ("e.g. this", "e.g. this"),
        ("end.Start", "end.Start"),
        ("[text](https://example.com)", "text"),
        ("## Title", "Title"),
        ("- item", "item"),
    ]);
}
