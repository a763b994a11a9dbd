//! Readers of subtitles that take nothing but what the formats allow: WebVTT as the W3C's grammar has it
//! (Candidate Recommendation, 4 April 2019, section 4), and SubRip as players agree on it.

/// Somebody says something on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cue {
    pub(crate) id: String,
    pub(crate) start_ms: u64,
    pub(crate) end_ms: u64,
    pub(crate) voice: String,
    pub(crate) text: String,
}

type Parsed<T> = Result<T, String>;

/// Every cue of a WebVTT file, or what is wrong with it.
pub(crate) fn web_vtt(text: &str) -> Parsed<Vec<Cue>> {
    if text.contains(['\r', '\0']) {
        return Err("a byte that ours does not write".into());
    }
    let (header, body) = text.split_once('\n').ok_or("no line end after the header")?;
    let after = header.strip_prefix("WEBVTT").ok_or("no signature")?;
    if !(after.is_empty() || after.starts_with([' ', '\t'])) || after.contains("-->") {
        return Err(format!("a wrong header: {header}"));
    }
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let blocks = body.strip_prefix('\n').ok_or("no empty line after the header")?;
    let cues: Vec<Cue> =
        blocks.trim_end_matches('\n').split("\n\n").map(cue).collect::<Parsed<_>>()?;
    match cues.is_sorted_by_key(|it| it.start_ms) {
        true => Ok(cues),
        false => Err("a cue begins before the one above it".into()),
    }
}

fn cue(block: &str) -> Parsed<Cue> {
    let wrong = |what: &str| format!("{what}: {block:?}");
    let mut lines = block.split('\n');
    let id = lines.next().filter(|it| !it.is_empty()).ok_or_else(|| wrong("no id"))?;
    if id.contains("-->") {
        return Err(wrong("an arrow in an id"));
    }
    let (start_ms, end_ms) =
        times(lines.next().unwrap_or_default(), '.').map_err(|it| wrong(&it))?;
    let payload = lines.collect::<Vec<_>>().join("\n");
    if payload.is_empty() || payload.contains("-->") {
        return Err(wrong("no payload, or an arrow in it"));
    }
    let spoken = payload.strip_prefix("<v ").ok_or_else(|| wrong("no voice"))?;
    let (voice, text) = spoken.split_once('>').ok_or_else(|| wrong("a tag without an end"))?;
    let text = text.strip_suffix("</v>").ok_or_else(|| wrong("a voice without an end"))?;
    if voice.contains('\n') || voice.trim().is_empty() {
        return Err(wrong("no name of a voice"));
    }
    let (voice, text) = (unescaped(voice).map_err(|it| wrong(&it))?, unescaped(text)?);
    Ok(Cue { id: id.into(), start_ms, end_ms, voice, text })
}

/// Text without tags, in which `&` begins a reference and nothing else.
fn unescaped(text: &str) -> Parsed<String> {
    if text.contains(['<', '>']) {
        return Err(format!("a bare bracket: {text}"));
    }
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').ok_or(format!("a bare `&`: {text}"))?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            _ => return Err(format!("an unknown reference: {name}")),
        });
        plain.push_str(rest);
    }
    Ok(plain)
}

/// `00:00:01.000 --> 00:00:02.500`: an end after a beginning.
fn times(line: &str, point: char) -> Parsed<(u64, u64)> {
    let (start, end) = line.split_once(" --> ").ok_or(format!("no times: {line}"))?;
    let (start, end) = (time(start, point)?, time(end, point)?);
    if end > start { Ok((start, end)) } else { Err(format!("an end before its beginning: {line}")) }
}

fn time(text: &str, point: char) -> Parsed<u64> {
    let wrong = || format!("no time: {text:?}");
    let (clock, part) = text.split_once(point).ok_or_else(wrong)?;
    let [hours, minutes, seconds] = clock.split(':').collect::<Vec<_>>()[..] else {
        return Err(wrong());
    };
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>, most: u64| {
        let is_number = digits.contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
        text.parse::<u64>().ok().filter(|it| is_number && *it <= most).ok_or_else(wrong)
    };
    let hours = number(hours, 2..=9, u64::MAX)?;
    let minutes = hours * 60 + number(minutes, 2..=2, 59)?;
    Ok((minutes * 60 + number(seconds, 2..=2, 59)?) * 1000 + number(part, 3..=3, 999)?)
}

/// Every cue of a SubRip file, or what is wrong with it. What stands before the first colon is the voice.
pub(crate) fn subrip(text: &str) -> Parsed<Vec<Cue>> {
    let blocks = text.split("\n\n").filter(|it| !it.is_empty());
    let cues: Parsed<Vec<_>> =
        blocks.enumerate().map(|(at, block)| numbered(at + 1, block)).collect();
    match text.is_empty() || text.ends_with("\n\n") {
        true => cues,
        false => Err("no empty line behind the last cue".into()),
    }
}

fn numbered(number: usize, block: &str) -> Parsed<Cue> {
    let [id, line, said] = block.split('\n').collect::<Vec<_>>()[..] else {
        return Err(format!("not three lines: {block:?}"));
    };
    let (start_ms, end_ms) = times(line, ',')?;
    let (voice, text) = said.split_once(": ").ok_or(format!("nobody says: {said}"))?;
    if id != number.to_string() || said.contains(['<', '>', '{', '}']) || said.contains("-->") {
        return Err(format!("a wrong number, or a tag: {block:?}"));
    }
    Ok(Cue { id: id.into(), start_ms, end_ms, voice: voice.into(), text: text.into() })
}

#[test]
fn what_the_formats_forbid_is_refused() {
    let good = "WEBVTT - x\n\n0\n00:00:00.000 --> 00:00:01.000\n<v A &amp; B>a &lt; b</v>\n";
    assert_eq!(web_vtt(good).unwrap()[0].text, "a < b");
    assert_eq!(web_vtt("WEBVTT\n").unwrap(), []);
    for (from, to) in [
        ("WEBVTT - x", "WEBVTT-x"),
        ("- x", "--> x"),
        ("x\n\n", "x\n"),
        ("00.000 -->", "00,000 -->"),
        ("00:00:01.000", "00:00:00.000"),
        ("00:00:01.000", "00:60:01.000"),
        ("00:00:01.000", "00:00:01.00"),
        (" --> ", " -> "),
        ("&lt;", "<"),
        ("&lt;", "&"),
        ("&lt;", "&nope;"),
        ("</v>", ""),
        ("A &amp; B", ""),
        ("a &lt;", "a\n\n&lt;"),
        ("a &lt;", "a -->"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(bad != good && web_vtt(&bad).is_err(), "{bad}");
    }
    let good = "1\n00:00:00,000 --> 00:00:01,000\nA: b\n\n";
    assert_eq!(subrip(good).unwrap()[0].voice, "A");
    for (from, to) in [
        ("1\n", "2\n"),
        (",000 -", ".000 -"),
        ("b\n\n", "b\n"),
        ("b", "<i>b"),
        ("A: ", "A"),
        ("b", "b\nc"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(bad != good && subrip(&bad).is_err(), "{bad}");
    }
}
