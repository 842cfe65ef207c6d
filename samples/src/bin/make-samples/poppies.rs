//! Poppies and daisies in a summer meadow, upright: lights out of focus behind, grass, stems, buds
//! and blossoms.

use std::f32::consts::TAU;

use image::RgbImage;

use crate::canvas::{Canvas, Colour, add, gradient, mix, scale, step};
use crate::noise::{Sequence, detailed, smooth};

pub(crate) fn paint(width: u32, height: u32) -> RgbImage {
    let mut canvas = Canvas::new(width, height);
    background(&mut canvas);
    let mut chance = Sequence::new(42);
    bokeh(&mut canvas, &mut chance);
    // From far to near: each row of flowers is in front of the grass behind it.
    grass(&mut canvas, &mut chance, 260, 0.45, [0.42, 0.56, 0.24]);
    for at in [(0.20, 0.43), (0.47, 0.36), (0.86, 0.39)] {
        poppy(&mut canvas, &mut chance, at, 0.068, 0.72);
    }
    for at in [(0.08, 0.56), (0.64, 0.50), (0.93, 0.60), (0.36, 0.55)] {
        daisy(&mut canvas, &mut chance, at, 0.048);
    }
    grass(&mut canvas, &mut chance, 240, 0.62, [0.27, 0.46, 0.17]);
    for at in [(0.74, 0.29), (0.29, 0.245)] {
        poppy(&mut canvas, &mut chance, at, 0.125, 0.95);
    }
    bud(&mut canvas, &mut chance, (0.53, 0.19));
    for at in [(0.16, 0.71), (0.84, 0.76)] {
        daisy(&mut canvas, &mut chance, at, 0.078);
    }
    poppy(&mut canvas, &mut chance, (0.53, 0.52), 0.182, 1.0);
    grass(&mut canvas, &mut chance, 130, 0.88, [0.13, 0.33, 0.11]);
    canvas.finish()
}

fn background(canvas: &mut Canvas) {
    let (width, height) = (canvas.width(), canvas.height());
    canvas.stroke((0.0, 0.0), (width, height), |x, y| {
        let (u, v) = (x / height, y / height);
        let base = gradient(
            &[
                (0.0, [0.56, 0.74, 0.86]),
                (0.14, [0.78, 0.85, 0.72]),
                (0.34, [0.64, 0.76, 0.40]),
                (0.62, [0.34, 0.52, 0.22]),
                (1.0, [0.10, 0.24, 0.09]),
            ],
            v,
        );
        let patch = detailed(u * 3.0, v * 4.0, 3, 21) - 0.5;
        let sun = (-((u - 0.14).powi(2) + (v - 0.02).powi(2)) * 4.0).exp();
        Some((
            add(
                add(base, [0.35, 0.40, 0.12], patch * 0.5),
                [1.0, 0.92, 0.62],
                sun * 0.45,
            ),
            1.0,
        ))
    });
}

/// Lights and far blossoms, out of focus.
fn bokeh(canvas: &mut Canvas, chance: &mut Sequence) {
    let (width, height) = (canvas.width(), canvas.height());
    for number in 0..54 {
        let (x, y) = (
            chance.between(0.0, width),
            chance.between(0.04, 0.62) * height,
        );
        let radius = chance.between(0.012, 0.042) * height;
        let strength = chance.between(0.10, 0.34);
        let colour = match number % 4 {
            0 => [0.93, 0.30, 0.20],
            1 => [1.0, 0.96, 0.72],
            2 => [0.80, 0.90, 0.48],
            _ => [0.97, 0.55, 0.40],
        };
        canvas.stroke(
            (x - radius, y - radius),
            (x + radius, y + radius),
            |px, py| {
                let off = (px - x).hypot(py - y) / radius;
                let rim = 0.75 + 0.25 * step(0.6, 0.95, off);
                Some((colour, strength * rim * step(1.0, 0.90, off)))
            },
        );
    }
}

fn grass(canvas: &mut Canvas, chance: &mut Sequence, blades: u32, reach: f32, colour: Colour) {
    let (width, height) = (canvas.width(), canvas.height());
    for _ in 0..blades {
        let foot = chance.between(-0.05, 1.05) * width;
        let tip_y = (reach + chance.between(-0.13, 0.10)) * height;
        let lean = chance.between(-0.13, 0.13) * width;
        let thick = chance.between(0.0022, 0.0052) * height;
        let tone = scale(colour, chance.between(0.72, 1.32));
        blade(
            canvas,
            (foot, height + 4.0),
            (foot + lean, tip_y),
            thick,
            tone,
        );
    }
}

