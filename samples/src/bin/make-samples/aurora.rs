//! Northern lights over snow: curtains of rays, stars, firs, and a hut with a light in its window.

use image::RgbImage;

use crate::canvas::{Colour, add, gradient, mix, paint as paint_points, scale, step};
use crate::noise::{detailed, hash, smooth};

pub(crate) fn paint(width: u32, height: u32) -> RgbImage {
    paint_points(width, height, |x, y| foreground(x, y, sky(x, y)))
}

fn sky(x: f32, y: f32) -> Colour {
    let mut colour = gradient(
        &[
            (0.0, [0.012, 0.020, 0.060]),
            (0.40, [0.025, 0.055, 0.115]),
            (0.72, [0.055, 0.125, 0.175]),
        ],
        y,
    );
    let cell = ((x * 48.0).floor() as i32, (y * 48.0).floor() as i32);
    let star = hash(cell.0, cell.1, 700);
    if star > 0.90 {
        let at = |seed, cell: i32| (cell as f32 + 0.2 + 0.6 * hash(cell, seed, 701)) / 48.0;
        let off = ((x - at(cell.1, cell.0)).powi(2) + (y - at(cell.0 + 99, cell.1)).powi(2)).sqrt();
        colour = add(
            colour,
            [0.85, 0.92, 1.0],
            step(0.0024, 0.0006, off) * (star - 0.88) * 9.0,
        );
    }
    for (curtain, (at, high, strength)) in
        [(0.50, 0.36, 0.62), (0.42, 0.30, 0.85), (0.30, 0.20, 0.38)]
            .into_iter()
            .enumerate()
    {
        colour = add(colour, curtain_at(x, y, curtain as u32, at, high), strength);
    }
    colour
}

/// One curtain: a hem that winds across the sky, bright below and fading upwards along its rays.
fn curtain_at(x: f32, y: f32, seed: u32, at: f32, high: f32) -> Colour {
    let bend = x * 2.3 + seed as f32 * 1.7;
    let hem = at
        + 0.085 * bend.sin()
        + 0.045 * (bend * 2.3 + 1.0).sin()
        + 0.02 * smooth(x * 6.0, 0.0, 720 + seed);
    let above = hem - y;
    let leaning = x + above * 0.16;
    let rays = 0.42 + 0.58 * detailed(leaning * 17.0, 0.3, 3, 730 + seed).powf(1.4) * 1.5;
    let patches = step(0.25, 0.72, smooth(x * 2.1 + 4.0, 0.7, 740 + seed));
    let reach = high * (0.55 + 0.6 * smooth(leaning * 9.0, 0.0, 750 + seed));
    let glow = if above < 0.0 {
        (above * 55.0).exp()
    } else {
        (-above / reach * 2.4).exp()
    };
    let colour = gradient(
        &[
            (0.0, [0.30, 1.0, 0.55]),
            (0.45, [0.14, 0.72, 0.55]),
            (0.80, [0.36, 0.26, 0.66]),
            (1.2, [0.42, 0.12, 0.45]),
        ],
        (above / reach).max(0.0),
    );
    scale(colour, glow * rays * (0.22 + 0.78 * patches))
}

fn ridge(x: f32, far: bool) -> f32 {
    if far {
        0.665 - 0.10 * detailed(x * 1.9 + 2.0, 0.0, 5, 760) + 0.035 * x
    } else {
        0.775 + 0.055 * (x * 2.4 + 0.6).sin() - 0.035 * smooth(x * 1.6, 0.0, 770)
    }
}

