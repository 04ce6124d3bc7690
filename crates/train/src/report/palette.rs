//! That pages are read without hue: the colours of `style.css`, light and dark, as eyes of every kind see them.
//!
//! Sights: Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB, and luminance alone. Lightness is L* of
//! CIELAB, from 0 to 100, and differences are distances in that space; about 2 can just be seen side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::comparison::glyph;
use super::curves::KINDS;
use super::heat::SHADES;
use crate::compare::Verdict;

const CSS: &str = include_str!("templates/style.css");

type Matrix = [[f64; 3]; 3];

const GREY: &str = "grey";
const LUMINANCE: [f64; 3] = [0.2126, 0.7152, 0.0722];
const SIGHTS: [(&str, Matrix); 5] = [
    ("full", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ("protan", [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    ("deutan", [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    ("tritan", [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
    (GREY, [LUMINANCE, LUMINANCE, LUMINANCE]),
];

/// The colours of one theme by name, in linear RGB.
type Palette = BTreeMap<&'static str, [f64; 3]>;

/// The light theme, and the dark one, which is the light one but for what it says otherwise.
fn themes() -> [(&'static str, Palette); 2] {
    let mut roots = CSS.split(":root {").skip(1).map(|text| colours(text.split('}').next().unwrap()));
    let light = roots.next().expect("a light theme");
    let mut dark = light.clone();
    dark.extend(roots.next().expect("a dark theme"));
    assert!(roots.next().is_none(), "a third theme, of which this knows nothing");
    [("light", light), ("dark", dark)]
}

fn colours(block: &'static str) -> Palette {
    let colour = |line: &'static str| {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
        let part = |at: usize| u8::from_str_radix(&value[at..at + 2], 16).expect("six digits");
        Some((name, [part(0), part(2), part(4)].map(|part| linear(f64::from(part) / 255.0))))
    };
    block.split(';').filter_map(colour).collect()
}

fn linear(part: f64) -> f64 {
    if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
}

fn times(matrix: &Matrix, colour: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(colour).map(|(weight, part)| weight * part).sum())
}

/// A colour as CIELAB, to eyes of this kind.
fn seen(colour: [f64; 3], sight: &Matrix) -> [f64; 3] {
    const XYZ: Matrix = [[0.4124, 0.3576, 0.1805], LUMINANCE, [0.0193, 0.1192, 0.9505]];
    const WHITE: [f64; 3] = [0.9505, 1.0, 1.089];
    let xyz = times(&XYZ, times(sight, colour).map(|part| part.clamp(0.0, 1.0)));
    let root = |value: f64| if value > 0.008856 { value.cbrt() } else { 7.787 * value + 16.0 / 116.0 };
    let [x, y, z] = [0, 1, 2].map(|at| root(xyz[at] / WHITE[at]));
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Asserts that colours go one way in lightness, each at least `step` from the one before, in both themes to all eyes.
fn assert_go_one_way(names: &[&str], step: f64) {
    for (theme, palette) in themes() {
        for (sight, matrix) in &SIGHTS {
            let lightness: Vec<f64> = names.iter().map(|name| seen(palette[name], matrix)[0]).collect();
            let way = if theme == "light" { -1.0 } else { 1.0 };
            let even = lightness.windows(2).all(|pair| way * (pair[1] - pair[0]) >= step);
            assert!(even, "{theme}, {sight}: {names:?} have the lightness {lightness:.1?}");
        }
    }
}

#[test]
fn shades_of_heat_maps_go_one_way_in_lightness() {
    assert_go_one_way(&SHADES, 3.0);
}

#[test]
fn what_is_beyond_noise_stands_off_from_noise_by_lightness_the_more_the_larger_it_is() {
    assert_go_one_way(&["wash", "b1", "b2", "b3", "b4"], 5.0);
    assert_go_one_way(&["wash", "w1", "w2", "w3", "w4"], 5.0);
}

/// In grey, changes of one size are equally dark whichever their sign, so that there the mark alone must do.
#[test]
fn better_and_worse_differ_in_colour_to_all_who_see_any_and_every_verdict_has_a_mark_of_its_own() {
    for (theme, palette) in themes() {
        for (sight, matrix) in SIGHTS.iter().filter(|(sight, _)| *sight != GREY) {
            for (better, worse) in [("b1", "w1"), ("b2", "w2"), ("b3", "w3"), ("b4", "w4")] {
                let apart = distance(seen(palette[better], matrix), seen(palette[worse], matrix));
                assert!(apart >= 20.0, "{theme}, {sight}: {better} and {worse} are {apart:.1} apart");
            }
        }
    }
    let verdicts = [Verdict::Better, Verdict::Worse, Verdict::WithinNoise, Verdict::Untested];
    let marks: BTreeSet<&str> = verdicts.into_iter().map(glyph).collect();
    assert!(marks.len() == verdicts.len() && !marks.contains(""), "{marks:?}");
}

#[test]
fn every_line_has_dashes_of_its_own_and_stands_off_from_the_paper() {
    let rule = |kind: usize| {
        let (_, rest) = CSS.split_once(&format!("svg .c{kind} {{ ")).expect("a line of this kind");
        rest.split_once('}').expect("its end").0
    };
    let dashes = |kind: usize| {
        let dashes = rule(kind).split_once("stroke-dasharray: ").map_or("none", |(_, dashes)| dashes);
        dashes.split(';').next().expect("a value")
    };
    let all: BTreeSet<&str> = (1..=KINDS).map(dashes).collect();
    assert_eq!(all.len(), KINDS, "some lines have the same dashes: {all:?}");
    assert!(rule(0).contains("stroke-width: 2.2"), "the line of all rows is no wider than the others");
    for (theme, palette) in themes() {
        for (sight, matrix) in &SIGHTS {
            for kind in 1..=KINDS {
                let line = palette[format!("line{kind}").as_str()];
                let [paper, line] = [palette["paper"], line].map(|colour| seen(colour, matrix)[0]);
                assert!(
                    (paper - line).abs() >= 40.0,
                    "{theme}, {sight}: line {kind} is pale ({line:.1} on {paper:.1})"
                );
            }
        }
    }
}
