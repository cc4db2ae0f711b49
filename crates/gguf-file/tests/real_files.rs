//! Real files, where they are at hand.

mod common;

use std::fs;

use common::{Random, parse, parse_header_only, read_everything, real_files};
use gguf_file::{GgufFile, Options};

#[test]
fn all_good_files_open() {
    for path in real_files("good") {
        let file = GgufFile::open(&path, &Options::default());
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(read_everything(&file) > 0);
        let strict = Options { strict: true, ..Options::default() };
        assert!(GgufFile::open(&path, &strict).is_ok(), "{}", path.display());
    }
}

#[test]
fn all_bad_files_are_refused() {
    for path in real_files("bad") {
        let error = GgufFile::open(&path, &Options::default()).expect_err("a bad file is refused");
        println!("{}: {}: {error}", path.display(), error.rule());
        let name = path.file_name().unwrap().to_str().unwrap();
        match name {
            "big-endian-v3.gguf" => assert_eq!(error.rule(), "big-endian"),
            "tensors-without-data.gguf" => {
                let header_only = Options { header_only: true, ..Options::default() };
                assert!(GgufFile::open(&path, &header_only).is_ok());
            }
            _ => assert!(error.offset_bytes().is_some()),
        }
    }
}

#[test]
fn the_vocabulary_of_gpt_2_is_what_it_is() {
    let Some(path) = real_files("good").into_iter().find(|path| path.ends_with("ggml-vocab-gpt-2.gguf"))
    else {
        return;
    };
    let file = GgufFile::open(path, &Options::default()).unwrap();
    assert_eq!(file.architecture(), Some("gpt2"));
    let tokens = file.metadata().get("tokenizer.ggml.tokens").unwrap().as_array().unwrap();
    assert_eq!((tokens.len(), tokens.get(50256).unwrap().as_str()), (50257, Some("<|endoftext|>")));
}

#[test]
fn cuts_of_good_files_are_refused() {
    for path in real_files("good") {
        let bytes = fs::read(&path).unwrap();
        let header_bytes = parse(&bytes).unwrap().header_bytes() as usize;
        let step = (header_bytes / 100).max(1);
        for cut in (0..header_bytes).step_by(step).chain([header_bytes - 1]) {
            assert!(parse(&bytes[..cut]).is_err(), "{} cut at {cut}", path.display());
            assert!(parse_header_only(&bytes[..cut]).is_err(), "{} cut at {cut}", path.display());
        }
    }
}

#[test]
fn single_byte_flips_in_good_files_are_survived() {
    for path in real_files("good") {
        let mut bytes = fs::read(&path).unwrap();
        let mut random = Random(0xD1B5_4A32_D192_ED03);
        let flips = (40_000_000 / bytes.len()).clamp(20, 2000);
        for round in 0..flips {
            // Every other flip hits the first kibibyte, where counts and types are.
            let reach = if round % 2 == 0 { bytes.len() } else { bytes.len().min(1024) };
            let place = random.below(reach);
            let mask = 1 + random.below(255) as u8;
            bytes[place] ^= mask;
            let _ = parse(&bytes).map(|file| read_everything(&file));
            bytes[place] ^= mask;
        }
    }
}
