//! Names of the machine world as a developer says them: addresses, paths, files, versions, flags, identifiers.

/// `text` with such names in words. Other words stay as they are.
pub(super) fn speak(text: &str) -> String {
    let mut spoken = String::with_capacity(text.len() + text.len() / 4);
    for (i, chunk) in text.split(' ').enumerate() {
        if i > 0 {
            spoken.push(' ');
        }
        if matches!(chunk, "->" | "=>" | "-->" | "==>") {
            spoken.push_str("to");
            continue;
        }
        let (open, core, close) = apart(chunk);
        match name(core) {
            Some(name) => {
                spoken.push_str(open);
                spoken.push_str(&name);
                spoken.push_str(close);
            }
            None => spoken.push_str(chunk),
        }
    }
    spoken
}

/// The marks of the sentence around a name.
fn apart(chunk: &str) -> (&str, &str, &str) {
    let start = chunk.trim_start_matches(['(', '[', '{', '"', '\'', '“', '‘', '<', '*']);
    let mut core = start
        .trim_end_matches([']', '}', '"', '\'', '”', ',', ';', ':', '!', '?', '.', '>', '*', '…']);
    // A bracket belongs to the sentence unless it closes one of the name's own.
    while core.ends_with(')') && core.matches(')').count() > core.matches('(').count() {
        core = core[..core.len() - 1].trim_end_matches(['.', ',', '"', '\'', '?', '!']);
    }
    let open = &chunk[..chunk.len() - start.len()];
    let close = &start[core.len()..];
    // The angle brackets of "<https://…>" are silent.
    (open.trim_end_matches('<'), core, close.trim_start_matches('>'))
}

fn name(core: &str) -> Option<String> {
    if core.len() < 2 || core.bytes().all(|b| b.is_ascii_alphabetic()) {
        return said(&STREAMS, core);
    }
    address(core)
        .or_else(|| internet_number(core))
        .or_else(|| version(core))
        .or_else(|| path(core))
        .or_else(|| flag(core))
        .or_else(|| identifier(core))
}

/// Top-level domains that are seen in text without "www".
const DOMAINS: [&str; 16] = [
    "com", "org", "net", "edu", "gov", "io", "dev", "rs", "ai", "co", "uk", "de", "fr", "eu",
    "info", "app",
];

/// "https://example.com/docs", "www.example.org", "ann@example.com", "example.com".
fn address(core: &str) -> Option<String> {
    if let Some((user, host)) = core.split_once('@') {
        let plain = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b))
        };
        return (plain(user) && plain(host) && host.contains('.'))
            .then(|| format!("{} at {}", signs(user), signs(host)));
    }
    let (scheme, rest) = core.split_once("://").unwrap_or(("", core));
    let known = !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    let host = rest.split(['/', '?', '#', ':']).next()?;
    let labels = host.split('.').count();
    let plain = host.split('.').all(|label| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    let domain = plain
        && labels > 1
        && host.bytes().all(|b| !b.is_ascii_uppercase())
        && DOMAINS.contains(&host.rsplit('.').next()?)
        // "main.rs" is a file.
        && (labels > 2 || !host.ends_with(".rs") || rest.len() > host.len());
    if !known && !rest.starts_with("www.") && !domain {
        return None;
    }
    let rest = rest.trim_end_matches('/');
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    Some(match scheme {
        "" | "http" | "https" => signs(rest),
        scheme => format!("{} {}", part(scheme), signs(rest)),
    })
}

/// "127.0.0.1:8080".
fn internet_number(core: &str) -> Option<String> {
    let (host, port) = core.split_once(':').map_or((core, None), |(host, port)| (host, Some(port)));
    let digits = |s: &str, most: usize| {
        (1..=most).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit())
    };
    if host.split('.').count() != 4 || !host.split('.').all(|part| digits(part, 3)) {
        return None;
    }
    if !port.is_none_or(|port| digits(port, 5)) {
        return None;
    }
    let port = port.map_or_else(String::new, |port| format!(" colon {port}"));
    Some(host.replace('.', " dot ") + &port)
}

