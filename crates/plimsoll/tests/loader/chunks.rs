//! Chunks: which they are, and what is in them.

use plimsoll::{
    Error,
    loader::{ModelFile, OpenOptions, Output, Selection, StreamOptions},
    units::{KIB, MIB},
};

use crate::{SAMPLE, common::TensorSpec, from_bytes, open, options, pool, reassemble, stream};

#[test]
fn raw_chunks_of_any_size_are_the_bytes_of_the_file() {
    let file = std::fs::read(SAMPLE).unwrap();
    let model = open(SAMPLE);
    for chunk_bytes in [KIB, 1000, 64 * KIB, MIB, 64 * MIB] {
        let tensors = reassemble(stream(&model, &options(Output::Raw, chunk_bytes), &pool()));
        assert_eq!(tensors.len(), model.layout().tensor_count());
        for (index, data) in tensors {
            let range = model.layout().tensor_at(index).unwrap().file_range();
            assert!(
                data == file[range.start as usize..range.end as usize],
                "tensor {index}, chunks of {chunk_bytes}"
            );
        }
    }
}

#[test]
fn converted_chunks_of_any_size_are_the_conversion_of_the_whole() {
    let model = open(SAMPLE);
    for output in [Output::F32, Output::F16, Output::Bf16] {
        let whole = reassemble(stream(&model, &options(output, 64 * MIB), &pool()));
        for chunk_bytes in [KIB, 5000, 300 * KIB] {
            let tensors = reassemble(stream(&model, &options(output, chunk_bytes), &pool()));
            assert!(tensors == whole, "{} in chunks of {chunk_bytes}", output.name());
        }
    }
}

#[test]
fn chunks_end_on_whole_blocks_and_stay_within_their_size() {
    let model = open(SAMPLE);
    let selection = options(Output::F32, 10_000);
    for unit in stream(&model, &selection, &pool()) {
        for chunk in &unit.unwrap().unit().chunks {
            let tensor = model.layout().tensor_at(chunk.tensor).unwrap();
            let block = tensor.tensor_type().block_elements();
            assert!(chunk.elements.start % block == 0 && chunk.elements.end % block == 0);
            assert!(chunk.data.end - chunk.data.start <= 10_000);
        }
    }
}

#[test]
fn tensors_come_in_the_order_asked_for_across_gaps() {
    let tensors = [
        TensorSpec::patterned("a", 100, 24, 100),
        TensorSpec::patterned("b", 5000, 24, 5000),
        TensorSpec::patterned("c", 33, 24, 33),
    ];
    for gap in [0, 32, 8192] {
        let model = from_bytes(&tensors, gap);
        let names = Some(vec!["c".to_owned(), "a".to_owned(), "b".to_owned()]);
        let selection = StreamOptions { tensors: names, ..options(Output::Raw, 1024) };
        let mut order = Vec::new();
        for unit in stream(&model, &selection, &pool()) {
            order.extend(unit.unwrap().unit().chunks.iter().map(|chunk| chunk.tensor));
        }
        order.dedup();
        assert_eq!(order, [2, 0, 1]);
        let data = reassemble(stream(&model, &selection, &pool()));
        assert!(tensors.iter().enumerate().all(|(index, tensor)| data[&index] == tensor.data), "gap {gap}");
    }
}

#[test]
fn what_does_not_convert_is_an_error_that_names_it_and_comes_raw() {
    let model = from_bytes(&[TensorSpec::patterned("odd", 32, 24, 32)], 0);
    let error = Selection::new(&model, &options(Output::F32, MIB)).unwrap_err();
    assert!(
        matches!(&error, Error::UnsupportedType { tensor, type_id: 24, .. } if tensor == "odd"),
        "{error}"
    );
    assert_eq!(reassemble(stream(&model, &options(Output::Raw, MIB), &pool()))[&0].len(), 32);
}

#[test]
fn unfit_selections_are_refused() {
    let model = open(SAMPLE);
    let refused = |options: StreamOptions| Selection::new(&model, &options).unwrap_err().to_string();
    let named = |names: &[&str]| {
        let tensors = Some(names.iter().map(ToString::to_string).collect());
        StreamOptions { tensors, ..StreamOptions::default() }
    };
    assert!(refused(named(&["nowhere"])).contains("\"nowhere\""));
    assert!(refused(named(&["output.weight", "output.weight"])).contains("\"output.weight\" twice"));
    assert!(refused(options(Output::F32, 1023)).contains("at least 1024"));
    assert!(refused(options(Output::Raw, u64::MAX)).contains("at most"));
    assert!(refused(StreamOptions { threads: 0, ..StreamOptions::default() }).contains("from 1 to 64"));
    let mut header_only = OpenOptions::default();
    header_only.header.header_only = true;
    let header = ModelFile::open(SAMPLE, &header_only).unwrap();
    assert!(Selection::new(&header, &StreamOptions::default()).is_err());
}

#[test]
fn tensors_without_elements_have_no_chunks() {
    let model = from_bytes(&[TensorSpec::floats("none", 0), TensorSpec::floats("one", 1)], 0);
    assert_eq!(
        reassemble(stream(&model, &StreamOptions::default(), &pool())).keys().copied().collect::<Vec<_>>(),
        [1]
    );
    let empty = from_bytes(&[], 0);
    assert!(stream(&empty, &StreamOptions::default(), &pool()).next().is_none());
}

#[test]
fn the_smallest_chunks_of_a_small_tensor_fit_their_buffer() {
    let tensors = [TensorSpec::floats("small", 256)];
    let model = from_bytes(&tensors, 0);
    for output in [Output::Raw, Output::F32] {
        let data = reassemble(stream(&model, &options(output, 4), &pool()));
        assert!(data[&0] == tensors[0].data, "{}", output.name());
    }
}
