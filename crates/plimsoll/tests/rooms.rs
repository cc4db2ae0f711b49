//! The sources themselves: no room knows one after it, no file imports another that imports it, by whatever way round, and
//! none is too long to read.
//!
//! What a module imports is what its `use` lines and its paths of `crate::` and `super::` name, followed through re-exports
//! to the file that has it. A `mod.rs` does not import what it only passes on. Test modules may know everything.

// What the sources do not look like must fail the test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// `__test__/08-rooms.spec.ts` has the same of all that is not Rust.
const MOST_LINES: usize = 450;

/// The folders that have Rust in them.
const FOLDERS: [&str; 4] = ["crates", "src", "bench", "fuzz"];

/// The crates, by the folders of their sources.
const SOURCES: [&str; 4] = ["crates/gguf-file/src", "crates/gguf-dequant/src", "crates/plimsoll/src", "src"];

/// Tables, which nobody reads from the first line to the last.
const TABLES: [&str; 1] = ["crates/gguf-file/src/error.rs"];

/// The rooms of the core in their order; each knows those before it.
const ROOMS: [&str; 18] = [
    "names",
    "units",
    "error",
    "size_text",
    "sorting",
    "sync",
    "system",
    "budget",
    "estimate",
    "plan",
    "ledger",
    "admission",
    "device",
    "pool",
    "tokens",
    "loader",
    "monitor",
    "blackbox",
];

#[test]
fn no_file_imports_one_that_imports_it() {
    let found: Vec<BTreeSet<String>> = SOURCES.iter().flat_map(|folder| circles(folder)).collect();
    assert!(found.is_empty(), "files that import each other: {found:#?}");
}

#[test]
fn no_room_of_the_core_knows_one_after_it() {
    let core = crate_in("crates/plimsoll/src");
    let rank = |room: &str| ROOMS.iter().position(|known| *known == room);
    for (place, module) in &core.0 {
        let Some(room) = place.first() else { continue };
        let own = rank(room).unwrap_or_else(|| panic!("a new room: give {room} its place among the others"));
        for other in core.imports(place).into_iter().filter_map(|other| other.first()) {
            assert!(rank(other) <= Some(own), "{} imports of the room {other}", module.file);
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    let root = root();
    let files = FOLDERS.iter().flat_map(|folder| rust_files(&root.join(folder)));
    let long: BTreeSet<String> = files
        .filter(|file| fs::read_to_string(file).unwrap().lines().count() > MOST_LINES)
        .map(|file| name_of(&root, &file))
        .filter(|name| !TABLES.contains(&name.as_str()))
        .collect();
    assert!(long.is_empty(), "above {MOST_LINES} lines: {long:?}");
}

#[test]
fn no_two_types_of_a_crate_share_a_name() {
    for folder in SOURCES {
        let source = root().join(folder);
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for file in rust_files(&source) {
            let name = name_of(&source, &file);
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for declared in code.lines().filter_map(declared_type).filter(|_| !is_test(&name)) {
                places.entry(declared.to_owned()).or_default().push(name.clone());
            }
        }
        places.retain(|_, files| files.len() > 1);
        assert!(places.is_empty(), "{folder}: one name for several types: {places:#?}");
    }
}

/// The type that a line outside of any block declares.
fn declared_type(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub").map_or(line, |rest| {
        rest.strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .map_or(rest, |(_, rest)| rest)
            .trim_start()
    });
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let name = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
    name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
}

#[test]
fn a_circle_is_found_through_re_exports_and_by_whatever_way_round() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;"),
        ("a/mod.rs", "mod deep;\npub use deep::{Deep, Other as Renamed};"),
        ("a/deep.rs", "use crate::b::B;"),
        ("b.rs", "fn f() { crate::c::g() }"),
        ("c.rs", "use super::a::{self, Renamed};"),
        ("d.rs", "use crate::a::Deep;\n#[cfg(test)]\nmod tests { use crate::d::x; }"),
    ];
    let crate_of = |files: &[(&str, &str)]| {
        Crate::of(files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect())
    };
    let circle = crate_of(&files).circles();
    assert_eq!(circle.len(), 1, "{circle:?}");
    assert_eq!(Vec::from_iter(&circle[0]), ["a/deep.rs", "b.rs", "c.rs"]);
    let open: Vec<_> = files.into_iter().filter(|(name, _)| *name != "b.rs").collect();
    assert!(crate_of(&open).circles().is_empty());
}

