//! What the JSON documents of images and containers hold in lists of words, and under names.

use std::collections::HashMap;

use serde_json::Value;

use crate::arguments::Environment;

/// The words of the list at `pointer` (RFC 6901), none where there is no such list.
pub fn words<'a>(document: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = document.pointer(pointer).and_then(Value::as_array);
    let words = list.into_iter().flatten();
    words.filter_map(Value::as_str).collect()
}

/// The variables in such a list, as `NAME=VALUE`.
pub fn variables(document: &Value, pointer: &str) -> Environment {
    let words = words(document, pointer).into_iter();
    words
        .map(|word| word.split_once('=').unwrap_or((word, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The texts of the object at `pointer` (RFC 6901) by their names, none where there is no such object.
pub fn texts(document: &Value, pointer: &str) -> HashMap<String, String> {
    let object = document.pointer(pointer).and_then(Value::as_object);
    let members = object.into_iter().flatten();
    members
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
