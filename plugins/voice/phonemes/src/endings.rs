//! What -s, -ed and -ing sound like after a stem.

/// Vowels after which an American "t" is tapped.
fn taps(c: char) -> bool {
    "AIOWYiuæɑəɛɪɹʊʌ".contains(c)
}

/// A stem with the ending of plurals and third persons.
pub(crate) fn with_s(stem: String) -> Option<String> {
    Some(match stem.chars().next_back()? {
        'p' | 't' | 'k' | 'f' | 'θ' => stem + "s",
        's' | 'z' | 'ʃ' | 'ʒ' | 'ʧ' | 'ʤ' => stem + "ᵻz",
        _ => stem + "z",
    })
}

/// A stem with the ending of the past.
pub(crate) fn with_ed(stem: String) -> Option<String> {
    let mut back = stem.chars().rev();
    let (last, before) = (back.next()?, back.next());
    Some(match last {
        'p' | 'k' | 'f' | 'θ' | 'ʃ' | 's' | 'ʧ' => stem + "t",
        'd' => stem + "ᵻd",
        't' if before.is_none() => stem + "ɪd",
        't' if before.is_some_and(taps) => format!("{}ɾᵻd", &stem[..stem.len() - 1]),
        't' => stem + "ᵻd",
        _ => stem + "d",
    })
}

/// A stem with the ending of the participle.
pub(crate) fn with_ing(stem: String) -> Option<String> {
    let mut back = stem.chars().rev();
    let (last, before) = (back.next()?, back.next());
    Some(if last == 't' && before.is_some_and(taps) {
        format!("{}ɾɪŋ", &stem[..stem.len() - 1])
    } else {
        stem + "ɪŋ"
    })
}
