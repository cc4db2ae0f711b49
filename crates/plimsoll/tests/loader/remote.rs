//! Headers that are fetched from a server, which is a function here.

use gguf_file::{Limits, Options};
use plimsoll::{
    Error,
    loader::{HeaderStep, ModelFile, OpenOptions, RemoteModel, Selection, ServerAnswer, StreamOptions},
};

use crate::common::{TensorSpec, gguf, gguf_with};

const URL: &str = "https://example.org/models/model.gguf";
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// What is done to an answer that would do.
type Change = fn(&mut ServerAnswer, &mut Vec<u8>);

/// What a server is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    file_name: String,
    start: usize,
    end: usize,
    if_range: Option<String>,
}

/// Fetches a model, and tells what was asked for and how many bytes came in all.
fn fetch(
    url: &str,
    options: &OpenOptions,
    piece_bytes: usize,
    mut server: impl FnMut(&Request) -> (ServerAnswer, Vec<u8>),
) -> (Result<ModelFile, Error>, Vec<Request>, usize) {
    let mut model = RemoteModel::new(url, options).unwrap();
    let (mut requests, mut received) = (Vec::new(), 0);
    let (mut body, mut read) = (Vec::new(), 0);
    let outcome = (|| {
        for _ in 0..200_000 {
            match model.step() {
                HeaderStep::Request { start_bytes, end_bytes, if_range } => {
                    let (start, end) = (start_bytes as usize, end_bytes as usize);
                    assert!(start < end, "{start} {end}");
                    let file_name = model.file_name().to_owned();
                    let request = Request { file_name, start, end, if_range };
                    let (answer, bytes) = server(&request);
                    requests.push(request);
                    (body, read) = (bytes, 0);
                    model.answered(&answer)?;
                }
                HeaderStep::Read => {
                    let mut goes_on = true;
                    while goes_on && read < body.len() {
                        let end = body.len().min(read + piece_bytes);
                        goes_on = model.push(&body[read..end])?;
                        received += end - read;
                        read = end;
                    }
                    if goes_on {
                        model.ended()?;
                    }
                }
                HeaderStep::Parse => model.parse()?,
                HeaderStep::Done => return Ok(()),
            }
        }
        panic!("it does not come to an end: {requests:?}");
    })();
    (outcome.and_then(|()| model.into_model()), requests, received)
}

/// Of a server as it should be.
fn part_of(file: &[u8], request: &Request) -> (ServerAnswer, Vec<u8>) {
    let end = request.end.min(file.len());
    let range = format!("bytes {}-{}/{}", request.start, end - 1, file.len());
    let answer = ServerAnswer {
        status: 206,
        content_range: Some(range),
        etag: Some("\"one\"".to_owned()),
        ..ServerAnswer::default()
    };
    (answer, file[request.start..end].to_vec())
}

fn whole(file: &[u8]) -> (ServerAnswer, Vec<u8>) {
    let content_length = Some(file.len().to_string());
    (ServerAnswer { status: 200, content_length, ..ServerAnswer::default() }, file.to_vec())
}

/// A model with a vocabulary of so many words of 20 bytes.
fn with_vocabulary(words: u64) -> Vec<u8> {
    let mut value = STRING.to_le_bytes().to_vec();
    value.extend(words.to_le_bytes());
    for word in 0..words {
        value.extend(12_u64.to_le_bytes());
        value.extend(format!("{word:012}").as_bytes());
    }
    gguf_with(&[("tokenizer.ggml.tokens", ARRAY, value)], &[TensorSpec::floats("t", 64)], 0)
}

fn fetched(file: &[u8], piece_bytes: usize) -> (ModelFile, Vec<Request>, usize) {
    let (model, requests, received) =
        fetch(URL, &OpenOptions::default(), piece_bytes, |request| part_of(file, request));
    (model.unwrap(), requests, received)
}

