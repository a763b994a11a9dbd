//! Noise that is the same for the same seed, mixed under speech at a level that counts from the speech's own.

use std::f32::consts::TAU;

use carport_voice_audio::FRAME;
use carport_voice_local::Activity;
use clap::ValueEnum;

/// From which score on a frame is speech; the plugin's own default.
const SPEECH: f32 = 0.5;

/// What the noise is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// The same power at every frequency: hiss.
    White,
    /// The same power in every octave: most rooms and streets.
    Pink,
}

impl Colour {
    /// As the tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Pink => "pink",
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Within 0..1, never 0.
    fn uniform(&mut self) -> f32 {
        ((self.next() >> 40) as f32 + 0.5) / (1u64 << 24) as f32
    }

    /// Of the normal distribution, by Box and Muller's formula.
    fn normal(&mut self) -> f32 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }
}

/// So many samples of noise, at no level in particular.
fn noise(colour: Colour, seed: u64, count: usize) -> Vec<f32> {
    let mut random = Random(seed);
    // Three first-order filters that together fall by 3 dB an octave (Paul Kellet's "economy" filter).
    let mut states = [0.0f32; 3];
    let shape = [(0.997_65, 0.099_046), (0.963, 0.296_516_4), (0.57, 1.052_691_3)];
    let mut next = || {
        let white = random.normal();
        if colour == Colour::White {
            return white;
        }
        for (state, (pole, gain)) in states.iter_mut().zip(shape) {
            *state = pole * *state + gain * white;
        }
        states.iter().sum::<f32>() + 0.1848 * white
    };
    (0..count).map(|_| next()).collect()
}

fn power<'s>(samples: impl IntoIterator<Item = &'s f32>) -> f64 {
    let (sum, count) = samples
        .into_iter()
        .fold((0.0, 0u64), |(sum, count), it| (sum + f64::from(*it).powi(2), count + 1));
    sum / count.max(1) as f64
}

/// The mean power of the frames that the voice-activity detector takes for speech. Pauses do not count:
/// how long they are would change how much noise there is.
fn speech_power(samples: &[f32]) -> f64 {
    let mut scores = Vec::new();
    Activity::new().push(samples, |score| scores.push(score));
    let spoken = samples.chunks(FRAME).zip(&scores).filter(|(_, score)| **score >= SPEECH);
    power(spoken.flat_map(|(frame, _)| frame))
}

/// The sound with noise `snr_db` below its speech. If the sum would leave -1..=1, all of it is made quieter,
/// so that nothing is clipped.
pub(crate) fn mixed(samples: &[f32], colour: Colour, snr_db: f64, seed: u64) -> Vec<f32> {
    let noise = noise(colour, seed, samples.len());
    let wanted = speech_power(samples) / 10f64.powf(snr_db / 10.0);
    let gain = (wanted / power(&noise)).sqrt() as f32;
    let sum: Vec<f32> = samples.iter().zip(&noise).map(|(one, other)| one + gain * other).collect();
    let peak = sum.iter().fold(1.0f32, |peak, it| peak.max(it.abs()));
    sum.iter().map(|it| it / peak).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_colour_and_its_seed() {
        let white = noise(Colour::White, 1, 200_000);
        assert!((power(&white) - 1.0).abs() < 0.02, "{}", power(&white));
        assert_eq!(noise(Colour::Pink, 3, 100), noise(Colour::Pink, 3, 100));
        assert_ne!(noise(Colour::Pink, 3, 100), noise(Colour::Pink, 4, 100));
        // What changes slowly outweighs what changes fast.
        let slow = |samples: &[f32]| {
            let sums: Vec<f32> = samples.chunks(64).map(|it| it.iter().sum::<f32>()).collect();
            power(&sums) / power(samples)
        };
        let pink = noise(Colour::Pink, 1, 200_000);
        assert!(slow(&pink) > 4.0 * slow(&white), "{} {}", slow(&pink), slow(&white));
    }

    #[test]
    fn the_mixture_has_the_asked_ratio_and_does_not_clip() {
        let speech = crate::samples::all().unwrap().swap_remove(0).samples;
        let sum = mixed(&speech, Colour::Pink, 10.0, 1);
        let rest: Vec<f32> = sum.iter().zip(&speech).map(|(sum, speech)| sum - speech).collect();
        let ratio = 10.0 * (speech_power(&speech) / power(&rest)).log10();
        assert!((ratio - 10.0).abs() < 0.1, "{ratio}");
        assert!(speech_power(&speech) > power(&speech), "pauses do not count");
        let loud = mixed(&speech, Colour::White, -30.0, 1);
        let peak = loud.iter().fold(0.0f32, |peak, it| peak.max(it.abs()));
        assert!((0.999..=1.0).contains(&peak), "{peak}");
        assert_eq!(mixed(&[0.0; 1600], Colour::Pink, 10.0, 1), [0.0; 1600]);
    }
}
