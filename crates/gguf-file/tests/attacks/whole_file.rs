//! Every cut, and random damage.

use crate::common::{Builder, Random, parse, parse_header_only, read_everything, rich_file};

#[test]
fn every_cut_of_a_good_file_is_refused() {
    let file = rich_file().build();
    assert!(parse(&file).is_ok());
    for cut in 0..file.len() {
        let error = parse(&file[..cut]).expect_err("a cut file is refused");
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
            for result in [parse(&file), parse_header_only(&file)] {
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
        let _ = parse(&file).map(|file| read_everything(&file));
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
    assert!(parse(&mangled).is_err());
    assert!(parse_header_only(&mangled).is_err());
}