#[test]
fn a_small_file_takes_one_request_and_is_as_from_a_disk() {
    let file = gguf(&[TensorSpec::floats("a", 100), TensorSpec::floats("b", 3)], 0);
    for piece_bytes in [1, 7, file.len(), file.len() + 1] {
        let (model, requests, _) = fetched(&file, piece_bytes);
        assert_eq!(requests.len(), 1);
        assert_eq!((model.size_bytes(), model.path().to_str()), (file.len() as u64, Some(URL)));
        let same = ModelFile::from_bytes(file.clone(), &OpenOptions::default()).unwrap();
        let tensors = |model: &ModelFile| -> Vec<_> {
            model.layout().tensors().map(|it| (it.name().to_owned(), it.file_range())).collect()
        };
        assert_eq!(tensors(&model), tensors(&same));
        assert!(model.is_header_only());
    }
}

#[test]
fn what_is_asked_for_doubles_and_each_byte_is_asked_for_once() {
    let file = with_vocabulary(524_288); // Ten mebibytes.
    let (model, requests, received) = fetched(&file, 65_536);
    let ends: Vec<usize> = requests.iter().map(|request| request.end >> 20).collect();
    assert_eq!(ends, [2, 4, 8, 10]);
    assert!(requests.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(received as u64, model.size_bytes(), "the file ends soon behind its header");
    let asked: Vec<_> = requests.iter().map(|request| request.if_range.as_deref()).collect();
    assert_eq!(asked, [None, Some("\"one\""), Some("\"one\""), Some("\"one\"")]);
}

#[test]
fn of_a_server_without_ranges_less_than_twice_the_header_is_read() {
    let mut file = with_vocabulary(100_000);
    let header_bytes = file.len();
    file.resize(header_bytes + (64 << 20), 0);
    for told in [true, false] {
        let (model, requests, received) = fetch(URL, &OpenOptions::default(), 16_384, |_| {
            let (mut answer, body) = whole(&file);
            answer.content_length = answer.content_length.filter(|_| told);
            (answer, body)
        });
        let model = model.unwrap();
        assert_eq!(requests.len(), 1);
        assert!(received < header_bytes * 3 / 2 + 16_384, "{received} of {header_bytes}");
        // The file that goes on in zeros is longer than its tensors need.
        let least = model.layout().header().data_offset_bytes() + model.layout().data_bytes();
        assert_eq!(model.size_bytes(), if told { file.len() as u64 } else { least });
    }
}

#[test]
fn an_answer_may_bring_less_than_was_asked_for_or_more() {
    let file = with_vocabulary(200_000);
    let (model, requests, _) = fetch(URL, &OpenOptions::default(), 65_536, |request| {
        let end = request.end.min(request.start + 1_000_000);
        part_of(&file, &Request { end, ..request.clone() })
    });
    assert_eq!((model.unwrap().size_bytes(), requests.len()), (file.len() as u64, 5));

    let (model, requests, _) = fetch(URL, &OpenOptions::default(), 65_536, |request| {
        part_of(&file, &Request { end: file.len(), ..request.clone() })
    });
    assert_eq!((model.unwrap().size_bytes(), requests.len()), (file.len() as u64, 1));

    // A body that is longer than its own announcement is cut.
    let (model, _, _) = fetch(URL, &OpenOptions::default(), 65_536, |request| {
        let (answer, mut body) = part_of(&file, request);
        body.resize(body.len() + 100_000, 0xff);
        (answer, body)
    });
    assert_eq!(model.unwrap().size_bytes(), file.len() as u64);
}

#[test]
fn a_size_that_is_told_bounds_the_tensors_and_one_that_is_not_bounds_nothing() {
    let mut file = gguf(&[TensorSpec::floats("a", 1 << 20)], 0);
    file.truncate(file.len() - 100);
    let refused =
        fetch(URL, &OpenOptions::default(), 65_536, |request| part_of(&file, request)).0.unwrap_err();
    assert_eq!(rule(&refused), Some("tensor-past-end"));

    let untold = |request: &Request| {
        let (mut answer, body) = part_of(&file, request);
        answer.content_range =
            answer.content_range.map(|range| range.replace(&format!("/{}", file.len()), "/*"));
        (answer, body)
    };
    assert!(fetch(URL, &OpenOptions::default(), 65_536, untold).0.is_ok());
    let header = gguf_file::Options { header_only: true, ..Options::default() };
    let options = OpenOptions { header, ..OpenOptions::default() };
    assert!(fetch(URL, &options, 65_536, |request| part_of(&file, request)).0.is_ok());
}

fn rule(error: &Error) -> Option<&'static str> {
    match error {
        Error::InvalidGguf { source, .. } => Some(source.rule()),
        _ => None,
    }
}

