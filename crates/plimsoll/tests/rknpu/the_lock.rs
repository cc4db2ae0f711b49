//! One back end at a time, of whatever process.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use plimsoll::units::MIB;

use crate::{
    fake_rknpu::{Board, Model},
    take,
};

const CHILD: &str = "PLIMSOLL_TEST_BOARD";

#[test]
fn keeps_a_second_back_end_of_this_process_out() {
    let board = Board::new();
    let first = board.open().unwrap();
    let refusal = board.open().unwrap_err();
    assert_eq!(refusal.code(), "ERR_BUSY");
    assert!(refusal.to_string().contains("share that back end"), "{refusal}");
    drop(first);
    board.open().unwrap();
}

#[test]
fn keeps_another_process_out_until_it_dies_and_names_it() {
    let board = Board::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_lock::child", "--nocapture"])
        .env(CHILD, board.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("holds it")));
    let refusal = board.open().unwrap_err();
    assert_eq!(refusal.code(), "ERR_BUSY");
    assert!(refusal.to_string().contains(&format!("process {} (", child.id())), "{refusal}");
    child.kill().unwrap();
    child.wait().unwrap();
    take(&board.open().unwrap(), MIB).unwrap();
}

/// The other process: nothing unless it is told of a board.
#[test]
fn child() {
    let Some(root) = std::env::var_os(CHILD) else { return };
    let board = Board::at(root.as_ref(), Model::default());
    let backend = board.open().unwrap();
    println!("holds it");
    std::io::stdout().flush().unwrap();
    // Until the parent kills this process, or is no more.
    let _ = std::io::stdin().read_line(&mut String::new());
    drop(backend);
}
