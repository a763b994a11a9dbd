//! The segmenter against a simple model, and its promises one by one.

use std::ops::Range;

use proptest::prelude::*;

use super::*;

/// Feeds scores and ends the stream.
fn run(options: VadOptions, scores: impl IntoIterator<Item = f32>) -> (Segmenter, Vec<Event>) {
    let (mut machine, mut events) = (Segmenter::new(options), Vec::new());
    for score in scores {
        machine.push(score, &mut events);
    }
    machine.flush(Reason::Stop, &mut events);
    (machine, events)
}

fn scores(parts: &[(f32, usize)]) -> Vec<f32> {
    parts.iter().flat_map(|(score, count)| std::iter::repeat_n(*score, *count)).collect()
}

/// Frames as a position.
fn at(frames: u64) -> u64 {
    frames * 256
}

#[test]
fn one_word_gives_its_events_in_order() {
    let (machine, events) = run(VadOptions::default(), scores(&[(0.0, 30), (0.9, 50), (0.1, 40)]));
    let from = at(10);
    assert_eq!(
        events,
        [
            Event::Started { segment: 0, at: at(30), from },
            Event::Partial { segment: 0, from, to: at(59) },
            Event::Partial { segment: 0, from, to: at(84) },
            Event::Eager { segment: 0, from, to: at(93) },
            Event::Stopped {
                segment: 0,
                from,
                to: at(112),
                at: at(80),
                reason: Reason::Silence,
                eager: Some(at(93))
            },
        ]
    );
    assert_eq!((machine.speech_ms(), machine.segments()), (800, 1));
}

#[test]
fn a_blip_is_no_speech_and_a_lower_score_keeps_it_open() {
    let (_, events) =
        run(VadOptions::default(), scores(&[(0.0, 9), (0.9, 3), (0.49, 1), (0.9, 3)]));
    assert_eq!(events, []);
    let parts = [(0.9, 4), (0.36, 100), (0.34, 32), (0.49, 50)];
    let (_, events) = run(VadOptions::default(), scores(&parts));
    let stopped = events.iter().filter(|it| matches!(it, Event::Stopped { .. })).count();
    assert_eq!(stopped, 1, "0.49 is no new beginning: {events:?}");
}

#[test]
fn speech_after_an_eager_look_takes_it_back() {
    let parts = [(0.9, 10), (0.0, 20), (0.9, 10), (0.0, 5)];
    let (_, events) = run(VadOptions::default(), scores(&parts));
    assert!(events.contains(&Event::Eager { segment: 0, from: 0, to: at(23) }));
    let Some(Event::Stopped { eager: None, reason: Reason::Stop, at: last, .. }) = events.last()
    else {
        panic!("{events:?}")
    };
    assert_eq!(*last, at(40));
}

#[test]
fn a_partial_does_not_stand_in_the_way_of_the_text_after_a_silence() {
    let parts = [(0.9, 46), (0.0, 10), (0.9, 10)];
    let (_, events) = run(VadOptions::default(), scores(&parts));
    let partial = |to: u64| Event::Partial { segment: 0, from: 0, to: at(to) };
    let partials: Vec<_> =
        events.into_iter().filter(|it| matches!(it, Event::Partial { .. })).collect();
    assert_eq!(partials, [partial(29), partial(57)], "the second was due at 54");
}

#[test]
fn a_long_segment_is_cut_at_its_weakest_frame() {
    let options = VadOptions { max_segment_ms: 2000, ..VadOptions::default() };
    let parts = [(0.9, 20), (0.4, 1), (0.9, 84), (0.5, 1), (0.9, 49)];
    let (machine, events) = run(options, scores(&parts));
    let pieces: Vec<_> = events
        .iter()
        .filter_map(|it| match it {
            Event::Stopped { from, to, reason, .. } => Some((*from, *to, *reason)),
            _ => None,
        })
        .collect();
    assert_eq!(pieces, [(0, at(106), Reason::MaxLength), (at(106), at(155), Reason::Stop)]);
    assert_eq!(machine.speech_ms(), 155 * 16);
}

