//! The parser: header, metadata, tensor infos, and the layout they describe, in the order of the file.

mod fixed;
mod known;
mod layout;
mod metadata;
mod reader;
mod tensors;

use crate::{Error, GgufFile, Metadata, Options, ReadAt};

use reader::HeaderReader;

pub(crate) fn parse(source: &dyn ReadAt, options: &Options) -> Result<GgufFile, Error> {
    let limits = &options.limits;
    let mut reader = HeaderReader::new(source, limits)?;
    let fixed = fixed::read(&mut reader, limits)?;
    let entries = metadata::read(&mut reader, fixed.metadata_entries, limits)?;
    let known =
        known::read(&Metadata { header: reader.header()?, entries: &entries }, fixed.tensors, limits)?;
    let tensors = tensors::read(&mut reader, fixed.tensors, &known, limits)?;
    let file_bytes = reader.file_bytes();
    let header = reader.finish()?;
    let data_section_offset = layout::data_section_offset(header.len() as u64, &tensors, known.alignment);
    let file = GgufFile {
        header,
        entries,
        tensors,
        version: fixed.version,
        alignment: known.alignment,
        data_section_offset,
        file_bytes,
        header_only: options.header_only,
        split: known.split,
    };
    layout::check(&file, options.strict)?;
    Ok(file)
}
