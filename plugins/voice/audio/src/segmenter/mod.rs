//! Where speech begins and ends: a machine over voice-activity scores, one for each 16 ms.
//!
//! Speech begins after `start_ms` in a row at or above the threshold. It goes on while scores stay above
//! the lower threshold, and ends after `end_ms` below it. A segment that grows too long is cut at the
//! weakest frame of its last quarter, and what follows the cut is the next segment.

mod options;
#[cfg(test)]
mod tests;

pub use options::VadOptions;
use options::frames;

/// Samples of one frame, at 16 kHz.
pub const FRAME: usize = 256;
/// Milliseconds of one frame.
const FRAME_MS: u32 = 16;

/// Why a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `end_ms` without speech.
    Silence,
    /// It was cut at `max_segment_ms`.
    MaxLength,
    /// Somebody asked for it.
    Flush,
    /// The stream ended.
    Stop,
}

/// What the machine says. Positions are samples of 16 kHz from the first of the stream; `from..to` is the
/// sound to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A segment began. Its sound begins at `from`, a pre-roll before the onset `at`.
    Started {
        /// Counted from 0.
        segment: u64,
        /// Where speech began.
        at: u64,
        /// Where its sound begins.
        from: u64,
    },
    /// A partial text would be due.
    Partial {
        /// The open segment.
        segment: u64,
        /// Where its sound begins.
        from: u64,
        /// Its sound so far.
        to: u64,
    },
    /// `eager_ms` of silence: what is decoded now is probably final.
    Eager {
        /// The open segment.
        segment: u64,
        /// Where its sound begins.
        from: u64,
        /// Its sound so far.
        to: u64,
    },
    /// A segment ended. Only now does another begin.
    Stopped {
        /// The segment that was open.
        segment: u64,
        /// Where its sound begins.
        from: u64,
        /// Where its sound ends; the next segment's begins there or later.
        to: u64,
        /// The last voiced moment.
        at: u64,
        /// Why.
        reason: Reason,
        /// The `to` of the last [`Event::Eager`], if no speech came since: its text is that of the segment.
        eager: Option<u64>,
    },
}

/// The segment that is open. Numbers are frames, from the first of the stream.
struct Open {
    from: u64,
    /// The frame after the last voiced one.
    voiced_to: u64,
    next_partial: u64,
    eager: Option<u64>,
    /// The score of each frame since `from`, for the cut.
    scores: Vec<f32>,
}

/// The machine. It holds the scores of an open segment and nothing else, so silence costs no memory.
pub struct Segmenter {
    options: VadOptions,
    /// Frames seen.
    now: u64,
    /// The latest frames in a row that are at or above the threshold, while no segment is open.
    run: Vec<f32>,
    open: Option<Open>,
    /// Where the last segment ended.
    taken_to: u64,
    /// Until this frame speech goes on that a cut interrupted: it need not begin anew.
    warm_to: u64,
    next: u64,
    voiced: u64,
}

impl Segmenter {
    /// A machine at the beginning of a stream; options are clamped.
    pub fn new(options: VadOptions) -> Self {
        let options = options.clamped();
        Self {
            options,
            now: 0,
            run: Vec::new(),
            open: None,
            taken_to: 0,
            warm_to: 0,
            next: 0,
            voiced: 0,
        }
    }

    /// The options in force.
    pub fn options(&self) -> &VadOptions {
        &self.options
    }

    /// Takes the score of the next frame and appends what follows from it. No number counts as silence.
    pub fn push(&mut self, score: f32, events: &mut Vec<Event>) {
        self.now += 1;
        match self.open.take() {
            None => self.listen(score, events),
            Some(open) => self.follow(open, score, events),
        }
    }

    /// Ends the open segment now; gives whether there was one. Frames that were too few to begin a segment
    /// go on counting.
    pub fn flush(&mut self, reason: Reason, events: &mut Vec<Event>) -> bool {
        let Some(open) = self.open.take() else { return false };
        self.stop(&open, self.now, reason, events);
        true
    }

    /// The open segment.
    pub fn open_segment(&self) -> Option<u64> {
        self.open.as_ref().map(|_| self.next - 1)
    }

    /// Whether a partial text is worth its making. In the middle of a silence the text that follows it is
    /// worth more.
    pub fn may_be_partial(&self) -> bool {
        self.open.as_ref().is_some_and(|open| self.is_spoken(open))
    }

    fn is_spoken(&self, open: &Open) -> bool {
        (self.now - open.voiced_to) * 2 < frames(self.options.eager_ms)
    }

    /// How many segments began.
    pub fn segments(&self) -> u64 {
        self.next
    }

    /// How much speech there was in segments that ended, in milliseconds.
    pub fn speech_ms(&self) -> u64 {
        self.voiced * u64::from(FRAME_MS)
    }

