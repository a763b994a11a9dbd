//! Stress marks and vowels in the voice's phoneme alphabet.

/// Before the vowel that is stressed most.
pub(crate) const PRIMARY: char = 'ˈ';
/// Before a vowel of weaker stress.
pub(crate) const SECONDARY: char = 'ˌ';

/// Whether a phoneme is a vowel; the capitals are diphthongs.
pub(crate) fn is_vowel(c: char) -> bool {
    "AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻ".contains(c)
}

/// Whether a phoneme is a consonant.
pub(crate) fn is_consonant(c: char) -> bool {
    "bdfhjklmnpstvwzðŋɡɹɾʃʒʤʧθ".contains(c)
}

/// Length of a word in units of a plain phoneme; diphthongs and affricates count twice.
pub(crate) fn weight(phonemes: &str) -> usize {
    phonemes.chars().map(|c| if "AIOQWYʤʧ".contains(c) { 2 } else { 1 }).sum()
}

/// How strongly a word is to be spoken, against what the lexicon says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stress {
    /// No stress at all.
    None,
    /// One step weaker: primary becomes secondary.
    Weaker,
    /// As letters that are spelled: one step weaker, and never wholly without stress.
    Spelled,
    /// A capitalized word: stressed a little where it would be unstressed.
    Capital,
    /// A word in capitals: its strongest stress becomes primary.
    Capitals,
}

impl Stress {
    /// `phonemes` with their marks changed.
    pub(crate) fn apply(self, phonemes: &str) -> String {
        let primary = phonemes.contains(PRIMARY);
        let secondary = phonemes.contains(SECONDARY);
        match self {
            Self::None => phonemes.replace([PRIMARY, SECONDARY], ""),
            Self::Weaker | Self::Spelled if primary => {
                phonemes.replace(SECONDARY, "").replace(PRIMARY, &SECONDARY.to_string())
            }
            Self::Spelled | Self::Capital if !primary && !secondary => {
                before_first_vowel(phonemes, SECONDARY)
            }
            Self::Capitals if !primary && secondary => {
                phonemes.replace(SECONDARY, &PRIMARY.to_string())
            }
            Self::Capitals if !primary => before_first_vowel(phonemes, PRIMARY),
            _ => phonemes.to_owned(),
        }
    }
}

fn before_first_vowel(phonemes: &str, mark: char) -> String {
    let mut marked = phonemes.to_owned();
    if let Some(at) = phonemes.find(is_vowel) {
        marked.insert(at, mark);
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::Stress;

    #[test]
    fn marks_move_by_the_step_asked_for() {
        for (stress, phonemes, expected) in [
            (Stress::None, "ˌʌndəɹstˈænd", "ʌndəɹstænd"),
            (Stress::Weaker, "ˌʌndəɹstˈænd", "ʌndəɹstˌænd"),
            (Stress::Weaker, "ðə", "ðə"),
            (Stress::Spelled, "ðə", "ðˌə"),
            (Stress::Capital, "ðə", "ðˌə"),
            (Stress::Capital, "hˈWs", "hˈWs"),
            (Stress::Capitals, "bˌɪn", "bˈɪn"),
            (Stress::Capitals, "ðə", "ðˈə"),
            (Stress::Capitals, "st", "st"),
        ] {
            assert_eq!(stress.apply(phonemes), expected, "{stress:?} {phonemes}");
        }
    }
}
