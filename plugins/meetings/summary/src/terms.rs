//! Terms of a sentence, and how much each says in a meeting.

use std::collections::{BTreeMap, BTreeSet};

/// Words that say nothing about what a sentence is about.
const STOP_WORDS: &str = "a about after all also am an and any are as at be because been before being but by can \
    could did do does doing don down for from get go going gonna got had has have having he her here him his \
    how i if in into is it its just know like ll let m me mean more most my no not now of off oh ok okay on \
    one only or other our out over re really right s say see she should so some still such t than that the \
    their them then there these they thing things think this those to too uh um up us ve very was way we well \
    were what when where which who why will with would yeah yes you your";

/// A sentence's terms with their weights, of length 1; empty if it says nothing.
pub(crate) type Vector = BTreeMap<usize, f64>;

/// The words of a text in lower case: letters and digits. Text without spaces counts each letter.
pub(crate) fn words(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    for letter in text.chars().flat_map(char::to_lowercase) {
        let is_ideograph = matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}');
        if !letter.is_alphanumeric() || is_ideograph {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if is_ideograph {
                words.push(letter.into());
            }
            continue;
        }
        word.push(letter);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The vectors of sentences: the frequency of each term times `ln(1 + sentences / sentences with it)`.
pub(crate) fn vectors(sentences: &[&str]) -> Vec<Vector> {
    let stop: BTreeSet<&str> = STOP_WORDS.split_whitespace().collect();
    let (mut numbers, mut counted) = (BTreeMap::<String, usize>::new(), Vec::new());
    for sentence in sentences {
        let mut counts = BTreeMap::<usize, f64>::new();
        for word in words(sentence).into_iter().filter(|it| !stop.contains(it.as_str())) {
            let new = numbers.len();
            let number = *numbers.entry(stem(&word)).or_insert(new);
            *counts.entry(number).or_default() += 1.0;
        }
        counted.push(counts);
    }
    let mut holding = vec![0.0; numbers.len()];
    counted.iter().flat_map(BTreeMap::keys).for_each(|term| holding[*term] += 1.0);
    let all = sentences.len() as f64;
    counted
        .into_iter()
        .map(|counts| {
            unit(
                counts
                    .into_iter()
                    .map(|(term, count)| (term, count * libm::log1p(all / holding[term])))
                    .collect(),
            )
        })
        .collect()
}

/// The centroid of vectors, of length 1.
pub(crate) fn centroid(vectors: &[Vector]) -> Vector {
    let mut sum = Vector::new();
    for (term, weight) in vectors.iter().flatten() {
        *sum.entry(*term).or_default() += weight;
    }
    unit(sum)
}

/// The cosine of two vectors of length 1.
pub(crate) fn cosine(one: &Vector, other: &Vector) -> f64 {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    short.iter().filter_map(|(term, weight)| Some(weight * long.get(term)?)).sum()
}

fn unit(mut vector: Vector) -> Vector {
    let length = vector.values().map(|it| it * it).sum::<f64>().sqrt();
    vector.values_mut().for_each(|it| *it /= length);
    vector
}

/// A word without its English ending, so that `releases`, `released` and `release` are one term. Words of
/// few letters stay.
fn stem(word: &str) -> String {
    let ending = |ending: &str| word.strip_suffix(ending).filter(|it| it.chars().count() > 2);
    if word.ends_with("ss") {
        return word.to_owned();
    }
    let cut = ["ing", "ed"].into_iter().find_map(ending);
    let mut stem = match (cut, ending("s")) {
        (Some(cut), _) | (None, Some(cut)) => cut.to_owned(),
        (None, None) => word.to_owned(),
    };
    let last: Vec<char> = stem.chars().rev().take(2).collect();
    let is_doubled = cut.is_some() && last.len() == 2 && last[0] == last[1];
    if is_doubled || (stem.ends_with('e') && stem.chars().count() > 3) {
        stem.pop();
    }
    // `city` and `cities`.
    if stem.ends_with('y') {
        stem.pop();
        stem.push('i');
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits() {
        assert_eq!(
            words("We'll ship 3 Größen—now! 好的"),
            ["we", "ll", "ship", "3", "größen", "now", "好", "的"]
        );
    }

    #[test]
    fn forms_of_a_word_are_one_term() {
        for forms in [
            &["release", "releases", "released", "releasing"][..],
            &["ship", "ships", "shipped", "shipping"],
            &["city", "cities"],
            &["decide", "decides", "decided"],
        ] {
            assert!(forms.iter().all(|it| stem(it) == stem(forms[0])), "{forms:?}");
        }
        for apart in [["class", "clan"], ["is", "i"], ["bed", "be"], ["sing", "s"]] {
            assert_ne!(stem(apart[0]), stem(apart[1]), "{apart:?}");
        }
    }

    #[test]
    fn alike_sentences_have_a_high_cosine() {
        let vectors = vectors(&[
            "The release ships on Friday",
            "On Friday the releases shipped",
            "Lunch was good",
            "so it is",
        ]);
        assert!(cosine(&vectors[0], &vectors[1]) > 0.99, "{vectors:?}");
        assert!(cosine(&vectors[0], &vectors[2]) < 0.01);
        assert!(vectors[3].is_empty());
        assert!((cosine(&vectors[2], &vectors[2]) - 1.0).abs() < 1e-12);
        assert!(centroid(&[]).is_empty());
    }
}
