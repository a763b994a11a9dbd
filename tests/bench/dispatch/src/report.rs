//! The table: medians over rounds, and ratios to the floor and to the peer.

use std::{collections::BTreeMap, error::Error, time::Duration};

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use carport_bench_dispatch::{
    client::{Outcome, Shape},
    servers::Server,
};

/// One server under one load, once.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) shape: Shape,
    pub(crate) server: Server,
    pub(crate) sample: Sample,
}

/// The figures of one measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
}

impl Sample {
    pub(crate) fn new(outcome: &Outcome, cpu: Duration) -> Self {
        let mut latencies = outcome.latencies.clone();
        latencies.sort_unstable();
        let at = |share: f64| {
            let place = (latencies.len() as f64 * share) as usize;
            latencies.get(place).map_or(f64::NAN, |nanoseconds| *nanoseconds as f64 / 1e3)
        };
        let requests = outcome.requests as f64;
        Self {
            per_second: requests / outcome.elapsed.as_secs_f64(),
            p50_us: at(0.50),
            p99_us: at(0.99),
            cpu_us: cpu.as_secs_f64() * 1e6 / requests,
        }
    }
}

fn median(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<f64> = samples.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Prints one line per shape and server.
pub(crate) fn print(rows: Vec<Row>, as_json: bool) -> Result<(), Box<dyn Error>> {
    let mut grouped: BTreeMap<(usize, usize), BTreeMap<Server, Vec<Sample>>> = BTreeMap::new();
    for Row { shape, server, sample } in rows {
        let place = grouped.entry((shape.connections, shape.in_flight)).or_default();
        place.entry(server).or_default().push(sample);
    }
    let lines: Vec<Value> =
        grouped.iter().flat_map(|(shape, servers)| lines(*shape, servers)).collect();
    if as_json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(());
    }
    let columns = [
        "shape",
        "server",
        "requests/s",
        "p50 us",
        "p99 us",
        "CPU us/request",
        "to bare",
        "to jsonrpsee",
    ];
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(columns);
    for line in &lines {
        table.add_row(columns.map(|column| match &line[column] {
            Value::String(text) => text.clone(),
            Value::Null => "-".into(),
            number => number.to_string(),
        }));
    }
    println!("{table}");
    Ok(())
}

fn lines(shape: (usize, usize), servers: &BTreeMap<Server, Vec<Sample>>) -> Vec<Value> {
    let cpu = |server| servers.get(&server).map(|samples| median(samples, |it| it.cpu_us));
    let round = |figure: f64, places: i32| {
        let scale = 10f64.powi(places);
        (figure * scale).round() / scale
    };
    let line = |(server, samples): (&Server, &Vec<Sample>)| {
        let own = median(samples, |it| it.cpu_us);
        let ratio = |other: Option<f64>| other.map(|other| round(own / other, 2));
        json!({
            "shape": format!("{}x{}", shape.0, shape.1),
            "server": format!("{server:?}").to_lowercase(),
            "requests/s": median(samples, |it| it.per_second).round(),
            "p50 us": round(median(samples, |it| it.p50_us), 1),
            "p99 us": round(median(samples, |it| it.p99_us), 1),
            "CPU us/request": round(own, 2),
            "to bare": ratio(cpu(Server::Bare)),
            "to jsonrpsee": ratio(cpu(Server::Jsonrpsee)),
        })
    };
    servers.iter().map(line).collect()
}
