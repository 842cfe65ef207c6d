//! A city by night: three rows of towers, lit windows, a moon, and their reflection in a river.

use image::RgbImage;

use crate::canvas::{Colour, add, gradient, mix, paint as paint_points, scale, step};
use crate::noise::{detailed, hash, smooth};

const BANK: f32 = 0.70;
const MOON: (f32, f32) = (1.19, 0.17);

pub(crate) fn paint(width: u32, height: u32) -> RgbImage {
    let rows = [skyline(0), skyline(1), skyline(2)];
    paint_points(width, height, |x, y| {
        if y < BANK {
            city(&rows, x, y)
        } else {
            river(&rows, x, y)
        }
    })
}

struct Tower {
    left: f32,
    right: f32,
    top: f32,
    seed: i32,
}

fn skyline(row: u32) -> Vec<Tower> {
    let (widest, highest, least) = [
        (0.060, 0.40, 0.16),
        (0.075, 0.47, 0.12),
        (0.095, 0.30, 0.06),
    ][row as usize];
    let mut towers = Vec::new();
    let mut left = -0.02;
    for seed in 0.. {
        let wide = widest * (0.45 + 0.55 * hash(seed, 0, 500 + row));
        let middle = 1.0 - ((left - 0.62) / 0.85_f32).powi(2).min(0.75);
        let tall = least + (highest - least) * hash(seed, 1, 500 + row).powf(1.6) * middle;
        towers.push(Tower {
            left,
            right: left + wide,
            top: BANK - tall,
            seed,
        });
        left += wide + 0.012 * hash(seed, 2, 500 + row) * (2.0 - row as f32 * 0.5);
        if left > 1.52 {
            return towers;
        }
    }
    towers
}

fn sky(x: f32, y: f32) -> Colour {
    let base = gradient(
        &[
            (0.0, [0.020, 0.027, 0.085]),
            (0.35, [0.055, 0.060, 0.165]),
            (0.58, [0.185, 0.105, 0.225]),
            (0.72, [0.42, 0.215, 0.23]),
        ],
        y,
    );
    let away = ((x - MOON.0).powi(2) + (y - MOON.1).powi(2)).sqrt();
    let seas = detailed(x * 26.0, y * 26.0, 3, 8);
    let moon = mix(
        [0.97, 0.94, 0.84],
        [0.74, 0.72, 0.68],
        step(0.45, 0.62, seas),
    );
    let lit = add(base, [0.55, 0.55, 0.62], (-away * 9.0).exp() * 0.42);
    let colour = mix(lit, moon, step(0.0575, 0.0555, away));
    let cell = ((x * 62.0).floor() as i32, (y * 62.0).floor() as i32);
    let star = hash(cell.0, cell.1, 600);
    if star < 0.925 || away < 0.075 {
        return colour;
    }
    let at = (
        (cell.0 as f32 + 0.2 + 0.6 * hash(cell.0, cell.1, 601)) / 62.0,
        (cell.1 as f32 + 0.2 + 0.6 * hash(cell.0, cell.1, 602)) / 62.0,
    );
    let off = ((x - at.0).powi(2) + (y - at.1).powi(2)).sqrt();
    add(
        colour,
        [0.9, 0.93, 1.0],
        step(0.0019, 0.0006, off) * (star - 0.9) * 9.0 * step(0.62, 0.2, y),
    )
}

fn city(rows: &[Vec<Tower>; 3], x: f32, y: f32) -> Colour {
    let mut colour = sky(x, y);
    for (row, towers) in rows.iter().enumerate() {
        let wall = [
            [0.115, 0.085, 0.18],
            [0.068, 0.060, 0.125],
            [0.032, 0.032, 0.068],
        ][row];
        for tower in towers {
            if (tower.left..tower.right).contains(&x)
                && let Some(front) = front(tower, row as u32, wall, x, y)
            {
                colour = front;
            }
        }
        // Haze of lights between the rows.
        colour = add(
            colour,
            [0.50, 0.22, 0.16],
            (0.055 - 0.02 * row as f32) * step(0.40, BANK, y),
        );
    }
    let quay = step(BANK - 0.012, BANK - 0.010, y);
    let mut colour = mix(colour, [0.02, 0.02, 0.04], quay);
    let lamp = (x * 11.0).fract() - 0.5;
    let off = ((lamp / 11.0).powi(2) + (y - BANK + 0.017).powi(2)).sqrt();
    colour = add(colour, [1.0, 0.72, 0.38], (-off * 110.0).exp() * 0.9);
    colour
}