fn foreground(x: f32, y: f32, behind: Colour) -> Colour {
    let mut colour = behind;
    let far = ridge(x, true);
    let inside = step(far - 0.0015, far + 0.0015, y);
    let slope = detailed(x * 9.0, y * 13.0, 4, 761);
    colour = mix(
        colour,
        mix(
            [0.075, 0.135, 0.20],
            [0.17, 0.33, 0.36],
            slope * step(0.16, 0.0, y - far),
        ),
        inside,
    );
    colour = firs(x, y, colour);
    let near = ridge(x, false);
    let on_snow = step(near - 0.0015, near + 0.0015, y);
    let depth = ((y - near) / 0.25).clamp(0.0, 1.0);
    let drift = smooth(x * 3.0 + y * 2.0, y * 9.0, 780);
    let green = (-(x - 0.75).powi(2) * 2.0).exp();
    let snow = mix(
        mix([0.20, 0.40, 0.42], [0.34, 0.62, 0.56], green),
        [0.10, 0.17, 0.27],
        depth * 0.9,
    );
    colour = mix(colour, scale(snow, 0.80 + 0.34 * drift), on_snow);
    hut(x, y, colour)
}

fn firs(x: f32, y: f32, behind: Colour) -> Colour {
    let mut cover: f32 = 0.0;
    for row in 0..2 {
        let cells = 15.0 - row as f32 * 4.0;
        let cell = (x * cells).floor() as i32;
        for index in cell - 1..=cell + 1 {
            let middle = (index as f32 + 0.15 + 0.7 * hash(index, row, 790)) / cells;
            // A clearing around the hut.
            if (middle - 0.99).abs() < 0.13 {
                continue;
            }
            let height = (0.10 + 0.06 * row as f32) * (0.5 + 0.8 * hash(index, row, 791));
            let foot = ridge(middle, false) + 0.012;
            let up = (foot - y) / height;
            if !(0.0..=1.0).contains(&up) {
                continue;
            }
            let tier = ((1.0 - up) * 8.0).fract();
            let half = height * (1.0 - up) * (0.13 + 0.11 * tier) + 0.0012;
            cover = cover.max(step(half + 0.0012, half - 0.0012, (x - middle).abs()));
        }
    }
    mix(behind, [0.014, 0.040, 0.058], cover)
}

fn hut(x: f32, y: f32, behind: Colour) -> Colour {
    let (middle, foot) = (0.99, ridge(0.99, false) + 0.020);
    let (off, up) = (x - middle, foot - y);
    // The light falls on the snow before the hut.
    let pool = (-(off / 0.085).powi(2) - ((y - foot - 0.022) / 0.030).powi(2)).exp();
    let mut colour = add(
        behind,
        [1.0, 0.62, 0.24],
        pool * 0.38 * step(foot - 0.01, foot + 0.01, y),
    );
    if off.abs() < 0.048 && (0.0..0.046).contains(&up) {
        colour = scale(
            [0.115, 0.070, 0.050],
            0.85 + 0.3 * ((up * 160.0).fract() - 0.5),
        );
        let pane = (off.abs() < 0.015) && (0.014..0.034).contains(&up);
        let bar = off.abs() < 0.0012 || (up - 0.024).abs() < 0.0011;
        if pane {
            colour = if bar {
                [0.25, 0.14, 0.08]
            } else {
                [1.0, 0.80, 0.42]
            };
        }
    }
    let eaves = 0.046 + (0.060 - off.abs()) * 0.75;
    if off.abs() < 0.060 && up >= 0.044 && up < eaves {
        colour = mix(
            [0.30, 0.50, 0.52],
            [0.62, 0.82, 0.78],
            step(0.0, 0.02, eaves - up),
        );
    }
    let chimney = (off - 0.028).abs() < 0.006 && (0.060..0.096).contains(&up);
    if chimney {
        colour = [0.06, 0.05, 0.06];
    }
    let rise = up - 0.096;
    if rise > 0.0 && rise < 0.16 {
        let drift = 0.028 + rise * 0.35 + 0.014 * (rise * 42.0).sin();
        let wide = 0.005 + rise * 0.13;
        let smoke = (-((off - drift) / wide).powi(2)).exp() * (1.0 - rise / 0.16);
        colour = mix(colour, [0.42, 0.50, 0.56], smoke * 0.42);
    }
    colour
}
