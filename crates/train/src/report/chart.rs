//! Line charts as coordinates.

use serde::Serialize;

use super::format::{at, fixed};

/// A chart with its axes; coordinates are those of the drawing.
#[derive(Default, Serialize)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) note: String,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x_name: String,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    mark: Option<Tick>,
    diagonal: String,
    lines: Vec<Line>,
    whiskers: Vec<Whisker>,
    dots: Vec<Dot>,
}

#[derive(Serialize)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

#[derive(Serialize)]
struct Line {
    name: String,
    class: String,
    path: String,
    label: String,
    text_class: String,
    label_at: f64,
}

#[derive(Serialize)]
struct Whisker {
    x: f64,
    low: f64,
    high: f64,
}

#[derive(Serialize)]
pub(super) struct Dot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) title: String,
}

/// A line to be drawn.
pub(super) struct Series {
    pub(super) name: String,
    /// How it looks: a class of the style.
    pub(super) class: String,
    /// The class of its name at its end; without it the line has none.
    pub(super) label: Option<String>,
    pub(super) points: Vec<(f64, f64)>,
}

/// Where numbers lie in a drawing.
#[derive(Clone, Copy)]
pub(super) struct Axes {
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

/// A point of a reliability diagram with the interval of what happened.
pub(super) struct Binned {
    pub(super) point: (f64, f64),
    pub(super) interval: (f64, f64),
    pub(super) title: String,
}

const TOP: f64 = 16.0;
const LEFT: f64 = 44.0;
/// Least distance of two names at the ends of lines.
const LABEL: f64 = 12.0;
/// Half the length of the stroke that a point alone is drawn as.
const STROKE: f64 = 6.0;
/// Letters of a name at the end of a line, at most.
const NAME: usize = 14;

impl Chart {
    /// Lines over steps.
    pub(super) fn lines(title: String, note: String, axes: Axes, series: Vec<Series>) -> Chart {
        let widest = series.iter().filter(|line| line.label.is_some()).map(|line| line.name.chars().count()).max();
        let room = widest.map_or(10.0, |letters| 14.0 + 6.2 * letters.min(NAME) as f64);
        let mut chart = Chart::framed((440.0, 220.0), room);
        (chart.title, chart.note, chart.x_name) = (title, note, "step".to_owned());
        chart.x_ticks = chart.ticks_x(axes, 4);
        chart.y_ticks = chart.ticks_y(axes, 4);
        chart.lines = series.iter().map(|line| chart.line(axes, line)).collect();
        chart.part_labels();
        chart
    }

    /// A square diagram of predicted against happened, both from 0 to `most`.
    pub(super) fn square(title: String, note: String, most: f64, bins: Vec<Binned>) -> Chart {
        let axes = Axes { x: (0.0, most), y: (0.0, most) };
        let mut chart = Chart::framed((252.0, 262.0), 12.0);
        (chart.title, chart.note, chart.x_name) = (title, note, "predicted".to_owned());
        chart.x_ticks = chart.ticks_x(axes, 4);
        chart.y_ticks = chart.ticks_y(axes, 4);
        let corners = [(0.0, 0.0), (most, most)];
        chart.diagonal = path(&corners.map(|point| chart.place(axes, point)));
        let points = bins.iter().map(|bin| bin.point).collect();
        let line = Series { name: String::new(), class: "c1".to_owned(), label: None, points };
        chart.lines = vec![chart.line(axes, &line)];
        for bin in bins {
            let (x, y) = chart.place(axes, bin.point);
            let end = |y: f64| chart.place(axes, (0.0, y.min(most))).1;
            chart.whiskers.push(Whisker { x, low: end(bin.interval.0), high: end(bin.interval.1) });
            chart.dots.push(Dot { x, y, title: bin.title });
        }
        chart
    }

    /// Marks a place of the horizontal axis.
    pub(super) fn with_mark(mut self, axes: Axes, x: f64, label: &str) -> Chart {
        self.mark = Some(Tick { at: self.place(axes, (x, axes.y.0)).0, label: label.to_owned() });
        self
    }

    fn framed((width, height): (f64, f64), right: f64) -> Chart {
        let bottom = height - 36.0;
        Chart { width, height, left: LEFT, right: width - right, top: TOP, bottom, ..Chart::default() }
    }

    fn place(&self, axes: Axes, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |value: f64, (low, high): (f64, f64)| if high > low { (value - low) / (high - low) } else { 0.5 };
        let x = self.left + share(x, axes.x) * (self.right - self.left);
        (at(x), at(self.bottom - share(y, axes.y) * (self.bottom - self.top)))
    }

