//! JSON-RPC 2.0 text, read into what it asks for without copying, and written into one buffer.

use std::{borrow::Cow, cell::Cell, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::error::{Result, RpcError, codes};

/// How deep a frame may nest.
const MAX_DEPTH: usize = 128;
/// How long an id may be, quotes aside.
const MAX_ID: usize = 128;
/// A frame above this size is not kept alive by an id that points into it.
const SMALL_FRAME: usize = 1024;

/// What a client sent. Everything points into the frame.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    /// A call, or a notification when `id` is absent.
    Request { id: Option<&'a str>, method: Cow<'a, str>, params: &'a str },
    /// The client's answer to something the host asked.
    Answer { id: &'a str, answer: Result<&'a str> },
}

/// An error for a frame that is neither, with the id if it could be read.
#[derive(Debug)]
pub(crate) struct Unreadable<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) error: RpcError,
}

/// Reads one text frame.
pub(crate) fn read(text: &str) -> std::result::Result<Frame<'_>, Unreadable<'_>> {
    let refuse = |id, code, why: &str| Err(Unreadable { id, error: RpcError::new(code, why) });
    if text.trim_ascii_start().starts_with('[') {
        return match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => refuse(None, codes::INVALID_REQUEST, "batches are not supported"),
            Err(error) => refuse(None, codes::PARSE, &error.to_string()),
        };
    }
    if too_deep(text) {
        return refuse(None, codes::PARSE, "JSON nests deeper than 128 levels");
    }
    let envelope: Envelope<'_> = match serde_json::from_str(text) {
        Ok(envelope) => envelope,
        Err(error) if error.is_data() => {
            return refuse(None, codes::INVALID_REQUEST, "a frame is one JSON-RPC object");
        }
        Err(error) => return refuse(None, codes::PARSE, &error.to_string()),
    };
    envelope.check()
}

#[derive(Debug, Default)]
struct Envelope<'a> {
    version: Option<&'a str>,
    id: Option<&'a str>,
    method: Option<&'a str>,
    params: Option<&'a str>,
    result: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    fn check(self) -> std::result::Result<Frame<'a>, Unreadable<'a>> {
        let id = match self.id.map(checked_id) {
            None => None,
            Some(Some(id)) => Some(id),
            Some(None) => {
                let why = "`id` is a whole number or a string of at most 128 bytes";
                let error = RpcError::new(codes::INVALID_REQUEST, why);
                return Err(Unreadable { id: None, error });
            }
        };
        let refuse =
            |why| Err(Unreadable { id, error: RpcError::new(codes::INVALID_REQUEST, why) });
        if self.version != Some("\"2.0\"") {
            return refuse("`jsonrpc` must be \"2.0\"");
        }
        match (self.method, id) {
            (Some(method), _) => match serde_json::from_str::<Text<'a>>(method) {
                Ok(_) if self.result.is_some() || self.error.is_some() => {
                    refuse("a frame is a request or an answer, not both")
                }
                Ok(Text(method)) if method.len() <= 128 => {
                    let params = self.params.filter(|it| *it != "null").unwrap_or("{}");
                    Ok(Frame::Request { id, method, params })
                }
                Ok(_) => refuse("`method` is longer than 128 bytes"),
                Err(_) => refuse("`method` must be a string"),
            },
            (None, Some(id)) => match (self.result, self.error.filter(|it| *it != "null")) {
                (Some(_), Some(_)) => refuse("an answer has a result or an error, not both"),
                (Some(result), None) => Ok(Frame::Answer { id, answer: Ok(result) }),
                (None, Some(error)) => Ok(Frame::Answer { id, answer: Err(read_error(error)) }),
                (None, None) => refuse("neither a request nor an answer"),
            },
            (None, None) => refuse("neither a request nor an answer"),
        }
    }
}

/// A client's error keeps its text even when it is not of the right shape.
fn read_error(raw: &str) -> RpcError {
    serde_json::from_str(raw).unwrap_or_else(|_| RpcError::internal(raw))
}

