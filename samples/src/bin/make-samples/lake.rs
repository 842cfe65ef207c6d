//! A mountain lake at sunset: clouds lit from below, five ranges fading into haze, and the water
//! giving it all back.

use image::RgbImage;

use crate::canvas::{Colour, add, gradient, mix, paint as paint_points, scale, step};
use crate::noise::{detailed, hash, ridged, smooth};

const HORIZON: f32 = 0.56;
const SUN: (f32, f32) = (0.93, 0.352);
const GOLD: Colour = [1.0, 0.83, 0.50];

pub(crate) fn paint(width: u32, height: u32) -> RgbImage {
    let trees = trees(width as f32 / height as f32);
    paint_points(width, height, |x, y| {
        let ground = if y < HORIZON { land(x, y) } else { water(x, y) };
        shore(&trees, x, y, ground)
    })
}

fn sky(x: f32, y: f32) -> Colour {
    let base = gradient(
        &[
            (0.0, [0.13, 0.17, 0.38]),
            (0.16, [0.32, 0.29, 0.52]),
            (0.30, [0.72, 0.42, 0.50]),
            (0.42, [0.96, 0.60, 0.42]),
            (0.56, [1.0, 0.82, 0.55]),
        ],
        y,
    );
    let away = ((x - SUN.0).powi(2) + ((y - SUN.1) * 1.15).powi(2)).sqrt();
    let near_sun = (-away * 3.0).exp();
    // Bands of cloud, thinner towards the horizon, bright where they face the sun.
    let stretched = y * (7.0 - 4.0 * y);
    let bands =
        detailed(x * 1.7 + 3.0, stretched * 1.6, 6, 11) + 0.25 * smooth(x * 0.9, stretched, 5);
    let cloud = step(0.58, 0.86, bands) * step(0.54, 0.30, y);
    let lit = detailed(x * 1.7 + 3.05, stretched * 1.6 + 0.16, 5, 11);
    let bright = step(0.35, 0.75, bands - lit + 0.5) * (0.4 + 0.6 * near_sun);
    let cloud_colour = mix(
        [0.42, 0.30, 0.46],
        [1.0, 0.66, 0.46],
        bright + 0.25 * step(0.1, 0.4, y),
    );
    let mut colour = mix(base, cloud_colour, cloud * 0.85);
    colour = add(colour, [1.0, 0.62, 0.30], near_sun * 0.42);
    colour = add(colour, [1.0, 0.85, 0.55], (-away * 14.0).exp() * 0.75);
    mix(colour, [1.4, 1.3, 1.1], step(0.037, 0.033, away))
}

/// Where a range's crest is at `x`.
fn crest(layer: u32, x: f32) -> f32 {
    let (height, rough, calm) = [
        (0.300, 1.55, 0.03),
        (0.185, 1.9, 0.02),
        (0.135, 2.3, 0.02),
        (0.085, 2.9, 0.01),
        (0.045, 3.6, 0.008),
    ][layer as usize];
    let shape = ridged(x * rough + layer as f32 * 7.3 + 1.9, 6, 31 + layer * 13);
    let swing = smooth(x * 0.8 + layer as f32 * 3.1, 0.5, 71 + layer);
    HORIZON + 0.012 - calm - height * (0.35 + 0.65 * shape) * (0.55 + 0.75 * swing)
}

fn land(x: f32, y: f32) -> Colour {
    let mut colour = sky(x, y);
    let near_sun = (-(x - SUN.0).abs() * 2.2).exp();
    let haze = mix([0.80, 0.52, 0.52], [1.0, 0.76, 0.50], near_sun);
    for layer in 0..5 {
        let top = crest(layer, x);
        let inside = step(top - 0.0008, top + 0.0008, y);
        if inside <= 0.0 {
            continue;
        }
        let depth = layer as f32 / 4.0;
        let rock = mix([0.36, 0.28, 0.42], [0.07, 0.08, 0.13], depth);
        // Slopes that face the sun catch some of it; ribs of rock run down from the crest, each its
        // own way.
        let under = y - top;
        let along = x + under * 1.6 * (smooth(x * 9.0, y * 5.0, 220 + layer) - 0.5);
        let slope = (crest(layer, along + 0.006) - crest(layer, along - 0.006)) / 0.012;
        let facing = step(-0.9, 0.9, if x < SUN.0 { -slope } else { slope });
        let facing = 0.5 + (facing - 0.5) * step(0.11, 0.0, under);
        let grain = detailed(x * 28.0, y * 46.0, 4, 200 + layer);
        let mut face = add(
            rock,
            [0.55, 0.30, 0.20],
            (facing * 0.45 + (grain - 0.5) * 0.35) * (1.0 - depth * 0.8),
        );
        if layer == 0 {
            let snow = step(0.075, 0.02, under + (grain - 0.5) * 0.07) * step(0.455, 0.40, top);
            face = mix(
                face,
                mix([0.72, 0.58, 0.68], [1.0, 0.84, 0.74], facing),
                snow * 0.9,
            );
        }
        let distance = (1.0 - depth).powf(1.3) * 0.55
            + 0.35 * step(top, HORIZON + 0.03, y) * (1.0 - depth * 0.6);
        colour = mix(colour, mix(face, haze, distance), inside);
    }
    colour
}