fn front(tower: &Tower, row: u32, wall: Colour, x: f32, y: f32) -> Option<Colour> {
    let kind = hash(tower.seed, 3, 510 + row);
    let middle = (tower.left + tower.right) / 2.0;
    let wide = tower.right - tower.left;
    let from_middle = (x - middle).abs();
    // Some taper in steps, some carry a mast with a red light.
    let setback = if kind > 0.55 {
        tower.top
            + if from_middle > wide * 0.30 {
                0.035
            } else {
                0.0
            }
    } else {
        tower.top
    };
    if kind > 0.72 && row < 2 {
        let tip = tower.top - 0.06;
        let red = ((x - middle).powi(2) + (y - tip).powi(2)).sqrt();
        if red < 0.0024 {
            return Some([1.0, 0.25, 0.2]);
        }
        if from_middle < 0.0011 && y > tip && y < tower.top {
            return Some(scale(wall, 0.9));
        }
    }
    if y < setback {
        return None;
    }
    let shade = 0.82 + 0.36 * (x - tower.left) / wide;
    let face = scale(wall, shade);
    let size = [0.0086, 0.0104, 0.0128][row as usize];
    let columns = ((wide - size) / size).floor().max(1.0);
    let margin = (wide - columns * size) / 2.0;
    let (across, down) = (
        (x - tower.left - margin) / size,
        (y - setback - size * 0.8) / (size * 1.25),
    );
    if across < 0.0 || across >= columns || down < 0.0 || y > BANK - 0.022 {
        return Some(face);
    }
    let pane = (0.20..0.80).contains(&across.fract()) && (0.22..0.74).contains(&down.fract());
    let floor = hash(down as i32, tower.seed, 530 + row);
    let chance = hash(across as i32 + tower.seed * 31, down as i32, 520 + row);
    // Whole floors stay lit in some towers; most windows are dark.
    let lit = chance
        < if floor > 0.93 {
            0.85
        } else {
            0.17 + 0.22 * kind
        };
    if !pane || !lit {
        return Some(if pane { scale(face, 1.25) } else { face });
    }
    let tint = hash(across as i32, down as i32 + tower.seed, 540);
    let light = if tint > 0.86 {
        [0.62, 0.80, 1.0]
    } else {
        mix([1.0, 0.62, 0.26], [1.0, 0.88, 0.60], tint)
    };
    Some(scale(
        light,
        0.55 + 0.45 * hash(down as i32, across as i32, 541),
    ))
}

fn river(rows: &[Vec<Tower>; 3], x: f32, y: f32) -> Colour {
    let below = y - BANK;
    let near = below / (1.0 - BANK);
    let crests = (below + 0.02).ln() * 24.0;
    let wave = smooth(x * (16.0 - 9.0 * near), crests * 1.4, 620) - 0.5;
    let fine = smooth(x * 45.0, crests * 4.0, 621) - 0.5;
    // Lights are drawn out downwards: several looks at different heights.
    let mut colour = [0.0; 3];
    for look in 0..5 {
        let long = (look as f32 - 2.0) * (0.006 + 0.03 * near);
        let mirrored = (BANK - 0.012 - below * 1.35 - long + wave * 0.05 * (0.3 + near))
            .clamp(0.0, BANK - 0.001);
        let aside = x + wave * (0.004 + 0.022 * near) + fine * 0.006;
        colour = add(colour, city(rows, aside, mirrored), 0.2);
    }
    let deep = mix(
        scale(colour, 0.80),
        [0.020, 0.025, 0.065],
        0.16 + 0.30 * near,
    );
    add(
        deep,
        [0.30, 0.26, 0.36],
        step(0.22, 0.5, wave + fine * 0.4) * 0.10,
    )
}