fn checked_id(raw: &str) -> Option<&str> {
    let whole = |raw: &str| {
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let fits = match raw.as_bytes().first()? {
        b'"' => raw.len() - 2 <= MAX_ID,
        _ => raw.len() <= MAX_ID && whole(raw),
    };
    fits.then_some(raw)
}

/// Counts open brackets outside strings. `RawValue` skips nested values without counting, so the
/// bound that protects recursive readers is held here.
fn too_deep(text: &str) -> bool {
    if text.len() <= 2 * MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A JSON string, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Envelope<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON-RPC object")
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut envelope = Envelope::default();
                // Of duplicate members the last one counts.
                while let Some(Text(key)) = map.next_key()? {
                    let place = match &*key {
                        "jsonrpc" => &mut envelope.version,
                        "id" => &mut envelope.id,
                        "method" => &mut envelope.method,
                        "params" => &mut envelope.params,
                        "result" => &mut envelope.result,
                        "error" => &mut envelope.error,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *place = Some(map.next_value::<&'de RawValue>()?.get());
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The id of a call, byte for byte as it came.
#[derive(Debug, Clone)]
pub(crate) struct Id(Bytes);

impl Id {
    /// `raw` lies inside `frame`. A small frame is shared, a large one is not kept alive.
    pub(crate) fn within(frame: &Utf8Bytes, raw: &str) -> Self {
        let bytes: &Bytes = frame.as_ref();
        match frame.len() <= SMALL_FRAME {
            true => Self(bytes.slice_ref(raw.as_bytes())),
            false => Self(Bytes::copy_from_slice(raw.as_bytes())),
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Starts a reply; the serialized result and [`close_reply`] complete it.
pub(crate) fn open_reply(id: &Id) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(256);
    buffer.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    buffer.extend_from_slice(id.bytes());
    buffer.extend_from_slice(b",\"result\":");
    buffer
}

/// Completes a reply that [`open_reply`] began.
pub(crate) fn close_reply(mut buffer: Vec<u8>) -> Utf8Bytes {
    buffer.push(b'}');
    text(buffer)
}

/// An error reply; `None` stands for an id that could not be read.
pub(crate) fn error(id: Option<&[u8]>, error: &RpcError) -> Utf8Bytes {
    let mut buffer = Vec::with_capacity(256);
    buffer.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    buffer.extend_from_slice(id.unwrap_or(b"null"));
    buffer.extend_from_slice(b",\"error\":");
    write_json(&mut buffer, error);
    close_reply(buffer)
}

/// An error reply to a call.
pub(crate) fn error_to(id: &Id, failure: &RpcError) -> Utf8Bytes {
    error(Some(id.bytes()), failure)
}

/// A request of the host to a client.
pub(crate) fn request(id: u64, method: &str, params: &impl Serialize) -> Utf8Bytes {
    let mut buffer = format!("{{\"jsonrpc\":\"2.0\",\"id\":\"cb-{id}\",\"method\":").into_bytes();
    write_call(&mut buffer, method, params);
    text(buffer)
}

/// Bytes of memory that a thread keeps for its next notification.
const SCRATCH: usize = 64 << 10;

/// A notification to clients. It is written into memory that the thread uses again and copied once at its
/// own size, for it may wait in many outboxes, and growing a buffer costs more than the copy.
pub(crate) fn notification(method: &str, params: &impl Serialize) -> Utf8Bytes {
    thread_local!(static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
    let mut buffer = BUFFER.take();
    buffer.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":");
    write_call(&mut buffer, method, params);
    let notification = text(Bytes::copy_from_slice(&buffer));
    if buffer.capacity() <= SCRATCH {
        buffer.clear();
        BUFFER.set(buffer);
    }
    notification
}

fn write_call(buffer: &mut Vec<u8>, method: &str, params: &impl Serialize) {
    write_json(buffer, method);
    buffer.extend_from_slice(b",\"params\":");
    write_json(buffer, params);
    buffer.push(b'}');
}

/// Serializes into memory. It fails only for a map whose keys are no strings; then the value is
/// `null`, so that the frame around it stays well formed.
fn write_json<T: Serialize + ?Sized>(buffer: &mut Vec<u8>, value: &T) {
    let at = buffer.len();
    if let Err(error) = serde_json::to_writer(&mut *buffer, value) {
        tracing::error!(%error, "a value could not be written as JSON");
        buffer.truncate(at);
        buffer.extend_from_slice(b"null");
    }
}

fn text(buffer: impl Into<Bytes>) -> Utf8Bytes {
    Utf8Bytes::try_from(buffer.into()).unwrap_or_else(|_| Utf8Bytes::from_static("null"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn refusal(text: &str) -> (Option<String>, i32) {
        let refused = read(text).expect_err(text);
        (refused.id.map(str::to_owned), refused.error.code)
    }

    #[test]
    fn an_id_comes_back_as_it_came_or_is_refused() {
        for id in ["7", "-7", "\"7\"", "\"cb-1\"", "\"a\\u0062\"", "9007199254740993"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#);
            let Ok(Frame::Request { id: Some(read), .. }) = read(&text) else { panic!("{text}") };
            assert_eq!(read, id);
        }
        let long = format!("\"{}\"", "x".repeat(129));
        for id in ["null", "1.5", "1e3", "true", "[]", "{}", &long] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#);
            assert_eq!(refusal(&text), (None, codes::INVALID_REQUEST), "{id}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_with_the_right_code() {
        for (text, code) in [
            ("", codes::PARSE),
            ("{", codes::PARSE),
            ("nope", codes::PARSE),
            ("[", codes::PARSE),
            ("{} {}", codes::PARSE),
            ("[]", codes::INVALID_REQUEST),
            ("[1]", codes::INVALID_REQUEST),
            ("7", codes::INVALID_REQUEST),
            ("\"x\"", codes::INVALID_REQUEST),
            ("null", codes::INVALID_REQUEST),
            ("{}", codes::INVALID_REQUEST),
            (r#"{"jsonrpc":"1.0","method":"x"}"#, codes::INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","method":7}"#, codes::INVALID_REQUEST),
        ] {
            assert_eq!(refusal(text), (None, code), "{text}");
        }
        let known = r#"{"jsonrpc":"2.0","id":4}"#;
        assert_eq!(refusal(known), (Some("4".into()), codes::INVALID_REQUEST));
    }

    #[test]
    fn nesting_has_a_bound_that_strings_do_not_count_towards() {
        let nested = |levels: usize| {
            let (open, shut) = ("[".repeat(levels), "]".repeat(levels));
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{open}{shut}}}}}"#)
        };
        assert!(read(&nested(126)).is_ok());
        assert_eq!(refusal(&nested(127)), (None, codes::PARSE));
        let quoted =
            format!(r#"{{"jsonrpc":"2.0","method":"x","params":{{"a":"\"{}"}}}}"#, "[".repeat(500));
        assert!(read(&quoted).is_ok());
    }

    #[test]
    fn of_duplicate_members_the_last_one_counts() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"a","id":2,"method":"b"}"#;
        let Ok(Frame::Request { id: Some("2"), method, .. }) = read(text) else { panic!() };
        assert_eq!(method, "b");
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".*") {
            let _ = read(&text);
        }

        #[test]
        fn what_is_written_reads_back(n in any::<u64>(), words in any::<String>()) {
            let params = json!({ "words": words });
            let text = request(n, "tools.execute", &params);
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&value["id"], &json!(format!("cb-{n}")));
            prop_assert_eq!(&value["params"], &params);
            let Ok(Frame::Request { params: raw, .. }) = read(&text) else { panic!() };
            prop_assert_eq!(serde_json::from_str::<Value>(raw).unwrap(), params);
        }
    }
}
