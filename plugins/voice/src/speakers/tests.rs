//! People at angles to each other: who is named what, and what is corrected later.

use carport_voice_api::{About, Failure, Unready};

use super::*;

struct Nobody;

impl SpeakerPrints for Nobody {
    fn about(&self) -> About {
        About::default()
    }
    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }
    fn print(&self, _: &[f32]) -> Result<Voiceprint, Failure> {
        Ok(Voiceprint { vector: Vec::new(), voiced_ms: 0 })
    }
}

fn print(vector: [f32; 3], voiced_ms: u64) -> Voiceprint {
    Voiceprint { vector: vector.to_vec(), voiced_ms }
}

#[test]
fn people_are_numbered_as_they_appear_and_the_enrolled_have_their_names() {
    let ann = ("Ann".to_owned(), vec![vec![0.0, 0.0, 1.0], vec![0.0, 0.1, 1.0]]);
    let mut voices = Voices::new(Arc::new(Nobody), vec![ann]);
    let mut label = |vector, ms| {
        let (speaker, _) = voices.name(0, print(vector, ms));
        (speaker.label, speaker.enrolled)
    };
    let named = |label: &str, enrolled| (label.to_owned(), enrolled);
    assert_eq!(label([1.0, 0.0, 0.0], 2000), named("S1", false));
    assert_eq!(label([0.0, 1.0, 0.0], 2000), named("S2", false));
    assert_eq!(label([0.95, 0.2, 0.0], 2000), named("S1", false));
    assert_eq!(label([0.1, 0.2, 1.0], 2000), named("Ann", true));
    assert_eq!(label([0.4, 0.9, 0.3], 300), named("S2", false), "too short for somebody new");
    assert_eq!(label([-1.0, 0.0, 0.0], 2000), named("S3", false));
}

/// A print at an angle in the plane of two of its numbers, in degrees.
fn at(axis: usize, degrees: f32, voiced_ms: u64) -> Voiceprint {
    let mut vector = vec![0.0; 128];
    vector[axis] = degrees.to_radians().cos();
    vector[axis + 1] = degrees.to_radians().sin();
    Voiceprint { vector, voiced_ms }
}

#[test]
fn a_voice_is_the_middle_of_what_it_said_by_its_length() {
    let mut voices = Voices::new(Arc::new(Nobody), Vec::new());
    voices.name(0, at(0, 0.0, 3000));
    voices.name(1, at(0, 40.0, 3000));
    voices.name(2, at(0, 45.0, 900));
    assert!((cosine(&voices.people[0].sum, &at(0, 20.0, 0).vector) - 1.0).abs() < 1e-6);
    assert_eq!(voices.name(3, at(0, 20.0 + 44.0, 1000)).0.label, "S1");
    assert_eq!(voices.name(4, at(0, 20.0 - 60.0, 1000)).0.label, "S2");
}

#[test]
fn there_is_an_end_to_new_voices() {
    let mut voices = Voices::new(Arc::new(Nobody), Vec::new());
    for axis in 0..MOST + 8 {
        voices.name(axis as u64, at(axis * 2, 0.0, 2000));
    }
    assert_eq!(voices.people.len(), MOST);
    assert!(voices.recent.len() <= RECENT);
}

/// What names are given, and the corrections that come with them.
fn named(voices: &mut Voices, segment_id: u64, print: Voiceprint) -> (String, Vec<(u64, String)>) {
    let (speaker, corrected) = voices.name(segment_id, print);
    (speaker.label, corrected.into_iter().map(|(id, it)| (id, it.label)).collect())
}

#[test]
fn two_that_turn_out_to_be_one_are_corrected_once() {
    let mut voices = Voices::new(Arc::new(Nobody), Vec::new());
    assert_eq!(named(&mut voices, 0, at(0, 0.0, 2000)), ("S1".into(), vec![]));
    assert_eq!(named(&mut voices, 1, at(0, 50.0, 2000)), ("S2".into(), vec![]));
    assert_eq!(named(&mut voices, 2, at(2, 0.0, 2000)), ("S3".into(), vec![]));
    assert_eq!(named(&mut voices, 3, at(0, 50.0, 2000)), ("S2".into(), vec![]));
    // In the middle of the two: their means come nearer than the threshold.
    let all_one = vec![(1, "S1".into()), (3, "S1".into())];
    assert_eq!(named(&mut voices, 4, at(0, 20.0, 4000)), ("S1".into(), all_one));
    assert_eq!(named(&mut voices, 5, at(0, 50.0, 2000)), ("S1".into(), vec![]));
    assert_eq!(named(&mut voices, 6, at(4, 0.0, 2000)), ("S4".into(), vec![]));
}

#[test]
fn whoever_is_recognised_late_was_it_before() {
    let ann = ("Ann".to_owned(), vec![at(0, 0.0, 0).vector]);
    let mut voices = Voices::new(Arc::new(Nobody), vec![ann]);
    let between = |first: f32, second: f32| {
        let mut print = at(0, 0.0, 2000);
        (print.vector[0], print.vector[1], print.vector[2]) = (0.72, first, second);
        print
    };
    // Each alone is less like Ann than it must be; their mean is more.
    let (one, other) = (between(0.694, 0.0), between(0.347, 0.601));
    assert_eq!(named(&mut voices, 0, one), ("S1".into(), vec![]));
    assert_eq!(voices.seems(&at(0, 45.0, 2000)).unwrap().label, "S1");
    assert_eq!(named(&mut voices, 1, other), ("Ann".into(), vec![(0, "Ann".into())]));
    let (again, _) = voices.name(2, between(0.694, 0.0));
    assert!(again.enrolled && again.score.is_some_and(|it| it >= 0.75), "{again:?}");
    assert_eq!(voices.seems(&at(0, 45.0, 2000)).unwrap().label, "Ann");
    assert_eq!(voices.seems(&at(0, 45.0, 999)), None);
}

#[test]
fn a_word_too_short_to_be_somebody_goes_to_whom_it_is_like_in_the_end() {
    let mut voices = Voices::new(Arc::new(Nobody), Vec::new());
    assert_eq!(named(&mut voices, 0, at(0, 0.0, 2000)).0, "S1");
    assert_eq!(named(&mut voices, 1, at(2, 0.0, 300)).0, "S1");
    let corrected = vec![(1, "S2".into())];
    assert_eq!(named(&mut voices, 2, at(2, 10.0, 2000)), ("S2".into(), corrected));
}

#[test]
fn a_print_of_another_model_matches_nobody() {
    let old = ("Ann".to_owned(), vec![vec![1.0, 0.0]]);
    let mut voices = Voices::new(Arc::new(Nobody), vec![old]);
    assert_eq!(voices.name(0, print([1.0, 0.0, 0.0], 2000)).0.label, "S1");
}
