//! Finds names that occur twice in one object. A value no longer shows them.

use std::collections::HashSet;

use crate::limits::DEPTH;
use crate::scan::Scanner;
use crate::token::Token;
use crate::without_mark;

/// An array or object that has not ended.
enum Open {
    /// An array, with the index of its next item.
    Array(usize),
    /// An object, with the names seen, and the last of them.
    Object(HashSet<String>, String),
}

/// One step of the path to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into an object, by name.
    Name(String),
    /// Into an array, by index.
    Index(usize),
}

/// The path to each name that its object already has. The list is empty if the text is not JSON.
pub fn repeated_names(text: &str) -> Vec<Vec<Step>> {
    let mut scanner = Scanner::new(without_mark(text), DEPTH);
    let (mut open, mut found) = (Vec::new(), Vec::new());
    loop {
        match scanner.next() {
            Ok(Some(Token::Array)) => open.push(Open::Array(0)),
            Ok(Some(Token::Object)) => open.push(Open::Object(HashSet::new(), String::new())),
            Ok(Some(Token::Name(name))) => {
                let mut again = false;
                if let Some(Open::Object(names, last)) = open.last_mut() {
                    *last = name.resolved().into_owned();
                    again = !names.insert(last.clone());
                }
                if again {
                    found.push(open.iter().map(Open::step).collect());
                }
            }
            Ok(Some(token)) => {
                if matches!(token, Token::Close) {
                    open.pop();
                }
                if let Some(Open::Array(index)) = open.last_mut() {
                    *index += 1;
                }
            }
            Ok(None) => return found,
            Err(_) => return Vec::new(),
        }
    }
}

impl Open {
    fn step(&self) -> Step {
        match self {
            Open::Array(index) => Step::Index(*index),
            Open::Object(_, name) => Step::Name(name.clone()),
        }
    }
}