#[test]
fn a_cut_with_nothing_after_it_begins_no_segment() {
    let options = VadOptions { max_segment_ms: 2000, end_ms: 5000, ..VadOptions::default() };
    let (_, events) = run(options, scores(&[(0.9, 100), (0.0, 200)]));
    let started = events.iter().filter(|it| matches!(it, Event::Started { .. })).count();
    assert_eq!(started, 1, "{events:?}");
}

#[test]
fn speech_in_the_last_frame_of_a_silence_that_was_cut_away_goes_on() {
    // 2000 ms are 125 frames, the cut comes at once, and the silence of 32 frames lasts to frame 131.
    let options = VadOptions { max_segment_ms: 2000, ..VadOptions::default() };
    let (end, voiced) = (frames(options.end_ms) as usize, 100);
    let begun = |silence: usize| {
        let (_, events) =
            run(options, scores(&[(0.9, voiced), (0.0, silence), (0.9, 1), (0.0, 9)]));
        events.iter().filter(|it| matches!(it, Event::Started { .. })).count()
    };
    assert_eq!((begun(end - 1), begun(end)), (2, 1));
}

#[test]
fn a_flush_ends_the_segment_and_the_next_does_not_reach_back() {
    let (mut machine, mut events) = (Segmenter::new(VadOptions::default()), Vec::new());
    assert!(!machine.flush(Reason::Flush, &mut events));
    for _ in 0..10 {
        machine.push(0.9, &mut events);
    }
    assert_eq!((machine.open_segment(), machine.needed_from()), (Some(0), 0));
    assert!(machine.flush(Reason::Flush, &mut events));
    assert_eq!(machine.open_segment(), None);
    for _ in 0..4 {
        machine.push(0.9, &mut events);
    }
    assert_eq!(events.last(), Some(&Event::Started { segment: 1, at: at(10), from: at(10) }));
}

#[test]
fn an_hour_of_silence_costs_nothing_and_gives_nothing() {
    let (mut machine, mut events) = (Segmenter::new(VadOptions::default()), Vec::new());
    for frame in 0..225_000u64 {
        // A murmur below the threshold, and a click now and then.
        let score = if frame % 1000 == 0 { 0.9 } else { 0.3 };
        machine.push(score, &mut events);
        assert!(machine.run.len() <= 1 && machine.open.is_none());
        assert!(at(frame + 1) - machine.needed_from() <= at(21));
    }
    assert_eq!(events, []);
    assert!(events.capacity() == 0 && machine.run.capacity() <= 4);
    assert_eq!((machine.now, machine.speech_ms()), (225_000, 0));
}

/// Speech as a model sees it, without cuts: stretches of frames from onset to the end of silence.
fn model(options: &VadOptions, scores: &[f32]) -> Vec<(u64, u64)> {
    let (start, end) = (frames(options.start_ms) as usize, frames(options.end_ms) as usize);
    let mut found = Vec::new();
    let mut place = 0;
    while place + start <= scores.len() {
        if scores[place..place + start].iter().any(|it| *it < options.threshold) {
            place += 1;
            continue;
        }
        let mut last = place + start;
        while let Some(more) = scores[last..].iter().take(end).position(|it| *it >= options.stay())
        {
            last += more + 1;
        }
        let stop = (last + end).min(scores.len());
        found.push((place as u64, stop as u64));
        place = stop;
    }
    found
}

