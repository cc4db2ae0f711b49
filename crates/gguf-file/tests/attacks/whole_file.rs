//! Every cut, and random damage.

use std::time::Duration;

use gguf_file::ValueType;

use crate::{
    common::{Builder, Random, array, parse, read_everything, rich_file, string},
    measured::time_of,
    parse_header_only,
};

#[test]
fn every_cut_of_a_good_file_is_refused() {
    let file = rich_file().build();
    assert!(crate::parse(&file).is_ok());
    for cut in 0..file.len() {
        let error = crate::parse(&file[..cut]).expect_err("a cut file is refused");
        let rules = ["truncated", "count-exceeds-file", "data-section-missing", "tensor-past-end"];
        assert!(rules.contains(&error.rule()), "cut at {cut}: {error}");
    }
}

#[test]
fn every_cut_of_a_good_header_is_refused_without_data_too() {
    let header = rich_file().header();
    assert!(parse_header_only(&header).is_ok());
    for cut in 0..header.len() {
        let error = parse_header_only(&header[..cut]).expect_err("a cut header is refused");
        assert!(["truncated", "count-exceeds-file"].contains(&error.rule()), "cut at {cut}: {error}");
    }
}

#[test]
fn every_flipped_bit_is_survived() {
    let mut file = rich_file().build();
    for place in 0..file.len() {
        for bit in 0..8 {
            file[place] ^= 1 << bit;
            for result in [crate::parse(&file), parse_header_only(&file)] {
                let _ = result.map(|file| read_everything(&file));
            }
            file[place] ^= 1 << bit;
        }
    }
}

#[test]
fn random_damage_is_survived() {
    let good = rich_file().build();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..20_000 {
        let mut file = good.clone();
        for _ in 0..=random.below(8) {
            let place = random.below(file.len());
            file[place] = random.below(256) as u8;
        }
        file.truncate(file.len() - random.below(2) * random.below(64));
        let _ = crate::parse(&file).map(|file| read_everything(&file));
    }
}

/// Line ends turned into those of another system, as by a transfer in text mode.
#[test]
fn crlf_mangled_files_are_refused() {
    let file =
        Builder::new().text("general.name", "one\ntwo").u32("ten", 10).tensor("t", &[10], 0, 0).data(40);
    let mut mangled = Vec::new();
    for byte in file.build() {
        mangled.extend(if byte == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(&byte) });
    }
    assert!(crate::parse(&mangled).is_err());
    assert!(parse_header_only(&mangled).is_err());
}

/// The least time of a few tries.
fn least_time(bytes: &[u8]) -> Duration {
    (0..5).map(|_| time_of(|| parse(bytes).expect("a good file"))).min().unwrap_or_default()
}

/// 32 times the file takes some 32 times as long; what takes the square of a size takes a thousand times. Far from both, for
/// any machine, however busy.
#[test]
fn time_grows_with_the_file_and_not_with_its_square() {
    let keys = |count| (0..count).fold(Builder::new(), |file, index| file.u32(&format!("key.{index}"), 1));
    let tensors = |count: usize| {
        let named =
            |file: Builder, index: usize| file.tensor(format!("t.{index}"), &[8], 0, 32 * index as u64);
        (0..count).fold(Builder::new(), named).data(32 * count)
    };
    let of = |element: u32, count: usize, bytes: Vec<u8>| {
        let value = array(element, count as u64, bytes.repeat(count));
        Builder::new().entry("k", ValueType::Array.id(), value)
    };
    let arrays = |count| of(ValueType::Array.id(), count, array(0, 0, []));
    let strings = |count| of(ValueType::String.id(), count, string("ab"));
    let makers: [(&str, &dyn Fn(usize) -> Builder); 4] =
        [("keys", &keys), ("tensors", &tensors), ("arrays in an array", &arrays), ("strings", &strings)];
    for (what, make) in makers {
        let (small, large) = (make(2000).build(), make(64_000).build());
        let growth = least_time(&large).as_secs_f64() / least_time(&small).as_secs_f64();
        assert!(growth < 250.0, "32 times as many {what} take {growth:.0} times as long");
    }
}