    fn line(&self, axes: Axes, series: &Series) -> Line {
        let places: Vec<(f64, f64)> = series.points.iter().map(|&point| self.place(axes, point)).collect();
        let shown = series.label.as_ref().filter(|_| !places.is_empty());
        Line {
            name: series.name.clone(),
            class: series.class.clone(),
            label: shown.map_or_else(String::new, |_| shortened(&series.name, NAME)),
            text_class: shown.cloned().unwrap_or_default(),
            label_at: places.last().map_or(0.0, |place| place.1 + 4.0),
            path: if let [(x, y)] = places[..] { path(&[(x - STROKE, y), (x + STROKE, y)]) } else { path(&places) },
        }
    }

    fn ticks_x(&self, axes: Axes, count: usize) -> Vec<Tick> {
        let ticks = ticks(axes.x, count);
        let tick = |&(value, places): &(f64, usize)| Tick {
            at: self.place(axes, (value, 0.0)).0,
            label: fixed(value, places),
        };
        ticks.iter().map(tick).collect()
    }

    fn ticks_y(&self, axes: Axes, count: usize) -> Vec<Tick> {
        let ticks = ticks(axes.y, count);
        let tick = |&(value, places): &(f64, usize)| Tick {
            at: self.place(axes, (0.0, value)).1,
            label: fixed(value, places),
        };
        ticks.iter().map(tick).collect()
    }

    /// Moves names at the ends of lines apart, each as little as its order allows.
    fn part_labels(&mut self) {
        let mut order: Vec<usize> = (0..self.lines.len()).filter(|&line| !self.lines[line].label.is_empty()).collect();
        order.sort_by(|&a, &b| self.lines[a].label_at.total_cmp(&self.lines[b].label_at));
        let most = self.bottom + 4.0;
        let mut least = self.top;
        for &line in &order {
            let place = &mut self.lines[line].label_at;
            *place = place.max(least);
            least = *place + LABEL;
        }
        let mut limit = most;
        for &line in order.iter().rev() {
            let place = &mut self.lines[line].label_at;
            *place = place.min(limit);
            limit = *place - LABEL;
        }
    }
}

/// A line through places of the drawing.
pub(super) fn path(places: &[(f64, f64)]) -> String {
    let mut text = String::new();
    for (number, (x, y)) in places.iter().enumerate() {
        text.push_str(&format!("{}{x} {y}", if number == 0 { 'M' } else { 'L' }));
    }
    text
}

/// About `count` round numbers in a range, with the places they need.
pub(super) fn ticks((low, high): (f64, f64), count: usize) -> Vec<(f64, usize)> {
    let span = high - low;
    if span <= 0.0 || !span.is_finite() {
        return vec![(low, 3)];
    }
    let rough = span / count as f64;
    let unit = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * unit).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * unit);
    let exact = |places: &usize| (step * 10_f64.powi(*places as i32)).fract().abs() < 1e-6;
    let places = (0..8).find(exact).unwrap_or(8);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|number| (number as f64 * step, places)).collect()
}

/// A name of so many letters at most.
pub(super) fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most { name.to_owned() } else { name.chars().take(most - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        let of = |range, count| {
            ticks(range, count).into_iter().map(|(value, places)| fixed(value, places)).collect::<Vec<_>>()
        };
        assert_eq!(of((0.0, 1.0), 4), ["0.00", "0.25", "0.50", "0.75", "1.00"]);
        assert_eq!(of((0.612, 0.734), 4), ["0.65", "0.70"]);
        assert_eq!(of((0.0, 240.0), 4), ["0", "100", "200"]);
        assert_eq!(of((0.5, 0.5), 4), ["0.500"]);
    }

    #[test]
    fn names_at_the_ends_of_lines_do_not_cover_one_another() {
        let series = |name: &str, y: f64| Series {
            name: name.to_owned(),
            class: "c1".to_owned(),
            label: Some("t1".to_owned()),
            points: vec![(0.0, y), (1.0, y)],
        };
        let axes = Axes { x: (0.0, 1.0), y: (0.0, 1.0) };
        let lines = vec![series("a", 0.01), series("b", 0.0), series("c", 0.02), series("d", 1.0)];
        let chart = Chart::lines(String::new(), String::new(), axes, lines);
        let mut places: Vec<f64> = chart.lines.iter().map(|line| line.label_at).collect();
        places.sort_by(f64::total_cmp);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LABEL - 1e-9), "{places:?}");
        assert!(places.iter().all(|place| (chart.top..=chart.bottom + 4.0).contains(place)), "{places:?}");
    }
}