#[test]
fn a_header_beyond_the_limit_is_refused_and_no_more_than_the_limit_is_fetched() {
    let file = with_vocabulary(524_288);
    let limits = Limits { header_bytes: 3 << 20, ..Limits::default() };
    let header = gguf_file::Options { limits, ..Options::default() };
    let options = OpenOptions { header, ..OpenOptions::default() };
    let (model, requests, received) = fetch(URL, &options, 65_536, |request| part_of(&file, request));
    assert_eq!(rule(&model.unwrap_err()), Some("header-too-large"));
    assert!(requests.iter().all(|request| request.end <= 3 << 20) && received <= 3 << 20);
    let (model, _, received) = fetch(URL, &options, 65_536, |_| whole(&file));
    assert_eq!(rule(&model.unwrap_err()), Some("header-too-large"));
    assert!(received <= (3 << 20) + 65_536);
}

#[test]
fn what_is_no_gguf_file_is_told_by_its_first_bytes() {
    let page = [b"<!DOCTYPE html><title>Model</title>".to_vec(), vec![b' '; 9000]].concat();
    for limit in [1, 4096, 1 << 20] {
        let limits = Limits { header_bytes: limit, ..Limits::default() };
        let header = gguf_file::Options { limits, ..Options::default() };
        let options = OpenOptions { header, ..OpenOptions::default() };
        let error = fetch(URL, &options, 100, |_| whole(&page)).0.unwrap_err();
        assert_eq!(rule(&error), Some("bad-magic"));
        assert!(error.to_string().contains("a web page"), "{error}");
    }
    let empty = |_: &Request| {
        (
            ServerAnswer {
                status: 416,
                content_range: Some("bytes */0".to_owned()),
                ..ServerAnswer::default()
            },
            vec![],
        )
    };
    assert_eq!(rule(&fetch(URL, &OpenOptions::default(), 1, empty).0.unwrap_err()), Some("truncated"));
}