/// "v1.2", "1.2.3", "2.0.0-rc.1": with their points.
fn version(core: &str) -> Option<String> {
    let digits = core.strip_prefix(['v', 'V']).unwrap_or(core);
    let marked = digits.len() < core.len();
    let numbers =
        digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (numbers, tail) = digits.split_at(numbers);
    let parts: Vec<&str> = numbers.split('.').collect();
    let whole = parts.iter().all(|part| (1..=5).contains(&part.len()));
    let enough = parts.len() > 2 || (marked && (parts.len() == 2 || tail.is_empty()));
    let tailed = tail.is_empty()
        || (tail.starts_with(['-', '+'])
            && tail.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b)));
    if !whole || !enough || !tailed {
        return None;
    }
    let tail = if tail.is_empty() { String::new() } else { format!(" {}", signs(tail)) };
    let prefix = if marked { "version " } else { "" };
    Some(format!("{prefix}{}{tail}", parts.join(" point ")))
}

/// Ends of file names.
const EXTENSIONS: [&str; 69] = [
    "rs", "py", "js", "ts", "tsx", "jsx", "mjs", "c", "h", "cc", "cpp", "hpp", "go", "rb", "java",
    "kt", "swift", "sh", "bash", "zsh", "toml", "yaml", "yml", "json", "jsonl", "xml", "html",
    "htm", "css", "scss", "csv", "tsv", "txt", "md", "rst", "log", "lock", "conf", "cfg", "ini",
    "env", "sql", "db", "sqlite", "zip", "gz", "tar", "tgz", "xz", "deb", "exe", "dll", "so",
    "bin", "wav", "mp3", "ogg", "flac", "png", "jpg", "jpeg", "gif", "svg", "pdf", "onnx", "wasm",
    "pem", "pid", "service",
];

/// "main.rs", ".gitignore", "archive.tar.gz".
fn is_file(name: &str) -> bool {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '+' | '@');
    let Some((stem, end)) = name.rsplit_once('.') else { return false };
    if !name.chars().all(plain) || name.contains("..") {
        return false;
    }
    let hidden = stem.is_empty()
        && end.len() > 2
        && end.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    let letters = stem.bytes().any(|b| b.is_ascii_alphanumeric() || b == b'*');
    // "D.C" is no file in C.
    let long = end.len() > 1 || (stem.len() > 1 && end.bytes().all(|b| b.is_ascii_lowercase()));
    hidden || (letters && long && EXTENSIONS.contains(&end.to_ascii_lowercase().as_str()))
}

/// A file's name or a path of several.
fn path(core: &str) -> Option<String> {
    let first =
        core.split(':').next().filter(|drive| drive.len() == 1 && core[1..].starts_with(":\\"));
    if first.is_some() && core.len() > 3 {
        return Some(signs(core));
    }
    let rooted = ["/", "./", "../", "~/"].iter().any(|root| {
        core.strip_prefix(root).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '*'))
        })
    });
    let segments: Vec<&str> = core.trim_matches('/').split('/').collect();
    let plain = segments.iter().all(|s| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-*~@+".contains(&b))
    });
    let named = segments.last().is_some_and(|last| is_file(last));
    let small = segments.iter().all(|s| {
        s.bytes().all(|b| !b.is_ascii_uppercase()) && s.bytes().any(|b| b.is_ascii_lowercase())
    });
    let deep = segments.len() > 1 && (core.ends_with('/') || (segments.len() > 2 && small));
    (plain && (rooted || named || deep)).then(|| signs(core.trim_end_matches('/')))
}

/// "--verbose", "--level=3", "-v".
fn flag(core: &str) -> Option<String> {
    let (dashes, rest) = match core.strip_prefix("--") {
        Some(rest) => ("dash dash", rest),
        None => ("dash", core.strip_prefix('-').filter(|rest| rest.len() == 1)?),
    };
    let (name, value) =
        rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value)));
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let value = value.map_or_else(String::new, |value| format!(" equals {}", signs(value)));
    plain.then(|| format!("{dashes} {}{value}", signs(&name.replace('-', " "))))
}

