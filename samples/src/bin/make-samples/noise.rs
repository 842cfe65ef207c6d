//! Repeatable randomness: hashed numbers, smooth noise, and a sequence. The results do not depend
//! on time or machine.

/// A number in 0.0..1.0 for a place and a seed.
pub(crate) fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut mixed = (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77)
        ^ seed.wrapping_mul(0xC2B2_AE3D);
    mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x2C1B_3C6D);
    mixed = (mixed ^ (mixed >> 12)).wrapping_mul(0x297A_2D39);
    mixed ^= mixed >> 15;
    (mixed >> 8) as f32 / (1 << 24) as f32
}

/// Smooth noise in 0.0..1.0, one bump per unit.
pub(crate) fn smooth(x: f32, y: f32, seed: u32) -> f32 {
    let (cell_x, cell_y) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (across, down) = (ease(x - cell_x), ease(y - cell_y));
    let corner = |dx: i32, dy: i32| hash(cell_x as i32 + dx, cell_y as i32 + dy, seed);
    let above = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * across;
    let below = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * across;
    above + (below - above) * down
}

/// Noise with detail in 0.0..1.0: each octave twice as fine and half as strong.
pub(crate) fn detailed(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut strength, mut scale) = (0.0, 0.5, 1.0);
    for octave in 0..octaves {
        sum += smooth(x * scale, y * scale, seed + octave * 101) * strength;
        strength *= 0.5;
        scale *= 2.03;
    }
    sum / (1.0 - strength * 2.0)
}

/// Sharp crests in 0.0..1.0, for mountains.
pub(crate) fn ridged(x: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut strength, mut scale) = (0.0, 0.55, 1.0);
    for octave in 0..octaves {
        let crest = 1.0 - (smooth(x * scale, 0.5, seed + octave * 57) * 2.0 - 1.0).abs();
        sum += crest * crest * strength;
        strength *= 0.45;
        scale *= 2.1;
    }
    sum
}

/// A sequence of numbers in 0.0..1.0.
pub(crate) struct Sequence {
    seed: u32,
    at: i32,
}

impl Sequence {
    pub(crate) fn new(seed: u32) -> Self {
        Self { seed, at: 0 }
    }

    pub(crate) fn next(&mut self) -> f32 {
        self.at += 1;
        hash(self.at, 7, self.seed)
    }

    pub(crate) fn between(&mut self, least: f32, most: f32) -> f32 {
        least + (most - least) * self.next()
    }
}
