//! Sound as 16 bit PCM and as WAV, in memory and on disk.

use std::{
    fs::File,
    io::{BufWriter, Cursor, Seek, Write},
    path::Path,
};

use hound::{SampleFormat, WavSpec, WavWriter};

/// One sample as 16 bit; what lies beyond full scale is cut.
fn s16(sample: f32) -> i16 {
    (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16
}

/// Mono samples as s16le.
pub fn pcm_s16le(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|it| s16(*it).to_le_bytes()).collect()
}

/// A whole WAV file (16 bit, mono) in memory.
pub fn wav(samples: &[f32], sample_rate: u32) -> Result<Vec<u8>, hound::Error> {
    let mut file = Cursor::new(Vec::with_capacity(44 + samples.len() * 2));
    write(&mut file, samples, sample_rate)?;
    Ok(file.into_inner())
}

/// Writes a WAV file (16 bit, mono); one that exists is overwritten.
pub fn write_wav(path: &Path, samples: &[f32], sample_rate: u32) -> Result<(), hound::Error> {
    write(BufWriter::new(File::create(path)?), samples, sample_rate)
}

fn write(to: impl Write + Seek, samples: &[f32], sample_rate: u32) -> Result<(), hound::Error> {
    let spec =
        WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::new(to, spec)?;
    for sample in samples {
        writer.write_sample(s16(*sample))?;
    }
    writer.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_a_whole_file() {
        let samples = [0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, f32::NAN];
        let bytes = wav(&samples, 24_000).unwrap();
        let mut reader = hound::WavReader::new(Cursor::new(&bytes)).unwrap();
        assert_eq!(reader.spec().sample_rate, 24_000);
        let read: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(read, [0, 16_384, -16_384, 32_767, -32_767, 32_767, -32_768, 0]);
        assert_eq!(bytes[44..], pcm_s16le(&samples));
        assert_eq!(wav(&[], 8000).unwrap().len(), 44);
    }
}