/// A blade or stem, bent like a branch: thick at the foot and thin at the tip.
fn blade(canvas: &mut Canvas, foot: (f32, f32), tip: (f32, f32), thick: f32, colour: Colour) {
    let left = foot.0.min(tip.0) - thick;
    let right = foot.0.max(tip.0) + thick;
    canvas.stroke((left, tip.1), (right, foot.1), |x, y| {
        let up = ((foot.1 - y) / (foot.1 - tip.1)).clamp(0.0, 1.0);
        let middle = foot.0 + (tip.0 - foot.0) * up * up;
        let half = thick * (1.0 - 0.75 * up);
        let off = x - middle;
        let light = 1.0 + 0.28 * (off / half).clamp(-1.0, 1.0) + 0.30 * up;
        Some((
            scale(colour, light),
            step(half + 0.7, half - 0.7, off.abs()),
        ))
    });
}

fn stem(canvas: &mut Canvas, chance: &mut Sequence, (x, y): (f32, f32), thick: f32) {
    let height = canvas.height();
    let foot = (
        x + chance.between(-0.09, 0.09) * canvas.width(),
        height + 4.0,
    );
    blade(canvas, foot, (x, y), thick * height, [0.30, 0.47, 0.20]);
}

/// A poppy seen a little from above: four broad petals, two behind and two before, black at the
/// heart.
fn poppy(canvas: &mut Canvas, chance: &mut Sequence, (u, v): (f32, f32), size: f32, bright: f32) {
    let height = canvas.height();
    let (x, y) = (u * canvas.width(), v * height);
    let radius = size * height;
    stem(canvas, chance, (x, y), 0.0050 * (size / 0.1).sqrt());
    let turn = chance.between(-0.35, 0.35);
    let seed = (chance.next() * 1000.0) as u32;
    for (petal, (angle, long)) in [(0.25, 0.94), (0.75, 0.90), (0.0, 1.0), (0.5, 0.97)]
        .into_iter()
        .enumerate()
    {
        let facing = angle * TAU + turn;
        canvas.stroke(
            (x - radius * 1.2, y - radius * 1.1),
            (x + radius * 1.2, y + radius * 1.1),
            |px, py| {
                // Seen at a slant: the blossom is wider than high.
                let (dx, dy) = ((px - x) / radius, (py - y) / (radius * 0.80));
                let off = dx.hypot(dy);
                let mut around = (dy.atan2(dx) - facing).rem_euclid(TAU);
                if around > TAU / 2.0 {
                    around -= TAU;
                }
                let half = 1.02;
                if around.abs() > half || off > 1.2 {
                    return None;
                }
                let across = around / half;
                let wavy = 0.045 * smooth(around * 5.0 + 20.0, petal as f32, seed)
                    + 0.02 * smooth(around * 17.0 + 40.0, 3.0, seed);
                let edge = long * (1.0 - across.abs().powf(4.5)).max(0.0).powf(0.5) * (0.93 + wavy);
                let cover = step(edge + 1.2 / radius, edge - 1.2 / radius, off);
                let folds = smooth(around * 13.0 + petal as f32 * 9.0, off * 1.4, seed + 1) - 0.5;
                let veins = smooth(around * 46.0, off * 2.0, seed + 2) - 0.5;
                let lit = 0.80
                    + 0.30 * (-dy * 0.5 - dx * 0.35)
                    + folds * 0.34
                    + veins * 0.09
                    + 0.15 * step(0.5, 1.0, off);
                let red = mix(
                    [0.70, 0.055, 0.035],
                    [0.98, 0.27, 0.13],
                    step(0.15, 0.95, off * 0.7 + lit * 0.25),
                );
                let shadow = 1.0 - 0.38 * step(0.75, 1.0, across.abs()) * step(1.0, 0.4, off);
                let blot = step(0.30, 0.14, (off - 0.26).abs() + across.abs() * 0.25);
                let colour = mix(
                    scale(red, lit * shadow * bright),
                    [0.09, 0.02, 0.05],
                    blot * 0.85,
                );
                Some((colour, cover))
            },
        );
    }
    heart(canvas, chance, (x, y), radius);
}

