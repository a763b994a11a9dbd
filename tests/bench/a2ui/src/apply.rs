//! An envelope from JSON in memory to a changed store, with everything that can refuse it asked.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use carport_a2ui_api::Actor;
use carport_a2ui_surfaces::{Change, Limits, Store};
use carport_a2ui_validate::Schemas;
use carport_bench_dispatch::{
    Error,
    stats::{percentile, table},
};
use carport_core::Time;
use serde_json::{Value, json};

use crate::examples::{key, read};

/// How long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often all examples are drawn
    #[arg(long, default_value_t = 500)]
    rounds: usize,
    /// Surfaces that are there already in the second table
    #[arg(long, default_value_t = 1000)]
    surfaces: usize,
}

fn limits(surfaces: usize) -> Limits {
    Limits {
        max_surfaces: surfaces + 64,
        max_surfaces_per_creator: surfaces + 64,
        max_store_bytes: 1 << 30,
        ..Limits::default()
    }
}

/// Applies an envelope and says how long it took.
fn apply(store: &mut Store, who: &Actor, envelope: Value) -> Result<Duration, Error> {
    let began = Instant::now();
    let outcome = store.apply(Change { envelope, who, owner: None, now: Time::default() });
    let took = began.elapsed();
    outcome.map(drop)?;
    Ok(took)
}

pub(crate) fn measure(args: &Args) -> Result<(), Error> {
    let examples = read()?;
    let who = Actor::Client("bench".into());
    let began = Instant::now();
    let schemas = std::sync::Arc::new(Schemas::compile()?);
    println!("schemas compiled in {:.1} ms\n", began.elapsed().as_secs_f64() * 1e3);
    let mut rows = Vec::new();
    for there in [0, args.surfaces] {
        let mut store = Store::new(schemas.clone(), limits(args.surfaces), Vec::new());
        for at in 0..there {
            let id = format!("there-{at}");
            apply(&mut store, &who, json!({ "createSurface": { "surfaceId": id } }))?;
            let list = json!({ "id": "root", "component": "Text", "text": "there" });
            let body = json!({ "surfaceId": id, "components": [list] });
            apply(&mut store, &who, json!({ "updateComponents": body }))?;
        }
        let mut samples: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
        for _ in 0..args.rounds {
            for example in &examples {
                let id = &example[0]["createSurface"]["surfaceId"];
                for message in example {
                    let took = apply(&mut store, &who, message.clone())?;
                    samples.entry(key(message)).or_default().push(took);
                    samples.entry("all").or_default().push(took);
                }
                let gone = json!({ "deleteSurface": { "surfaceId": id } });
                samples.entry("deleteSurface").or_default().push(apply(&mut store, &who, gone)?);
            }
        }
        for (message, samples) in &samples {
            let us = |share| format!("{:.2}", percentile(samples, share).as_secs_f64() * 1e6);
            let name = if *message == "all" { "all of the examples" } else { message };
            rows.push([
                there.to_string(),
                name.to_owned(),
                samples.len().to_string(),
                us(0.5),
                us(0.9),
                us(0.99),
            ]);
        }
    }
    table(["surfaces there", "message", "envelopes", "p50 us", "p90 us", "p99 us"], rows);
    Ok(())
}
