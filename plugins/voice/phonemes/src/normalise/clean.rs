//! Characters that mean the same become one, those that nobody says are left out, and Markdown's marks go.

use unicode_normalization::UnicodeNormalization as _;

/// The text on one line with single spaces, composed, without marks of layout.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in without_markup(text).nfc() {
        match c {
            '’' | 'ʼ' | '‛' => clean.push('\''),
            '‐' | '‑' | '‒' | '−' => clean.push('-'),
            '―' => clean.push('—'),
            '\u{FF01}'..='\u{FF5E}' => {
                // Full-width forms stand in the order of ASCII.
                clean.push(char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(' '));
            }
            // Joiners, marks of direction, the soft hyphen.
            '\u{AD}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2064}'
            | '\u{FEFF}' => {}
            _ if c.is_whitespace() || c.is_control() || is_picture(c) => {
                if !clean.ends_with(' ') {
                    clean.push(' ');
                }
            }
            _ => clean.push(c),
        }
    }
    clean.trim().to_owned()
}

/// Emoji, boxes, bullets and private characters. Arrows have names and stay.
fn is_picture(c: char) -> bool {
    matches!(c,
        '\u{2022}'..='\u{2024}' | '\u{20D0}'..='\u{20FF}' | '\u{21D4}'..='\u{21FF}' | '\u{2300}'..='\u{2BFF}'
        | '\u{E000}'..='\u{F8FF}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFF0}'..='\u{FFFF}'
        | '\u{1F000}'..='\u{10FFFF}')
}

/// Headings, list marks and links of Markdown, and its backquotes.
fn without_markup(text: &str) -> String {
    let mut line = text.trim_start();
    let heading = line.trim_start_matches('#');
    if heading.starts_with(' ') {
        line = heading;
    }
    for mark in ["- ", "* ", "+ ", "> "] {
        line = line.strip_prefix(mark).unwrap_or(line);
    }
    let mut plain = String::with_capacity(line.len());
    while let Some(open) = line.find('[') {
        plain.push_str(&line[..open]);
        line = &line[open + 1..];
        let label = line.find(['[', ']']).unwrap_or(0);
        let target =
            line[label..].strip_prefix("](").and_then(|rest| Some((rest, rest.find([')', ' '])?)));
        match target {
            Some((rest, end)) if rest[end..].starts_with(')') => {
                plain.push_str(&line[..label]);
                line = &rest[end + 1..];
            }
            _ => plain.push('['),
        }
    }
    plain.push_str(line);
    // References in documentation ("[`Name`]") and attributes ("#[name]") lose their brackets.
    plain.replace("[`", "").replace("`]", "").replace("#[", "[").replace('`', "")
}