#[test]
fn answers_that_do_not_fit_are_errors_of_the_file_with_its_address_and_place() {
    let file = with_vocabulary(200_000);
    let second = |change: Change| {
        let file = &file;
        move |request: &Request| {
            let (mut answer, mut body) = part_of(file, request);
            if request.start > 0 {
                change(&mut answer, &mut body);
            }
            (answer, body)
        }
    };
    let cases: [(&str, Change); 10] = [
        ("changed", |answer, _| answer.etag = Some("\"two\"".to_owned())),
        ("changed", |answer, _| {
            (answer.status, answer.content_range, answer.etag) = (200, None, Some("\"two\"".to_owned()));
        }),
        ("changed", |answer, _| answer.content_range = Some("bytes 2097152-2097160/9999999".to_owned())),
        ("changed", |answer, _| (answer.status, answer.content_range) = (416, Some("bytes */5".to_owned()))),
        ("sends bytes 0 to 9", |answer, _| answer.content_range = Some("bytes 0-9/*".to_owned())),
        ("does not say which", |answer, _| answer.content_range = None),
        ("does not say which", |answer, _| answer.content_range = Some("bytes 5-4/9".to_owned())),
        ("encoded them (gzip)", |answer, _| answer.content_encoding = Some("gzip".to_owned())),
        ("ended here", |_, body| body.truncate(body.len() / 2)),
        ("answered 503", |answer, _| answer.status = 503),
    ];
    for (words, change) in cases {
        let error = fetch(URL, &OpenOptions::default(), 65_536, second(change)).0.unwrap_err();
        let Error::Io { path, offset_bytes, call: "fetch", .. } = &error else { panic!("{words}: {error}") };
        assert_eq!(path.to_str(), Some(URL));
        assert!(offset_bytes.is_some_and(|offset| offset >= 2 << 20), "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(error.http_status(), words.contains("503").then_some(503));
    }
}

#[test]
fn the_whole_file_in_place_of_its_rest_is_read_from_its_beginning() {
    let file = with_vocabulary(200_000);
    let (model, requests, _) = fetch(URL, &OpenOptions::default(), 65_536, |request| {
        if request.start == 0 { part_of(&file, request) } else { whole(&file) }
    });
    assert_eq!((model.unwrap().size_bytes(), requests.len()), (file.len() as u64, 2));
}

#[test]
fn no_weight_of_such_a_model_can_be_read() {
    let (model, _, _) = fetched(&gguf(&[TensorSpec::floats("a", 100)], 0), 100);
    let error = Selection::new(&model, &StreamOptions::default()).unwrap_err();
    assert!(
        matches!(&error, Error::InvalidArgument { received, .. } if received.contains("download")),
        "{error}"
    );
    assert!(model.memory_bytes() < 1000);
    let options = OpenOptions { offset_bytes: 1, ..OpenOptions::default() };
    assert!(matches!(
        RemoteModel::new(URL, &options),
        Err(Error::InvalidArgument { name: "offsetBytes", .. })
    ));
}

/// Three files; the first has a vocabulary, and they hold a tensor each.
fn shards() -> Vec<(String, Vec<u8>)> {
    let files = (0..3_u16).map(|number| {
        let mut keys = vec![("split.no", 2, number.to_le_bytes().to_vec())];
        keys.push(("split.count", 2, 3_u16.to_le_bytes().to_vec()));
        let name = ["a", "b", "c"][usize::from(number)];
        let bytes = gguf_with(&keys, &[TensorSpec::floats(name, 1000)], 0);
        (format!("model-{:05}-of-00003.gguf", number + 1), bytes)
    });
    files.collect()
}

#[test]
fn any_file_of_a_split_model_opens_all_of_it_from_the_same_folder() {
    let files = shards();
    for named in 0..3 {
        let url = format!("https://example.org/models/{}", files[named].0);
        let (model, requests, _) = fetch(&url, &OpenOptions::default(), 100, |request| {
            let (_, bytes) = files.iter().find(|(name, _)| *name == request.file_name).unwrap();
            part_of(bytes, request)
        });
        let model = model.unwrap();
        let names: Vec<_> = model.layout().tensors().map(|it| it.name().to_owned()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(model.size_bytes(), files.iter().map(|(_, bytes)| bytes.len() as u64).sum());
        assert_eq!(
            model.paths().nth(2).unwrap().to_str().unwrap(),
            "https://example.org/models/model-00003-of-00003.gguf"
        );
        assert_eq!((requests.len(), &requests[0].file_name), (3, &files[named].0));
    }
    let options = OpenOptions { shard_only: true, ..OpenOptions::default() };
    let url = format!("https://example.org/models/{}", files[1].0);
    let (model, requests, _) = fetch(&url, &options, 100, |request| part_of(&files[1].1, request));
    assert_eq!((model.unwrap().layout().tensor_count(), requests.len()), (1, 1));
}

#[test]
fn a_split_model_that_is_not_whole_is_refused_with_the_file_that_is_amiss() {
    let files = shards();
    let url = format!("https://example.org/models/{}", files[0].0);
    let missing = |request: &Request| match request.file_name.as_str() {
        "model-00003-of-00003.gguf" => (ServerAnswer { status: 404, ..ServerAnswer::default() }, vec![]),
        name => part_of(&files.iter().find(|(each, _)| each == name).unwrap().1, request),
    };
    let error = fetch(&url, &OpenOptions::default(), 100, missing).0.unwrap_err();
    assert_eq!(error.http_status(), Some(404));
    assert!(
        error.to_string().starts_with("https://example.org/models/model-00003-of-00003.gguf: "),
        "{error}"
    );

    let swapped = |request: &Request| part_of(&files[0].1, request);
    assert_eq!(
        rule(&fetch(&url, &OpenOptions::default(), 100, swapped).0.unwrap_err()),
        Some("split-file-number")
    );
    let unnamed =
        fetch(URL, &OpenOptions::default(), 100, |request| part_of(&files[0].1, request)).0.unwrap_err();
    assert_eq!(rule(&unnamed), Some("split-file-name"));
}