fn circles(folder: &str) -> Vec<BTreeSet<String>> {
    let circles = crate_in(folder).circles().into_iter();
    circles.map(|circle| circle.into_iter().map(|name| format!("{folder}/{name}")).collect()).collect()
}

fn crate_in(folder: &str) -> Crate {
    let source = root().join(folder);
    let files = rust_files(&source).into_iter();
    let texts = files.map(|file| (name_of(&source, &file), fs::read_to_string(&file).unwrap()));
    Crate::of(texts.filter(|(name, _)| !is_test(name)).collect())
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn name_of(root: &Path, file: &Path) -> String {
    file.strip_prefix(root).unwrap().to_str().unwrap().to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // What cargo builds has sources, too, which nobody wrote.
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// A module by its path, as `["budget", "record"]`.
type Place = Vec<String>;

/// The modules of a crate.
struct Crate(BTreeMap<Place, Module>);

struct Module {
    file: String,
    /// What its `use` lines name, and under which name here.
    uses: Vec<Use>,
    /// The paths that its code spells out.
    paths: Vec<Place>,
    /// Its code without its `use` lines.
    code: String,
}

struct Use {
    path: Place,
    name: String,
    is_public: bool,
}

impl Crate {
    fn of(files: Vec<(String, String)>) -> Self {
        Self(files.into_iter().map(|(file, text)| (place_of(&file), Module::read(file, &text))).collect())
    }

    /// Files that import each other, each group once.
    fn circles(&self) -> Vec<BTreeSet<String>> {
        let imports: BTreeMap<&Place, BTreeSet<&Place>> =
            self.0.keys().map(|place| (place, self.reached_from(place))).collect();
        let mut circles = BTreeSet::new();
        for (place, reached) in &imports {
            let circle = reached.iter().filter(|other| imports[**other].contains(*place));
            let files: BTreeSet<String> = circle.map(|place| self.0[*place].file.clone()).collect();
            if !files.is_empty() {
                circles.insert(files);
            }
        }
        circles.into_iter().collect()
    }

    /// All that a module imports, and what that imports.
    fn reached_from(&self, place: &Place) -> BTreeSet<&Place> {
        let mut reached = BTreeSet::new();
        let mut left: Vec<&Place> = self.imports(place);
        while let Some(next) = left.pop() {
            if reached.insert(next) {
                left.extend(self.imports(next));
            }
        }
        reached
    }

    fn imports(&self, place: &Place) -> Vec<&Place> {
        let module = &self.0[place];
        let uses = module.uses.iter().filter(|it| !module.only_passes_on(it)).map(|it| &it.path);
        let named = uses.chain(&module.paths);
        named.filter_map(|path| self.place_that_has(place, path, 0)).filter(|other| *other != place).collect()
    }

    /// The module in which what a path names, seen from a module, is written.
    fn place_that_has(&self, from: &Place, path: &[String], depth: usize) -> Option<&Place> {
        let (first, mut rest) = path.split_first()?;
        let mut here = match first.as_str() {
            "crate" => Place::new(),
            "self" => from.clone(),
            "super" => from.split_last()?.1.to_vec(),
            child => [from.as_slice(), &[child.to_owned()]].concat(),
        };
        while let Some((next, after)) = rest.split_first() {
            if next == "super" {
                here.pop();
            } else {
                let below = [here.as_slice(), std::slice::from_ref(next)].concat();
                if !self.0.contains_key(&below) {
                    break;
                }
                here = below;
            }
            rest = after;
        }
        let (place, module) = self.0.get_key_value(&here)?;
        let passed_on = rest.first().and_then(|name| module.uses.iter().find(|it| it.name == *name));
        match passed_on {
            // A name that a module has from elsewhere; what is outside the crate is nobody's here.
            Some(it) if depth < 8 => {
                let path = [&it.path[..], &rest[1..]].concat();
                self.place_that_has(place, &path, depth + 1)
            }
            _ => Some(place),
        }
    }
}

impl Module {
    fn read(file: String, text: &str) -> Self {
        let code = without_comments(text);
        let end = ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|mark| line_start(&code, mark)).min();
        let (uses, code) = split_uses(&code[..end.unwrap_or(code.len())]);
        let paths = spelt_paths(&code);
        Self { file, uses, paths, code }
    }

    /// Whether a module that has the others of its folder below it has a name only for those outside.
    fn only_passes_on(&self, it: &Use) -> bool {
        it.is_public && self.file.ends_with("mod.rs") && !words(&self.code).any(|word| word == it.name)
    }
}

fn place_of(file: &str) -> Place {
    let stem = file.trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    if stem == "lib" { Place::new() } else { stem.split('/').map(str::to_owned).collect() }
}

fn line_start(code: &str, mark: &str) -> Option<usize> {
    if code.starts_with(mark) { Some(0) } else { code.find(&format!("\n{mark}")).map(|at| at + 1) }
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The `use` lines of code, and the rest of it.
fn split_uses(code: &str) -> (Vec<Use>, String) {
    let (mut uses, mut rest) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let visible = line.trim_start();
        let stripped = visible.strip_prefix("pub").map_or(visible, |after| {
            let after = after.trim_start();
            if after.starts_with('(') {
                after.split_once(')').map_or("", |(_, after)| after.trim_start())
            } else {
                after
            }
        });
        let Some(first) = stripped.strip_prefix("use ") else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = first.to_owned();
        while !tree.contains(';') {
            let Some(line) = lines.next() else { break };
            tree.push_str(line);
        }
        let tree = tree.split(';').next().unwrap_or("");
        expand(&Place::new(), tree, visible.starts_with("pub"), &mut uses);
    }
    (uses, rest)
}

/// `a::{b, c as d}` becomes `a::b` and `a::c`, named `d`.
fn expand(before: &Place, tree: &str, is_public: bool, uses: &mut Vec<Use>) {
    let tree = tree.trim();
    if let Some((path, list)) = tree.split_once('{') {
        let before: Place = before.iter().cloned().chain(segments(path)).collect();
        let list = list.trim_end().strip_suffix('}').unwrap_or(list);
        for part in split_list(list) {
            expand(&before, part, is_public, uses);
        }
        return;
    }
    if tree.is_empty() {
        return;
    }
    let (path, alias) =
        tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias.trim())));
    let mut path: Place = before.iter().cloned().chain(segments(path)).collect();
    if path.last().is_some_and(|last| last == "*" || (last == "self" && path.len() > 1)) {
        path.pop();
    }
    let name = alias.map_or_else(|| path.last().cloned().unwrap_or_default(), str::to_owned);
    uses.push(Use { path, name, is_public });
}

fn segments(path: &str) -> impl Iterator<Item = String> {
    path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned)
}

/// The parts of a list between its commas, those within braces aside.
fn split_list(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

/// Paths in code that begin with `crate::` or `super::`, those of a visibility aside.
fn spelt_paths(code: &str) -> Vec<Place> {
    let mut paths = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = &code[..at];
            let is_part = before.ends_with(|letter: char| letter.is_alphanumeric() || "_$:".contains(letter));
            if is_part || before.ends_with("pub(in ") {
                continue;
            }
            let end =
                code[at..].find(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':');
            let path = &code[at..at + end.unwrap_or(code.len() - at)];
            paths.push(segments(path).collect());
        }
    }
    paths
}
