//! A sheet of floating-point colours to paint on, and the few curves that every scene uses.

use image::{Rgb, RgbImage};

/// Red, green, blue from 0.0 to 1.0, as on the screen.
pub(crate) type Colour = [f32; 3];

/// `a` at 0.0, `b` at 1.0.
pub(crate) fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|channel| a[channel] + (b[channel] - a[channel]) * share)
}

/// Light added to light.
pub(crate) fn add(a: Colour, b: Colour, strength: f32) -> Colour {
    [0, 1, 2].map(|channel| a[channel] + b[channel] * strength)
}

/// Brighter or darker.
pub(crate) fn scale(colour: Colour, by: f32) -> Colour {
    colour.map(|channel| channel * by)
}

/// 0.0 below `from`, 1.0 above `to`, smooth between.
pub(crate) fn step(from: f32, to: f32, value: f32) -> f32 {
    let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// A colour between several, each with its place, ascending.
pub(crate) fn gradient(stops: &[(f32, Colour)], at: f32) -> Colour {
    let mut colour = stops[0].1;
    for pair in stops.windows(2) {
        let ((from, _), (to, next)) = (pair[0], pair[1]);
        colour = mix(colour, next, step(from, to, at));
    }
    colour
}

/// Paints point by point, with four samples per pixel. Points are in units of the height, from the
/// upper left.
pub(crate) fn paint(width: u32, height: u32, look: impl Fn(f32, f32) -> Colour) -> RgbImage {
    let mut canvas = Canvas::new(width, height);
    let unit = 1.0 / height as f32;
    for y in 0..height {
        for x in 0..width {
            let mut colour = [0.0; 3];
            for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                colour = add(
                    colour,
                    look((x as f32 + dx) * unit, (y as f32 + dy) * unit),
                    0.25,
                );
            }
            canvas.set(x, y, colour);
        }
    }
    canvas.finish()
}

/// Pixels that later strokes cover in part.
pub(crate) struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<Colour>,
}

impl Canvas {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            pixels: vec![[0.0; 3]; (width * height) as usize],
        }
    }

    pub(crate) fn width(&self) -> f32 {
        self.width as f32
    }

    pub(crate) fn height(&self) -> f32 {
        self.height as f32
    }

    fn set(&mut self, x: u32, y: u32, colour: Colour) {
        self.pixels[(y * self.width + x) as usize] = colour;
    }

    /// Paints within a box (in pixels): `brush` gives the colour and how much of it covers.
    pub(crate) fn stroke(
        &mut self,
        (left, top): (f32, f32),
        (right, bottom): (f32, f32),
        brush: impl Fn(f32, f32) -> Option<(Colour, f32)>,
    ) {
        let columns =
            left.floor().max(0.0) as u32..right.ceil().clamp(0.0, self.width as f32) as u32;
        for y in top.floor().max(0.0) as u32..bottom.ceil().clamp(0.0, self.height as f32) as u32 {
            for x in columns.clone() {
                if let Some((colour, cover)) = brush(x as f32 + 0.5, y as f32 + 0.5) {
                    let pixel = &mut self.pixels[(y * self.width + x) as usize];
                    *pixel = mix(*pixel, colour, cover);
                }
            }
        }
    }

    pub(crate) fn finish(&self) -> RgbImage {
        RgbImage::from_fn(self.width, self.height, |x, y| {
            let colour = self.pixels[(y * self.width + x) as usize];
            Rgb(colour.map(|channel| (channel.clamp(0.0, 1.0) * 255.0 + 0.5) as u8))
        })
    }
}