fn heart(canvas: &mut Canvas, chance: &mut Sequence, (x, y): (f32, f32), radius: f32) {
    let core = radius * 0.15;
    for _ in 0..90 {
        let (angle, far) = (chance.next() * TAU, radius * chance.between(0.16, 0.33));
        let (px, py) = (x + angle.cos() * far, y + angle.sin() * far * 0.8);
        let dot = radius * chance.between(0.011, 0.021);
        let colour = if chance.next() > 0.75 {
            [0.46, 0.38, 0.24]
        } else {
            [0.07, 0.04, 0.07]
        };
        canvas.stroke(
            (px - dot - 1.0, py - dot - 1.0),
            (px + dot + 1.0, py + dot + 1.0),
            |cx, cy| Some((colour, step(dot + 0.7, dot - 0.7, (cx - px).hypot(cy - py)))),
        );
    }
    canvas.stroke(
        (x - core * 1.2, y - core * 1.2),
        (x + core * 1.2, y + core * 1.2),
        |px, py| {
            let (dx, dy) = ((px - x) / core, (py - y) / (core * 0.85));
            let off = dx.hypot(dy);
            let rays = ((dy.atan2(dx) * 9.0).cos() * 0.5 + 0.5) * step(0.15, 0.6, off);
            let green = mix(
                [0.50, 0.60, 0.30],
                [0.18, 0.24, 0.12],
                rays * 0.8 + 0.2 * off,
            );
            Some((
                scale(green, 1.1 - 0.3 * dx),
                step(1.0 + 1.0 / core, 1.0 - 1.0 / core, off),
            ))
        },
    );
}

fn daisy(canvas: &mut Canvas, chance: &mut Sequence, (u, v): (f32, f32), size: f32) {
    let height = canvas.height();
    let (x, y) = (u * canvas.width(), v * height);
    let radius = size * height;
    stem(canvas, chance, (x, y), 0.0036 * (size / 0.06).sqrt());
    let (turn, petals) = (chance.next() * TAU, 19.0);
    let seed = (chance.next() * 1000.0) as u32;
    canvas.stroke(
        (x - radius * 1.1, y - radius * 1.1),
        (x + radius * 1.1, y + radius * 1.1),
        |px, py| {
            let (dx, dy) = ((px - x) / radius, (py - y) / (radius * 0.82));
            let off = dx.hypot(dy);
            let slot = (dy.atan2(dx) + turn) / TAU * petals;
            let (index, within) = (slot.floor(), slot - slot.floor() - 0.5);
            let long = 0.88 + 0.12 * smooth(index * 7.3 + 200.0, 0.5, seed);
            // As wide as its slot in the middle, round at the end.
            let half = 0.47 * (1.0 - ((off - 0.62) / 0.42).abs().powi(4)).max(0.0);
            let soft = petals / (TAU * off.max(0.1) * radius);
            let cover = step(half + soft, half - soft, within.abs())
                * step(long + 1.2 / radius, long - 1.2 / radius, off);
            let groove = 0.07 * (within * 22.0).cos();
            let lit = 0.95 - 0.16 * (dx * 0.5 + dy * 0.6) - 0.20 * step(0.55, 0.25, off) + groove
                - 0.10 * within.abs();
            Some((scale([0.98, 0.97, 0.93], lit.min(1.02)), cover))
        },
    );
    let core = radius * 0.31;
    canvas.stroke(
        (x - core * 1.1, y - core * 1.1),
        (x + core * 1.1, y + core * 1.1),
        |px, py| {
            let (dx, dy) = ((px - x) / core, (py - y) / (core * 0.85));
            let off = dx.hypot(dy);
            let grain = detailed(
                dx * 9.0 + dy * 5.0 + 30.0,
                dy * 9.0 - dx * 5.0 + 30.0,
                3,
                seed + 5,
            ) - 0.5;
            let colour = mix([0.99, 0.80, 0.16], [0.80, 0.50, 0.06], off * 0.8 + dy * 0.2);
            Some((
                scale(colour, 1.0 + grain * 0.35),
                step(1.0 + 1.0 / core, 1.0 - 1.0 / core, off),
            ))
        },
    );
}

/// A nodding bud, its hairy shell about to open.
fn bud(canvas: &mut Canvas, chance: &mut Sequence, (u, v): (f32, f32)) {
    let height = canvas.height();
    let (x, y) = (u * canvas.width(), v * height);
    stem(canvas, chance, (x, y - 0.012 * height), 0.0040);
    let (wide, long) = (0.020 * height, 0.036 * height);
    canvas.stroke(
        (x - wide * 1.3, y - long * 1.3),
        (x + wide * 1.3, y + long * 1.3),
        |px, py| {
            let (dx, dy) = ((px - x) / wide, (py - y) / long);
            let off = dx.hypot(dy);
            let shell = mix([0.46, 0.58, 0.28], [0.22, 0.36, 0.13], 0.5 + 0.5 * dx);
            let slit = step(0.20, 0.10, (dx - 0.15 - 0.1 * dy).abs()) * step(-0.55, 0.1, dy);
            let colour = mix(shell, [0.90, 0.16, 0.09], slit);
            Some((
                scale(colour, 1.1 - 0.25 * off),
                step(1.0 + 1.0 / wide, 1.0 - 1.0 / wide, off),
            ))
        },
    );
}
