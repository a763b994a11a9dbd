//! English endings taken off: `s`, `es`, `ies`, `ing`, `ed`.
//!
//! As steps 1 and 5a of M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980): the steps
//! for these endings, with the repairs that make the forms of a word meet (`caches`, `cached` and
//! `cache`; `cities` and `city`; `running` and `run`). Unlike there, a word of three letters or less
//! stays as it is, and no step leaves less than three.

/// The least that is left of a word.
const LEAST: usize = 3;

/// The word without its ending. A word that is not made of the letters `a` to `z` alone has none.
pub(crate) fn stem(word: &str) -> String {
    let mut stem = word.to_owned();
    if word.bytes().all(|letter| letter.is_ascii_lowercase()) {
        for step in [plural, participle, final_y, final_e] {
            if stem.len() > LEAST {
                step(&mut stem);
            }
        }
    }
    stem
}

/// Step 1a.
fn plural(word: &mut String) {
    if word.ends_with("sses") || (word.ends_with("ies") && word.len() > LEAST + 1) {
        word.truncate(word.len() - 2);
    } else if word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
}

/// Step 1b.
fn participle(word: &mut String) {
    if let Some(rest) = word.strip_suffix("eed") {
        if measure(rest) > 0 {
            word.pop();
        }
        return;
    }
    let rest = word.strip_suffix("ed").or_else(|| word.strip_suffix("ing"));
    let Some(rest) = rest.filter(|it| it.len() >= LEAST && has_vowel(it)) else { return };
    word.truncate(rest.len());
    let is_double = matches!(word.as_bytes(), [.., a, b] if a == b) && !ends_with_vowel(word);
    if ["at", "bl", "iz"].iter().any(|it| word.ends_with(it)) {
        word.push('e');
    } else if is_double && !word.ends_with(['l', 's', 'z']) && word.len() > LEAST {
        word.pop();
    } else if measure(word) == 1 && ends_short(word) {
        word.push('e');
    }
}

/// Step 1c.
fn final_y(word: &mut String) {
    if word.strip_suffix('y').is_some_and(has_vowel) {
        word.pop();
        word.push('i');
    }
}

/// Step 5a.
fn final_e(word: &mut String) {
    let Some(rest) = word.strip_suffix('e') else { return };
    let measure = measure(rest);
    if measure > 1 || (measure == 1 && !ends_short(rest)) {
        word.pop();
    }
}

/// Whether each letter is a vowel: `a e i o u`, and `y` after a consonant.
fn vowels(word: &str) -> impl Iterator<Item = bool> {
    word.bytes().scan(true, |after_vowel, letter| {
        *after_vowel = match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => true,
            b'y' => !*after_vowel,
            _ => false,
        };
        Some(*after_vowel)
    })
}

fn has_vowel(word: &str) -> bool {
    vowels(word).any(|it| it)
}

fn ends_with_vowel(word: &str) -> bool {
    vowels(word).last() == Some(true)
}

/// How often vowels are followed by consonants: Porter's *m*.
fn measure(word: &str) -> usize {
    let mut before = false;
    vowels(word).filter(|&is_vowel| std::mem::replace(&mut before, is_vowel) && !is_vowel).count()
}

/// Whether it ends with consonant, vowel, consonant, and the last is none of `w x y`: Porter's *\*o*.
fn ends_short(word: &str) -> bool {
    let vowels: Vec<bool> = vowels(word).collect();
    vowels.ends_with(&[false, true, false]) && !word.ends_with(['w', 'x', 'y'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_word_meet() {
        for forms in [
            &["cache", "caches", "cached", "caching"][..],
            &["city", "cities"],
            &["run", "runs", "running"],
            &["house", "houses"],
            &["box", "boxes"],
            &["class", "classes"],
            &["name", "names", "named", "naming"],
            &["plan", "plans", "planned", "planning"],
            &["movie", "movies"],
            &["agree", "agrees", "agreed", "agreeing"],
            &["create", "creates", "created", "creating"],
            &["day", "days"],
            &["use", "uses"],
            &["tie", "ties"],
            &["add", "adds", "added", "adding"],
            &["fall", "falls", "falling"],
            &["deploy", "deploys", "deployed", "deploying"],
        ] {
            for form in forms {
                assert_eq!(stem(form), stem(forms[0]), "{form}");
            }
        }
    }

    #[test]
    fn what_is_no_ending_stays() {
        for word in
            ["king", "string", "bed", "red", "sing", "is", "as", "glass", "größen", "v2s", ""]
        {
            assert_eq!(stem(word), word);
        }
        for (one, other) in [("care", "car"), ("plane", "plan"), ("note", "not"), ("use", "us")] {
            assert_ne!(stem(one), stem(other));
        }
    }
}
