//! What holds for all files.

mod common;
#[path = "common/generated.rs"]
mod generated;

use common::{Builder, parse, parse_header_only, read_everything};
use generated::file;
use proptest::{collection::vec, prelude::*};

proptest! {
    // A file found to fail belongs among the tests by name, not in a list of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_what_is_read(written in file()) {
        let file = parse(&written.bytes).unwrap();
        read_everything(&file);
        prop_assert_eq!(file.metadata().len(), written.values.len() + 1);
        for (index, (type_id, _)) in written.values.iter().enumerate() {
            let value = file.metadata().get(&format!("key.{index}")).unwrap();
            prop_assert_eq!(value.value_type().id(), *type_id);
        }
        prop_assert_eq!(file.tensor_count(), written.shapes.len());
        for ((tensor, (tensor_type, dims)), range) in file.tensors().zip(&written.shapes).zip(&written.ranges) {
            prop_assert_eq!((tensor.tensor_type(), &*tensor.dims()), (*tensor_type, &dims[..]));
            prop_assert_eq!((tensor.offset_bytes(), tensor.size_bytes()), (range.start, range.end - range.start));
        }
        let with_data = file.tensors().filter(|tensor| tensor.size_bytes() > 0);
        if let Some(needed) = with_data.map(|tensor| tensor.file_range().end).max() {
            prop_assert!(parse(&written.bytes[..needed as usize - 1]).is_err());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..400)) {
        let mut file = Builder::new().header();
        file[8] = bytes.len() as u8 % 4;
        file[16] = bytes.len() as u8 % 5;
        file.extend(&bytes);
        for result in [parse(&bytes), parse(&file), parse_header_only(&file)] {
            let _ = result.map(|file| read_everything(&file));
        }
    }
}
