//! What commands print: tables and colours for people, plain columns for pipes, JSON for programs.

use std::{
    borrow::Cow,
    fmt::{self, Display, Write as _},
    io::{self, IsTerminal, Write},
};

use comfy_table::{CellAlignment, Color, ContentArrangement, presets};
use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::json;

use crate::exit::{Code, Exit};

/// Where a command's results go. Colours are written always and taken out by `anstream` where the
/// stream is no terminal or `NO_COLOR` asks for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    terminal: bool,
}

impl Output {
    /// Standard output; `json` is the global flag.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, terminal: io::stdout().is_terminal() }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints one JSON document.
    pub(crate) fn document(self, document: &impl Serialize) -> Result<(), Exit> {
        let text = serde_json::to_string_pretty(document).map_err(Exit::failed)?;
        self.line(text)
    }

    /// Prints one JSON object of a stream, on a line of its own.
    pub(crate) fn object(self, object: &impl Serialize) -> Result<(), Exit> {
        let text = serde_json::to_string(object).map_err(Exit::failed)?;
        self.line(text)
    }

    /// Prints a table; nothing for one without rows but the sentence that says so.
    pub(crate) fn table(self, table: &Table, if_empty: &str) -> Result<(), Exit> {
        match table.rows.is_empty() {
            true => self.line(Tone::Faint.paint(if_empty)),
            false => self.line(table.render(self.terminal, None)),
        }
    }

    /// Prints a line.
    pub(crate) fn line(self, line: impl Display) -> Result<(), Exit> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| unwritten(&error))
    }

    /// Prints a foreign text as it comes, without a line end of its own: to a terminal with whatever could
    /// move the cursor as escapes, elsewhere byte for byte.
    pub(crate) fn text(self, text: &str) -> Result<(), Exit> {
        let shown = match self.terminal {
            true => {
                escaped(text, |letter| is_unprintable(letter) && !matches!(letter, '\n' | '\t'))
            }
            false => Cow::Borrowed(text),
        };
        let mut out = io::stdout().lock();
        let written = out.write_all(shown.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| unwritten(&error))
    }

    /// Whether standard output is a terminal.
    pub(crate) fn is_terminal(self) -> bool {
        self.terminal
    }

    /// Prints a line that is no result, on standard error; a program that reads JSON is not told.
    pub(crate) fn note(self, line: impl Display) {
        if !self.json {
            // Whoever closed standard error does not want to know.
            let _ = writeln!(anstream::stderr().lock(), "{}", Tone::Faint.paint(line));
        }
    }
}

/// A reader that went away (`carport runs list | head`) is no failure to report.
pub(crate) fn unwritten(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Exit::new(Code::Unread, "nobody reads the output any more"),
        _ => Exit::failed(format!("cannot write the output: {error}")),
    }
}

/// Says on standard error why a command failed: a line, or with `--json` one JSON object.
pub(crate) fn failure(exit: &Exit, json: bool) {
    if matches!(exit.code, Code::Interrupted | Code::Unread) {
        return;
    }
    let mut err = anstream::stderr().lock();
    let _ = match json {
        true => writeln!(err, "{}", failure_object(exit)),
        false => writeln!(err, "{} {}", Tone::Bad.paint("error:"), one_line(&exit.message)),
    };
}

fn failure_object(exit: &Exit) -> serde_json::Value {
    let mut error = json!({ "exit_code": exit.code as u8, "message": exit.message });
    if let Some(rpc) = &exit.rpc {
        error["code"] = json!(rpc.code);
        error["message"] = json!(rpc.message);
        if let Some(data) = &rpc.data {
            error["data"] = data.clone();
        }
    }
    json!({ "error": error })
}

/// What a text is to its reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// To be noticed.
    Warn,
    /// A name that other commands take.
    Name,
    /// Of less interest.
    Faint,
}

impl Tone {
    /// The text in the tone's colour.
    pub(crate) fn paint(self, text: impl Display) -> String {
        match self {
            Self::Plain => text.to_string(),
            Self::Good => text.green().to_string(),
            Self::Bad => text.red().bold().to_string(),
            Self::Warn => text.yellow().to_string(),
            Self::Name => text.cyan().to_string(),
            Self::Faint => text.dimmed().to_string(),
        }
    }

    fn color(self) -> Option<Color> {
        match self {
            Self::Plain => None,
            Self::Good => Some(Color::DarkGreen),
            Self::Bad => Some(Color::DarkRed),
            Self::Warn => Some(Color::DarkYellow),
            Self::Name => Some(Color::DarkCyan),
            Self::Faint => Some(Color::DarkGrey),
        }
    }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// A text; what would move the cursor or hide text on a terminal is shown as an escape.
    pub(crate) fn new(text: impl Display) -> Self {
        Self { text: one_line(&text.to_string()).into_owned(), tone: Tone::Plain, right: false }
    }

    /// A number, or something else that is read from its right end.
    pub(crate) fn number(number: impl Display) -> Self {
        Self { right: true, ..Self::new(number) }
    }