    /// Samples before this position will not be asked for.
    pub fn needed_from(&self) -> u64 {
        let first = match &self.open {
            Some(open) => open.from,
            None => self.onset_reach(self.now - self.run.len() as u64),
        };
        samples(first)
    }

    /// Where the sound of a segment with this onset begins.
    fn onset_reach(&self, onset: u64) -> u64 {
        onset.saturating_sub(u64::from(self.options.preroll_ms / FRAME_MS)).max(self.taken_to)
    }

    /// No segment is open.
    fn listen(&mut self, score: f32, events: &mut Vec<Event>) {
        let (enough, needed) = match self.now <= self.warm_to {
            true => (self.options.stay(), 1),
            false => (self.options.threshold, frames(self.options.start_ms)),
        };
        if score.is_nan() || score < enough {
            return self.run.clear();
        }
        self.run.push(score);
        if (self.run.len() as u64) < needed {
            return;
        }
        let run = std::mem::take(&mut self.run);
        let onset = self.now - run.len() as u64;
        let from = self.onset_reach(onset);
        // The pre-roll is silence to the cut: it is never chosen, because the cut lies in the last quarter.
        let mut scores = vec![0.0; (onset - from) as usize];
        scores.extend(run);
        self.begin(onset, from, scores, events);
    }

    fn begin(&mut self, onset: u64, from: u64, scores: Vec<f32>, events: &mut Vec<Event>) {
        let segment = self.next;
        self.next += 1;
        events.push(Event::Started { segment, at: samples(onset), from: samples(from) });
        let next_partial = self.now + frames(self.options.partial_ms);
        let voiced_to = self.now;
        self.open = Some(Open { from, voiced_to, next_partial, eager: None, scores });
    }

    /// A segment is open.
    fn follow(&mut self, mut open: Open, score: f32, events: &mut Vec<Event>) {
        let score = if score.is_nan() { 0.0 } else { score };
        let segment = self.next - 1;
        let (from, to) = (samples(open.from), samples(self.now));
        open.scores.push(score);
        if score >= self.options.stay() {
            open.voiced_to = self.now;
            open.eager = None;
        }
        let silence = self.now - open.voiced_to;
        let eager = frames(self.options.eager_ms);
        if silence >= eager && open.eager.is_none() {
            open.eager = Some(self.now);
            events.push(Event::Eager { segment, from, to });
        }
        if silence >= frames(self.options.end_ms) {
            return self.stop(&open, self.now, Reason::Silence, events);
        }
        if open.scores.len() as u64 >= u64::from(self.options.max_segment_ms / FRAME_MS) {
            return self.cut(&open, events);
        }
        if self.is_spoken(&open) && self.now >= open.next_partial {
            open.next_partial = self.now + frames(self.options.partial_ms);
            events.push(Event::Partial { segment, from, to });
        }
        self.open = Some(open);
    }

    /// Ends a segment at the frame `end`, which may lie in the past.
    fn stop(&mut self, open: &Open, end: u64, reason: Reason, events: &mut Vec<Event>) {
        let kept = &open.scores[..(end - open.from) as usize];
        let stay = self.options.stay();
        self.voiced += kept.iter().filter(|it| **it >= stay).count() as u64;
        let last = kept.iter().rposition(|it| *it >= stay).map_or(0, |it| it as u64 + 1);
        self.taken_to = end;
        events.push(Event::Stopped {
            segment: self.next - 1,
            from: samples(open.from),
            to: samples(end),
            at: samples(open.from + last),
            reason,
            eager: open.eager.filter(|it| *it <= end).map(samples),
        });
    }

    /// Ends a segment that is too long after its weakest frame, the latest of several.
    fn cut(&mut self, open: &Open, events: &mut Vec<Event>) {
        let last_quarter = open.scores.len() * 3 / 4;
        let tail = open.scores[last_quarter..].iter().enumerate();
        let weakest = tail.min_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        let kept = last_quarter + weakest.map_or(0, |it| it.0) + 1;
        let end = open.from + kept as u64;
        self.stop(open, end, Reason::MaxLength, events);
        let rest = &open.scores[kept..];
        let stay = self.options.stay();
        let (Some(first), Some(last)) =
            (rest.iter().position(|it| *it >= stay), rest.iter().rposition(|it| *it >= stay))
        else {
            // The last frame that would have kept the segment open: speech in it ends the silence in time.
            self.warm_to = open.voiced_to + frames(self.options.end_ms);
            return;
        };
        self.begin(end + first as u64, end, rest.to_vec(), events);
        if let Some(next) = &mut self.open {
            next.voiced_to = end + last as u64 + 1;
        }
    }
}

/// Frames as samples.
const fn samples(frames: u64) -> u64 {
    frames * FRAME as u64
}
