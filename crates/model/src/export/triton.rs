//! What Triton Inference Server wants to know of a model beside the model itself.
//!
//! `max_batch_size` is 0: the first dimension of every tensor is the request's own rows, and a request is a batch already
//! (the items to be ranked for one user). A number above 0 lets Triton put requests together, but then it adds the rows'
//! dimension itself and asks that tensors agree in all others, which padded lists of different requests do not.

use std::fmt::Write as _;

use super::OnnxForm;
use super::onnx::{OnnxSource, Port};

/// Lines that a reader can turn into a setting.
const NOTES: &str = "
# One request is one batch: rows come first in every tensor. To have Triton put requests together instead, set
# max_batch_size to the most rows of a batch, take the first -1 out of all dims (where nothing is left, write
# `dims: [ 1 ] reshape: { shape: [ ] }`; requests then hold [rows, 1]), and add:
#
# dynamic_batching { max_queue_delay_microseconds: 500 }
#
# Lists are padded to the longest of their request; only requests of equally long ones are put together.
";

/// The folder of a model in the repository: Triton calls the model by it.
pub(super) fn home(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let safe: String = name.chars().map(safe).collect();
    match safe.trim_matches('.') {
        "" => "model".to_owned(),
        name => name.to_owned(),
    }
}

/// The text of `config.pbtxt`.
pub(super) fn config(name: &str, source: &OnnxSource<'_>, form: OnnxForm) -> String {
    let mut text = format!("name: {}\nbackend: \"onnxruntime\"\nmax_batch_size: 0\n", quoted(name));
    for port in source.inputs(form) {
        write_port(&mut text, "input", &port);
    }
    for task in &source.model.layout.tasks {
        write_port(&mut text, "output", &Port { name: task.name.clone(), whole: false, dims: Vec::new() });
    }
    text + NOTES
}

fn write_port(text: &mut String, kind: &str, port: &Port) {
    let data_type = if port.whole { "TYPE_INT64" } else { "TYPE_FP32" };
    let mut dims = "-1".to_owned();
    for dim in &port.dims {
        let _ = match dim {
            Some(size) => write!(dims, ", {size}"),
            None => write!(dims, ", -1"),
        };
    }
    let name = quoted(&port.name);
    let _ = writeln!(text, "{kind} [ {{ name: {name} data_type: {data_type} dims: [ {dims} ] }} ]");
}

/// A text as the format writes it.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_folders_and_texts_that_the_format_reads() {
        assert_eq!(home("my model/1"), "my-model-1");
        assert_eq!(home("..") + &home(""), "modelmodel");
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
    }
}