/// Rule 7 of the contract: started, any number of partial and eager, stopped; then the next.
fn ordered(events: &[Event]) -> Result<Vec<(u64, u64, u64)>, TestCaseError> {
    let (mut open, mut found) = (None, Vec::new());
    for event in events {
        match *event {
            Event::Started { segment, at, from } => {
                prop_assert!(open.is_none() && segment == found.len() as u64 && from <= at);
                open = Some((segment, at, from));
            }
            Event::Partial { segment, from, to } | Event::Eager { segment, from, to } => {
                prop_assert!(open.is_some_and(|it| it.0 == segment && it.2 == from) && to > from);
            }
            Event::Stopped { segment, from, to, at, .. } => {
                let (number, onset, begun) = open.take().expect("nothing was open");
                prop_assert!((number, begun) == (segment, from) && onset < at && at <= to);
                found.push((onset / 256, from / 256, to / 256));
            }
        }
    }
    prop_assert!(open.is_none());
    Ok(found)
}

/// A score in thousandths: samples of a narrow range of floats now and then fail an assertion of proptest's own.
fn score(thousandths: Range<u16>) -> impl Strategy<Value = f32> {
    thousandths.prop_map(|it| f32::from(it) / 1000.0)
}

fn some_scores() -> impl Strategy<Value = Vec<f32>> {
    let level = prop_oneof![3 => 600u16..1000, 3 => 0u16..300, 1 => 0u16..1000];
    let stretch = (level, 1usize..90).prop_flat_map(|(level, count)| {
        prop::collection::vec(score(level.saturating_sub(100)..level + 100), count)
    });
    prop::collection::vec(stretch, 1..25).prop_map(|it| it.concat())
}

fn some_options() -> impl Strategy<Value = VadOptions> {
    (score(200..800), 16u32..300, 0u32..1000, 0u32..900, 200u32..900, 100u32..900).prop_map(
        |(threshold, start_ms, preroll_ms, eager_ms, end_ms, partial_ms)| VadOptions {
            threshold,
            start_ms,
            preroll_ms,
            eager_ms,
            end_ms,
            partial_ms,
            max_segment_ms: 30_000,
        },
    )
}

proptest! {
    #[test]
    fn segments_are_those_of_the_model(options in some_options(), scores in some_scores()) {
        let options = options.clamped();
        prop_assume!(scores.len() < 1800);
        let (machine, events) = run(options, scores.iter().copied());
        let found = ordered(&events)?;
        let stretches: Vec<_> = found.iter().map(|it| (it.0, it.2)).collect();
        prop_assert_eq!(stretches, model(&options, &scores));
        prop_assert_eq!(machine.segments(), found.len() as u64);
    }

    #[test]
    fn segments_never_overlap_and_cover_all_speech(
        options in some_options(),
        max_segment_ms in 2000u32..4000,
        scores in some_scores(),
    ) {
        let options = VadOptions { max_segment_ms, ..options }.clamped();
        let (_, events) = run(options, scores.iter().copied());
        let found = ordered(&events)?;
        for pair in found.windows(2) {
            prop_assert!(pair[0].2 <= pair[1].1, "{:?}", pair);
        }
        for (_, from, to) in &found {
            prop_assert!((to - from) * 16 <= u64::from(max_segment_ms));
        }
        let covered = |frame: u64| found.iter().any(|it| (it.1..it.2).contains(&frame));
        for (start, stop) in model(&options, &scores) {
            for frame in start..stop {
                let voiced = scores[frame as usize] >= options.threshold;
                prop_assert!(!voiced || covered(frame), "frame {} of {:?}", frame, found);
            }
        }
    }

    #[test]
    fn samples_that_were_let_go_are_not_asked_for(
        options in some_options(),
        max_segment_ms in 2000u32..4000,
        scores in some_scores(),
    ) {
        let mut machine = Segmenter::new(VadOptions { max_segment_ms, ..options });
        let (mut events, mut gone) = (Vec::new(), 0);
        for score in scores {
            machine.push(score, &mut events);
            for event in events.drain(..) {
                let (Event::Started { from, .. } | Event::Partial { from, .. }
                    | Event::Eager { from, .. } | Event::Stopped { from, .. }) = event;
                prop_assert!(from >= gone);
            }
            prop_assert!(machine.needed_from() >= gone);
            gone = machine.needed_from();
        }
    }
}
