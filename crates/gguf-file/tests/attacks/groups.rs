//! The table of this folder's README: every group of hostile files has its tests, and every test its group.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const README: &str = include_str!("README.md");

/// One row of the table.
struct Row {
    /// Its number, where the group has one.
    group: Option<u32>,
    /// What happens to such a file.
    outcome: &'static str,
    tests: Vec<&'static str>,
}

fn rows() -> Vec<Row> {
    let table = README.lines().skip_while(|line| !line.starts_with("| group |")).skip(2);
    table.take_while(|line| line.starts_with('|')).map(row).collect()
}

fn row(line: &'static str) -> Row {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let ["", group, _, outcome, tests, ""] = cells[..] else { panic!("four columns: {line}") };
    Row { group: group.parse().ok(), outcome, tests: tests.split('`').skip(1).step_by(2).collect() }
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `attacks/header::bad_magic` is a test of this crate, `plimsoll/loader/streams::…` one of the core, and
/// `46-changed-files: title` one of the package's.
fn place_of(name: &str) -> (PathBuf, String) {
    if let Some((suite, title)) = name.split_once(": ") {
        return (checkout().join(format!("__test__/{suite}.spec.ts")), format!("'{title}'"));
    }
    let (file, test) = name.rsplit_once("::").expect("a file and a test");
    let file = match file.strip_prefix("plimsoll/") {
        Some(file) => format!("crates/plimsoll/tests/{file}.rs"),
        None => format!("crates/gguf-file/tests/{file}.rs"),
    };
    (checkout().join(file), format!("#[test]\nfn {test}() {{"))
}

/// The tests of a file of this folder, by the names that the table has for them.
fn tests_in(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks").join(format!("{file}.rs"));
    let source = fs::read_to_string(path).expect("a file of this folder");
    let bodies = source.split("#[test]\nfn ").skip(1);
    bodies
        .filter_map(|body| body.split_once('('))
        .map(|(test, _)| format!("attacks/{file}::{test}"))
        .collect()
}

#[test]
fn every_group_has_a_row() {
    let groups: Vec<u32> = rows().iter().filter_map(|row| row.group).collect();
    assert_eq!(groups, (1..=37).collect::<Vec<_>>());
}

#[test]
fn every_row_names_tests_that_there_are() {
    for Row { group, outcome, tests } in rows() {
        assert!(!tests.is_empty() || outcome.contains("by the loader's tests"), "group {group:?}");
        for test in tests {
            let (path, sought) = place_of(test);
            let source =
                fs::read_to_string(&path).unwrap_or_else(|_| panic!("{test}: no {}", path.display()));
            assert!(source.contains(&sought), "{test}: no such test in {}", path.display());
        }
    }
}

#[test]
fn every_test_of_this_folder_has_a_row() {
    let listed: BTreeSet<&str> = rows().into_iter().flat_map(|row| row.tests).collect();
    let files = ["data", "header", "metadata", "tensor_infos", "whole_file"];
    for test in files.into_iter().flat_map(tests_in) {
        assert!(listed.contains(&test[..]), "{test} stands in no row");
    }
}
