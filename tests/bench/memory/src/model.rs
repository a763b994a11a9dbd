//! What facts and questions mean, as an encoder says or made up.

use std::{path::Path, time::Duration};

use carport_bench_dispatch::Error;
use carport_memory_graph::{Graph, Meaning};

use crate::facts::{self, MadeUp};

/// Texts that are handed to the encoder at once.
#[cfg(feature = "embeddings")]
const BATCH: usize = 64;
/// Numbers of a direction that is made up: as many as those of all-MiniLM-L6-v2.
const WIDTH: usize = 384;

/// What the encoder in a directory says of texts.
#[cfg(feature = "embeddings")]
pub(crate) fn meanings(directory: &Path, texts: &[String]) -> Result<Vec<Meaning>, Error> {
    let embedder = carport_memory_embed::Embedder::open(directory)?;
    let mut meanings = Vec::with_capacity(texts.len());
    for some in texts.chunks(BATCH) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        for vector in embedder.embed(&some)? {
            meanings.push(Meaning::of(&vector).ok_or("a vector has no direction")?);
        }
    }
    Ok(meanings)
}

/// How long the encoder in a directory takes for each text alone.
#[cfg(feature = "embeddings")]
pub(crate) fn times(directory: &Path, texts: &[String]) -> Result<Vec<Duration>, Error> {
    let embedder = carport_memory_embed::Embedder::open(directory)?;
    let mut times = Vec::with_capacity(texts.len());
    for text in texts {
        let start = std::time::Instant::now();
        std::hint::black_box(embedder.embed(&[text])?);
        times.push(start.elapsed());
    }
    Ok(times)
}

#[cfg(not(feature = "embeddings"))]
const NOT_BUILT: &str = "`--model` needs a build with `--features embeddings`";

#[cfg(not(feature = "embeddings"))]
pub(crate) fn times(_: &Path, _: &[String]) -> Result<Vec<Duration>, Error> {
    Err(NOT_BUILT.into())
}

#[cfg(not(feature = "embeddings"))]
pub(crate) fn meanings(_: &Path, _: &[String]) -> Result<Vec<Meaning>, Error> {
    Err(NOT_BUILT.into())
}

/// Directions that say nothing.
pub(crate) fn made_up(made_up: &mut MadeUp, count: usize) -> Result<Vec<Meaning>, Error> {
    let mut direction = || Meaning::of(&made_up.numbers(WIDTH)).ok_or("no direction");
    Ok((0..count).map(|_| direction()).collect::<Result<_, _>>()?)
}

/// Tells a graph what its facts mean, by their places.
pub(crate) fn tell(graph: &mut Graph, meanings: &[Meaning]) -> Result<(), Error> {
    for (at, fact) in graph.snapshot().without_meaning(usize::MAX) {
        let place = facts::place(&fact.fact_id).ok_or("a fact has no place")?;
        graph.understand(at, &fact, &meanings[place]);
    }
    Ok(())
}
