//! A stream of server-sent events, read piece by piece as it comes.
//!
//! The format is that of the HTML standard, section 9.2.6: lines end with CR, LF or both, an empty one
//! ends an event, and of the fields `data` and `id` matter here.

use std::sync::Arc;

use thiserror::Error;

/// Bytes of an event's id; a longer one is as none.
const ID_BYTES: usize = 256;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The last id that the stream gave; many events may share it.
    pub id: Option<Arc<str>>,
    /// What it says.
    pub data: String,
}

/// An event is longer than it may be; nothing more is read of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event of the stream has more than {0} bytes")]
pub struct TooLong(usize);

/// Reads events from pieces of a stream, however it is cut.
#[derive(Debug)]
pub struct EventReader {
    most: usize,
    line: Vec<u8>,
    /// The last byte was a CR: an LF that follows ends no further line.
    after_cr: bool,
    begun: bool,
    id: Option<Arc<str>>,
    data: Option<String>,
}

impl EventReader {
    /// Reads events of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self { most, line: Vec::new(), after_cr: false, begun: false, id: None, data: None }
    }

    /// The events that end in this piece.
    ///
    /// # Errors
    /// One of them is too long.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for &byte in piece {
            match byte {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    events.extend(self.end_line());
                }
                _ => {
                    self.after_cr = false;
                    self.line.push(byte);
                }
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > self.most {
                return Err(TooLong(self.most));
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = match std::mem::replace(&mut self.begun, true) {
            false => text.strip_prefix('\u{feff}').unwrap_or(&text),
            true => &text,
        };
        if text.is_empty() {
            let data = self.data.take()?;
            return Some(Event { id: self.id.clone(), data });
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => {
                let has_room = (1..=ID_BYTES).contains(&value.len());
                self.id = has_room.then(|| value.into());
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<Event> {
        EventReader::new(1000).feed(text.as_bytes()).unwrap()
    }

    fn event(id: Option<&str>, data: &str) -> Event {
        Event { id: id.map(Arc::from), data: data.to_owned() }
    }

    #[test]
    fn fields_make_events() {
        let text =
            "\u{feff}: comment\nid: 1\ndata: a\ndata:b\n\nevent: x\n\ndata\n\nid\ndata:  c\n\n";
        let expected = [event(Some("1"), "a\nb"), event(Some("1"), ""), event(None, " c")];
        assert_eq!(read(text), expected);
        assert_eq!(read("data: unfinished\n"), []);
    }

    #[test]
    fn a_long_id_is_none_and_a_short_one_is_shared() {
        let long = "x".repeat(ID_BYTES + 1);
        let text = format!("id: 1\ndata: a\n\ndata: b\n\nid: {long}\ndata: c\n\n");
        let all = read(&text);
        assert_eq!(all, [event(Some("1"), "a"), event(Some("1"), "b"), event(None, "c")]);
        let [first, second] = [0, 1].map(|at| all[at].id.clone().unwrap());
        assert!(Arc::ptr_eq(&first, &second), "it is not copied for each event");
    }

    #[test]
    fn an_event_without_an_end_is_bounded() {
        let mut reader = EventReader::new(100);
        assert_eq!(reader.feed(&[b'x'; 101]), Err(TooLong(100)));
        let mut reader = EventReader::new(100);
        let mut outcome = Ok(Vec::new());
        for _ in 0..100 {
            outcome = outcome.and_then(|_| reader.feed(b"data: 0123456789\n"));
        }
        assert_eq!(outcome, Err(TooLong(100)));
    }

    proptest! {
        #[test]
        fn cuts_and_line_ends_do_not_matter(
            events in proptest::collection::vec(("[a-z0-9]{1,5}", "[a-zé :]{0,10}"), 1..5),
            end in prop::sample::select(vec!["\n", "\r", "\r\n"]),
            cut in 1..7_usize,
        ) {
            let text: String = events
                .iter()
                .map(|(id, data)| format!("id: {id}{end}data: {data}{end}{end}"))
                .collect();
            let mut reader = EventReader::new(1000);
            let mut heard = Vec::new();
            for piece in text.as_bytes().chunks(cut) {
                heard.extend(reader.feed(piece).unwrap());
            }
            let expected: Vec<_> = events.iter().map(|(id, data)| event(Some(id), data)).collect();
            prop_assert_eq!(heard, expected);
        }
    }
}