    /// The cell in another tone.
    #[must_use]
    pub(crate) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Rows under a header.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new<const N: usize>(header: [&'static str; N]) -> Self {
        Self { header: header.into(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// Ruled and wrapped for a terminal; else columns of text, one line a row, nothing cut.
    fn render(&self, terminal: bool, width: Option<u16>) -> String {
        let mut table = comfy_table::Table::new();
        table.enforce_styling();
        match terminal {
            true => {
                table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
                table.set_content_arrangement(ContentArrangement::Dynamic);
            }
            false => {
                table.load_preset(presets::NOTHING);
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        if let Some(width) = width {
            table.set_width(width);
        }
        table.set_header(self.header.iter().map(|title| match terminal {
            true => comfy_table::Cell::new(title).fg(Color::DarkGrey),
            false => comfy_table::Cell::new(title.to_uppercase()),
        }));
        table.add_rows(self.rows.iter().map(|row| row.iter().map(|cell| cell.styled(terminal))));
        if !terminal {
            for column in table.column_iter_mut() {
                column.set_padding((0, 2));
            }
        }
        table.trim_fmt()
    }
}

impl Cell {
    fn styled(&self, colours: bool) -> comfy_table::Cell {
        let mut cell = comfy_table::Cell::new(&self.text);
        if let Some(color) = self.tone.color().filter(|_| colours) {
            cell = cell.fg(color);
        }
        match self.right {
            true => cell.set_alignment(CellAlignment::Right),
            false => cell,
        }
    }
}

/// Text from elsewhere, fit for one line of a terminal: control characters, and those that turn the
/// direction of writing, are shown as escapes, so that a recorded text cannot pose as the program's.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unprintable)
}

fn escaped(text: &str, is_hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match is_hidden(letter) {
            true => clean.extend(letter.escape_default()),
            false => clean.push(letter),
        }
    }
    Cow::Owned(clean)
}

fn is_unprintable(letter: char) -> bool {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || turns || matches!(letter, '\u{2028}' | '\u{2029}')
}

/// A text cut to `most` characters, with a mark where it was cut.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some(_) => {
            let kept = most.saturating_sub(1);
            let end = text.char_indices().nth(kept).map_or(text.len(), |(at, _)| at);
            Cow::Owned(format!("{}…", &text[..end]))
        }
    }
}

/// A count with its noun: `1 run`, `2 runs`.
pub(crate) fn count(number: usize, noun: &str) -> impl Display {
    fmt::from_fn(move |f| {
        write!(f, "{number} {noun}")?;
        if number == 1 { Ok(()) } else { f.write_char('s') }
    })
}

#[cfg(test)]
mod tests {
    use carport_core::RpcError;

    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["name", "turns", "intent"]);
        table.row(["a".into(), Cell::number(7), "short".into()]);
        table.row(["longer".into(), Cell::number(1200), Cell::new("x".repeat(90)).tone(Tone::Bad)]);
        table
    }

    fn stripped(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_piped_table_has_one_line_a_row_and_columns_in_line() {
        let text = stripped(&table().render(false, Some(40)));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "NAME    TURNS  INTENT");
        assert_eq!(lines[1], "a           7  short");
        assert_eq!(lines[2], format!("longer   1200  {}", "x".repeat(90)));
    }

    #[test]
    fn a_table_on_a_terminal_keeps_to_its_width() {
        let text = stripped(&table().render(true, Some(40)));
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.lines().count() > 5);
    }

    #[test]
    fn a_foreign_text_cannot_move_the_cursor() {
        assert_eq!(one_line("plain — ü ✓"), "plain — ü ✓");
        assert_eq!(one_line("a\nb\u{1b}[2Jc\u{9b}d"), r"a\nb\u{1b}[2Jc\u{9b}d");
        assert_eq!(one_line("\u{202e}evil"), r"\u{202e}evil");
        let mut table = Table::new(["x"]);
        table.row([Cell::new("one\ntwo")]);
        assert_eq!(stripped(&table.render(false, None)).lines().count(), 2);
    }

    #[test]
    fn a_cut_counts_characters() {
        assert_eq!(cut("ünïcödé", 7), "ünïcödé");
        assert_eq!(cut("ünïcödé", 4), "ünï…");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn a_failure_is_an_object_with_the_daemons_own_words() {
        let rpc = RpcError::invalid_params("limit", "too much").with("limit", 7);
        let object = failure_object(&Exit::from(rpc));
        assert_eq!(object["error"]["exit_code"], 5);
        assert_eq!(object["error"]["code"], -32602);
        assert_eq!(object["error"]["message"], "`limit`: too much");
        assert_eq!(object["error"]["data"]["limit"], 7);
        let object = failure_object(&Exit::usage("no"));
        assert_eq!(object, json!({ "error": { "exit_code": 2, "message": "no" } }));
    }

    #[test]
    fn a_count_agrees_with_its_noun() {
        assert_eq!(count(1, "run").to_string(), "1 run");
        assert_eq!(count(0, "run").to_string(), "0 runs");
    }
}