fn water(x: f32, y: f32) -> Colour {
    let below = y - HORIZON;
    let near = below / (1.0 - HORIZON);
    // Waves look longer if they are nearer.
    let rows = (below + 0.012).ln() * 34.0;
    let wave = detailed(x * (9.0 - 5.0 * near), rows, 4, 301) - 0.5;
    let fine = smooth(x * 60.0 / (0.4 + near), rows * 4.0, 311) - 0.5;
    let shift = wave * (0.010 + 0.085 * near) + fine * 0.012 * near;
    let mirrored =
        (HORIZON - below * 0.92 - shift.abs() * 0.6 + shift * 0.7).clamp(0.0, HORIZON - 0.001);
    let mut colour = land(x + shift * 0.25, mirrored);
    colour = mix(scale(colour, 0.86), [0.10, 0.13, 0.24], 0.10 + 0.42 * near);
    // The sun's path, broken by the waves.
    let spread = 0.022 + 0.16 * near;
    let path = (-((x - SUN.0) / spread).powi(2)).exp();
    let glint = step(0.02, 0.20, wave + fine * 0.5 + 0.06 * path) * path;
    colour = add(colour, GOLD, glint * (0.75 - 0.35 * near) + path * 0.10);
    // A line of light where the far shore meets the water.
    add(colour, GOLD, (-below * 260.0).exp() * 0.22)
}

/// A pine: its position and height.
struct Pine {
    x: f32,
    foot: f32,
    height: f32,
    seed: i32,
}

fn trees(width: f32) -> Vec<Pine> {
    let mut trees = Vec::new();
    for seed in 0..46 {
        let spread = hash(seed, 1, 900);
        let left = seed % 5 < 3;
        let x = if left {
            spread * spread * 0.46
        } else {
            width - spread * spread * 0.36
        };
        let edge = if left { x / 0.46 } else { (width - x) / 0.36 };
        let height = (0.34 - 0.24 * edge) * (0.55 + 0.6 * hash(seed, 2, 900));
        trees.push(Pine {
            x,
            foot: bank(x, width) + 0.02,
            height,
            seed,
        });
    }
    trees
}

/// The near bank's edge: high at both sides, below the picture in the middle.
fn bank(x: f32, width: f32) -> f32 {
    let side = (1.0 - x / 0.62).max((x - width + 0.5) / 0.5).max(0.0);
    1.03 - 0.17 * side.powf(0.8) - 0.012 * detailed(x * 14.0, 0.0, 3, 77)
}

fn shore(trees: &[Pine], x: f32, y: f32, behind: Colour) -> Colour {
    let width = 1.5;
    let dark = mix(
        [0.035, 0.035, 0.06],
        [0.10, 0.06, 0.07],
        step(1.0, 0.7, y) * 0.6,
    );
    let grass = bank(x, width) - 0.014 * smooth(x * 190.0, 0.0, 78);
    let mut cover = step(grass - 0.001, grass + 0.001, y);
    for tree in trees {
        let up = (tree.foot - y) / tree.height;
        let off = (x - tree.x).abs();
        if !(0.0..=1.0).contains(&up) || off > tree.height * 0.24 {
            continue;
        }
        // Branches hang in tiers, each wider than the one above and a little different on either
        // side.
        let side = if x < tree.x { 0 } else { 1 };
        let tier = (1.0 - up) * 11.0;
        let within = tier.fract();
        let reach = (1.0 - up).powf(0.85) * 0.20 * (0.45 + 0.55 * within);
        let ragged = 0.75 + 0.5 * hash(tier as i32, side, 40 + tree.seed as u32)
            - 0.18 * smooth(x * 420.0, y * 420.0, 41);
        let trunk = 0.007 * (1.2 - up);
        let half = (reach * ragged * step(0.0, 0.08, up)).max(trunk) * tree.height;
        cover = cover.max(step(half + 0.0009, half - 0.0009, off));
    }
    mix(behind, dark, cover)
}
