//! The figures, as a table and as JSON.

use gguf_dequant::Format;
use serde_json::json;

pub struct Row {
    format: Format,
    /// Of output, in GB/s: ours, ggml's, candle's.
    rates: [Option<f64>; 3],
    /// How many times as fast as ggml, and as candle.
    ratios: [Option<f64>; 2],
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Row {
    pub fn new(format: Format, bytes: usize, [ours, ggml, candle]: &[Vec<f64>; 3]) -> Self {
        let rate = |times: &Vec<f64>| (!times.is_empty()).then(|| bytes as f64 / median(times.clone()) / 1e9);
        let ratio = |theirs: &Vec<f64>| {
            let ratios: Vec<_> = theirs.iter().zip(ours).map(|(theirs, ours)| theirs / ours).collect();
            (!ratios.is_empty()).then(|| median(ratios))
        };
        Self { format, rates: [ours, ggml, candle].map(rate), ratios: [ggml, candle].map(ratio) }
    }
}

/// `None` where the peer has none of them.
fn geometric_mean(rows: &[Row], peer: usize) -> Option<f64> {
    let logarithms: Vec<_> = rows.iter().filter_map(|row| row.ratios[peer]).map(f64::ln).collect();
    (!logarithms.is_empty()).then(|| (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp())
}

/// A model of 8 billion weights as `Q4_K_M`: 79 % of its weights are `Q4_K`, the rest `Q6_K`.
fn mix(rows: &[Row]) -> Option<f64> {
    let seconds = |peer: usize, format| {
        rows.iter().find(|row| row.format == format).and_then(|row| row.rates[peer]).map(|rate| 1.0 / rate)
    };
    let of = |peer| Some(0.79 * seconds(peer, Format::Q4K)? + 0.21 * seconds(peer, Format::Q6K)?);
    Some(of(1)? / of(0)?)
}

pub fn print_table(rows: &[Row], [fill, copy]: [f64; 2], set: &str) {
    let number =
        |value: Option<f64>, unit: &str| value.map_or("".to_owned(), |value| format!("{value:.2}{unit}"));
    println!("| format | plimsoll, GB/s | ggml | candle | beside ggml | beside candle |");
    println!("|---|---|---|---|---|---|");
    for Row { format, rates: [ours, ggml, candle], ratios: [to_ggml, to_candle] } in rows {
        let cells = [
            number(*ours, ""),
            number(*ggml, ""),
            number(*candle, ""),
            number(*to_ggml, "x"),
            number(*to_candle, "x"),
        ];
        println!("| {format} | {} |", cells.join(" | "));
    }
    println!();
    for (peer, name) in ["ggml", "candle"].into_iter().enumerate() {
        if let Some(mean) = geometric_mean(rows, peer) {
            println!("geometric mean: {mean:.2}x {name}");
        }
    }
    if let Some(ratio) = mix(rows) {
        println!("a Q4_K_M mix (79 % Q4_K, 21 % Q6_K): {ratio:.2}x ggml");
    }
    println!("{set}; filling the output {fill:.1} GB/s, copying it {copy:.1} GB/s");
}

pub fn print_json(rows: &[Row], [fill, copy]: [f64; 2], set: &str) {
    let formats: Vec<_> = rows
        .iter()
        .map(|Row { format, rates, ratios }| {
            json!({ "format": format.name(), "gigabytesPerSecond": { "plimsoll": rates[0], "ggml": rates[1], "candle": rates[2] },
                "besideGgml": ratios[0], "besideCandle": ratios[1] })
        })
        .collect();
    let report = json!({ "instructionSet": set, "formats": formats, "mixBesideGgml": mix(rows),
        "geometricMean": { "ggml": geometric_mean(rows, 0), "candle": geometric_mean(rows, 1) },
        "limits": { "fillGigabytesPerSecond": fill, "copyGigabytesPerSecond": copy } });
    println!("{report:#}");
}
