//! Tests of what the terms of a text are.

use proptest::prelude::*;

use super::*;

fn list(text: &str) -> Vec<String> {
    let mut list = Vec::new();
    terms(text, |term| list.push(term.to_owned()));
    list
}

#[test]
fn a_text_falls_into_words() {
    for (text, expected) in [
        ("Mount Everest: 8849 m", vec!["mount", "everest", "8849", "m"]),
        ("read_file(fs/read-file.rs)", vec!["read", "file", "fs", "read", "file", "rs"]),
        ("don't", vec!["don", "t"]),
        ("ＦＵＬＬ ﬁsh ²", vec!["full", "fish", "2"]),
        ("Stra\u{df}e CAFÉ cafe\u{301}", vec!["straße", "café", "café"]),
        ("ΟΔΟΣ οδός οδος", vec!["οδοσ", "οδόσ", "οδοσ"]),
        ("हिन्दी", vec!["हिनदी"]),
        ("東京都は晴れ", vec!["東京", "京都", "都は", "は晴", "晴れ"]),
        ("山 iPhone手机", vec!["山", "iphon", "手机"]),
        ("a\0b \"c\" AND (d*)", vec!["a", "b", "c", "and", "d"]),
        ("🚀 -- !?", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(list(text), expected, "{text}");
    }
    assert_eq!(list(&"x".repeat(100_000)), ["x".repeat(64)]);
}

#[test]
fn stop_words_count_only_alone() {
    assert!(STOP_WORDS.is_sorted());
    let terms = |query: &str| Asked::of(query).terms.into_keys().collect::<Vec<_>>();
    assert_eq!(terms("How tall is the Mount"), ["mount", "tall"]);
    assert_eq!(terms("Who are you"), ["are", "who", "you"]);
    assert_eq!(terms("tall tall TALL"), ["tall"]);
    assert_eq!(Asked::of("the Cities").terms["citi"], (1, "cities".into()));
    assert_eq!(Asked::of("?!"), Asked::default());
}

#[test]
fn a_subject_is_the_same_in_any_writing() {
    assert_eq!(subject_key("  Mount   EVEREST!"), subject_key("mount-everest"));
    assert_ne!(subject_key("mount everest"), subject_key("mounteverest"));
    assert_eq!(subject_key(" 🚀 "), "🚀");
    assert_ne!(subject_key("??"), subject_key("!!"));
}

proptest! {
    #[test]
    fn terms_are_short_letters_and_digits_in_lower_case(text in any::<String>()) {
        for term in list(&text) {
            prop_assert!((1..=LONGEST).contains(&term.chars().count()));
            prop_assert!(term.chars().all(char::is_alphanumeric), "{}", term);
            prop_assert!(!term.chars().any(|it| it.is_ascii_uppercase()));
        }
    }

    #[test]
    fn how_a_text_is_composed_does_not_count(text in any::<String>()) {
        let apart: String = text.nfkd().collect();
        let joined: String = text.nfkc().collect();
        prop_assert_eq!(list(&apart), list(&joined));
    }

    #[test]
    fn a_query_asks_for_terms_of_its_text(text in any::<String>()) {
        let set = term_set(&text);
        let asked = Asked::of(&text);
        prop_assert_eq!(asked.terms.is_empty(), set.is_empty());
        prop_assert!(asked.terms.keys().all(|term| set.contains(term)));
    }
}
