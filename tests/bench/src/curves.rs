//! How many nodes are still without handlers, by the time since they lost them: as curves.

use std::time::Duration;

use crate::svg::{DARK, Drawing, GREY, LIGHT, LINE, RED};

/// Sizes of the drawing, in its own units.
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
const WIDTH: f64 = 660.0;
const HEIGHT: f64 = 240.0;

/// A curve for each loss, named by what it was, with lines where the promise and the limit are.
pub(crate) fn drawing(title: &str, losses: &[(&str, &Vec<Duration>); 2], promise: Duration, limit: Duration) -> String {
    let seconds = limit.as_secs().max(1) + 1;
    let x = |time: f64| LEFT + WIDTH * time / seconds as f64;
    let y = |share: f64| TOP + HEIGHT * (1.0 - share);
    let whole = |left: f64| left as usize;
    let mut drawing = Drawing::new(whole(LEFT + WIDTH) + 30, whole(TOP + HEIGHT) + 5 * LINE, title);
    for percent in [0, 50, 100] {
        let height = y(f64::from(percent) / 100.0);
        drawing.line([(LEFT, height), (LEFT + WIDTH, height)], LIGHT);
        drawing.text(8, whole(height) + 4, format_args!("{percent} %"));
    }
    for second in 0..=seconds {
        drawing.text(whole(x(second as f64)) - 4, whole(y(0.0)) + LINE, format_args!("{second} s"));
    }
    for (name, time) in [("promise", promise), ("limit here", limit)] {
        let left = x(time.as_secs_f64());
        drawing.line([(left, y(0.0)), (left, y(1.0))], RED);
        drawing.text(whole(left) + 4, whole(TOP) + LINE, name);
    }
    for (number, ((name, times), colour)) in losses.iter().zip([GREY, DARK]).enumerate() {
        let mut times: Vec<_> = times.iter().map(Duration::as_secs_f64).collect();
        times.sort_by(f64::total_cmp);
        let count = times.len() as f64;
        // Down a step where a node is whole again.
        let steps = times
            .iter()
            .enumerate()
            .flat_map(|(index, &time)| [index, index + 1].map(|healed| (x(time), y(1.0 - healed as f64 / count))));
        drawing.line([(x(0.0), y(1.0))].into_iter().chain(steps), colour);
        let base = whole(y(0.0)) + LINE * (number + 2) + 6;
        drawing.bar(whole(LEFT), base - 12, 14, colour);
        drawing.text(whole(LEFT) + 22, base, name);
    }
    drawing.finish()
}