/// "snake_case", "std::fs::read", "os.path.join()", "$HOME".
fn identifier(core: &str) -> Option<String> {
    let called = core.strip_suffix("()");
    let bare = called.unwrap_or(core);
    let variable = bare
        .strip_prefix('$')
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
    let bare = variable.unwrap_or(bare);
    let word = |s: &str| {
        s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    };
    let joined = bare.contains('_') || bare.contains("::");
    let parts: Vec<&str> = bare.split("::").flat_map(|part| part.split('.')).collect();
    // A missing space after a full stop looks alike but for the capital.
    let dotted = parts.len() > 1
        && parts.iter().all(|part| part.len() > 1)
        && (called.is_some()
            || parts.iter().all(|part| part.bytes().all(|b| !b.is_ascii_uppercase())));
    if !parts.iter().all(|part| word(part))
        || !(joined || dotted || called.is_some() || variable.is_some())
    {
        return None;
    }
    let dollar = if variable.is_some() { "dollar " } else { "" };
    let spoken = bare.replace("::", " ");
    Some(format!("{dollar}{}", signs(&spoken)))
}

/// Words, and the names of the signs between them.
fn signs(text: &str) -> String {
    let mut spoken: Vec<String> = Vec::new();
    let mut at = 0;
    for (end, sign) in
        text.char_indices().filter(|(_, c)| !c.is_ascii_alphanumeric()).chain([(text.len(), ' ')])
    {
        if end > at {
            spoken.push(part(&text[at..end]));
        }
        at = end + sign.len_utf8();
        let named = match sign {
            '.' => "dot",
            '/' => "slash",
            '\\' => "backslash",
            '~' => "tilde",
            ':' => "colon",
            '*' => "star",
            '+' => "plus",
            '@' => "at",
            '=' => "equals",
            '%' => "percent",
            '-' if spoken.is_empty() => "",
            '-' => "dash",
            c if c.is_alphabetic() => {
                spoken.push(c.to_string());
                ""
            }
            _ => "",
        };
        if !named.is_empty() {
            spoken.push(named.to_owned());
        }
    }
    spoken.join(" ")
}

/// Short forms that are spelled though they have vowels.
const SPELLED: [&str; 18] = [
    "api", "url", "uri", "cli", "gui", "ui", "id", "io", "os", "ip", "cpu", "gpu", "ai", "usb",
    "ide", "sdk", "py", "uid",
];
/// Short forms that are said as other words.
const SAID: [(&str, &str); 9] = [
    ("src", "source"),
    ("ctrl", "control"),
    ("cfg", "config"),
    ("tmp", "temp"),
    ("usr", "user"),
    ("txt", "text"),
    ("jpg", "J peg"),
    ("sqlite", "S.Q.L light"),
    ("wasm", "wasm"),
];

/// The streams of a process, which nobody understands by their letters.
const STREAMS: [(&str, &str); 3] =
    [("stdin", "standard in"), ("stdout", "standard out"), ("stderr", "standard error")];

fn said(forms: &[(&str, &str)], word: &str) -> Option<String> {
    forms.iter().find(|(short, _)| *short == word).map(|(_, said)| (*said).to_owned())
}

/// A word of a name. What nobody can pronounce is spelled, digits stand apart.
fn part(word: &str) -> String {
    let mut spoken = String::with_capacity(word.len() * 2);
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let run =
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() == digits).len();
        let (piece, after) = rest.split_at(run);
        if !spoken.is_empty() {
            spoken.push(' ');
        }
        spoken.push_str(&letters(piece));
        rest = after;
    }
    spoken
}

fn letters(piece: &str) -> String {
    let small = piece.to_ascii_lowercase();
    if let Some(said) = said(&SAID, &small).or_else(|| said(&STREAMS, &small)) {
        return said;
    }
    let vowels = small.bytes().any(|b| b"aeiouy".contains(&b));
    if !small.bytes().all(|b| b.is_ascii_alphabetic()) {
        piece.to_owned()
    } else if small != piece {
        humps(piece)
    } else if vowels && !SPELLED.contains(&piece) {
        small
    } else {
        spelled(&small)
    }
}

/// Letters with points between, so that they are read as letters.
fn spelled(small: &str) -> String {
    let letters: Vec<String> = small.chars().map(|c| c.to_ascii_uppercase().to_string()).collect();
    letters.join(".")
}

/// "HTTPServer" and "parseJson" as their words; a word all in capitals stays.
fn humps(piece: &str) -> String {
    let bytes = piece.as_bytes();
    let mut spoken = String::with_capacity(piece.len() + 4);
    for (i, c) in piece.char_indices() {
        let upper = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_uppercase);
        let lower = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
        if i > 0 && upper(i) && (lower(i - 1) || lower(i + 1)) {
            spoken.push(' ');
        }
        spoken.push(c);
    }
    spoken
}
