//! The tagger's file, read into a few flat lists rather than a tree of 80,000 small maps.

use crate::strings::Strings;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use std::collections::HashMap;
use std::fmt;

/// What `tagger.json.gz` holds: tags of words that have but one, and weights of features for the others.
#[derive(Deserialize)]
pub(crate) struct File {
    pub(crate) tags: Vec<String>,
    pub(crate) tagdict: HashMap<String, String>,
    pub(crate) vocab: Vec<String>,
    pub(crate) weights: Weights,
}

/// Features in the order of the file, each with the weights of some tags.
#[derive(Default)]
pub(crate) struct Weights {
    pub(crate) features: Strings,
    ends: Vec<usize>,
    tags: Strings,
    /// Tenths of a weight.
    pub(crate) tenths: Vec<i16>,
}

impl Weights {
    /// Tags and tenths of the feature at a place.
    pub(crate) fn of(&self, feature: usize) -> impl Iterator<Item = (&str, i16)> {
        let start = feature.checked_sub(1).map_or(0, |before| self.ends[before]);
        (start..self.ends[feature]).map(|at| (self.tags.get(at), self.tenths[at]))
    }
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Features)
    }
}

struct Features;

impl<'de> Visitor<'de> for Features {
    type Value = Weights;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("features with weights of tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weights, A::Error> {
        let mut weights = Weights::default();
        while let Some(feature) = map.next_key::<String>()? {
            weights.features.push(&feature);
            map.next_value_seed(ByTag(&mut weights))?;
            weights.ends.push(weights.tenths.len());
        }
        Ok(weights)
    }
}

/// The weights of one feature, added to the others.
struct ByTag<'w>(&'w mut Weights);

impl<'de> DeserializeSeed<'de> for ByTag<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ByTag<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("weights by tag")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((tag, weight)) = map.next_entry::<String, f32>()? {
            self.0.tags.push(&tag);
            self.0.tenths.push((weight * 10.0).round() as i16);
        }
        Ok(())
    }
}
