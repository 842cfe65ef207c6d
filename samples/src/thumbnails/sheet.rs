//! Layout and pixels of the contact sheet: pictures in rows on a light ground. Pure; it loads and
//! stores nothing.

use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgba, RgbaImage};

use super::picture::proportional;

/// Width of the sheet in pixels.
pub const SHEET_WIDTH: u32 = 1024;
/// Maximum number of thumbnails on one sheet; the largest ones are left out first.
pub const MAX_SHEET_THUMBNAILS: usize = 16;

const MARGIN: u32 = 24;
const LARGEST: u32 = 464;
const GROUND: Rgba<u8> = Rgba([244, 244, 241, 255]);
const FRAME: Rgba<u8> = Rgba([208, 208, 202, 255]);

/// The position of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

/// Draws the sheet: each picture at its own size, those wider than 464 pixels made smaller, row by
/// row.
#[must_use]
pub(super) fn draw(pictures: &[DynamicImage]) -> RgbaImage {
    let sizes: Vec<_> = pictures
        .iter()
        .map(|picture| (picture.width(), picture.height()))
        .collect();
    let (places, height) = layout(&sizes);
    let mut sheet = RgbaImage::from_pixel(SHEET_WIDTH, height, GROUND);
    for (picture, place) in pictures.iter().zip(places) {
        for y in place.y - 1..=place.y + place.height {
            for x in place.x - 1..=place.x + place.width {
                sheet.put_pixel(x, y, FRAME);
            }
        }
        let fitting = if (picture.width(), picture.height()) == (place.width, place.height) {
            picture.to_rgba8()
        } else {
            picture
                .resize_exact(place.width, place.height, FilterType::Triangle)
                .into_rgba8()
        };
        imageops::overlay(&mut sheet, &fitting, place.x.into(), place.y.into());
    }
    sheet
}

/// Rows from the top. A row is as high as its highest picture, and pictures are aligned to its
/// lower edge.
fn layout(sizes: &[(u32, u32)]) -> (Vec<Place>, u32) {
    let mut places: Vec<Place> = Vec::with_capacity(sizes.len());
    let (mut x, mut top, mut row_height, mut row_start) = (MARGIN, MARGIN, 0, 0);
    let settle = |row: &mut [Place], row_height: u32| {
        for place in row {
            place.y += row_height - place.height;
        }
    };
    for (index, size) in sizes.iter().enumerate() {
        let (width, height) = fit(*size);
        if x + width + MARGIN > SHEET_WIDTH && index > row_start {
            settle(&mut places[row_start..], row_height);
            (x, top, row_height, row_start) = (MARGIN, top + row_height + MARGIN, 0, index);
        }
        places.push(Place {
            x,
            y: top,
            width,
            height,
        });
        x += width + MARGIN;
        row_height = row_height.max(height);
    }
    settle(&mut places[row_start..], row_height);
    (places, top + row_height + MARGIN)
}

/// The size on the sheet: at most 464 pixels wide and twice as high, proportions kept.
fn fit((width, height): (u32, u32)) -> (u32, u32) {
    let (width, height) = (width.max(1), height.max(1));
    let fitting = width.min(LARGEST);
    let (fitting, high) = (fitting, proportional(width, height, fitting));
    if high <= 2 * LARGEST {
        return (fitting, high);
    }
    (proportional(height, width, 2 * LARGEST), 2 * LARGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overlap(a: &Place, b: &Place) -> bool {
        a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
    }

    proptest! {
        #[test]
        fn no_picture_overlaps_another_or_leaves_the_sheet(
            sizes in prop::collection::vec((1u32..5000, 1u32..5000), 1..=MAX_SHEET_THUMBNAILS)
        ) {
            let (places, height) = layout(&sizes);
            prop_assert_eq!(places.len(), sizes.len());
            for (index, place) in places.iter().enumerate() {
                prop_assert!(place.x >= MARGIN && place.x + place.width + MARGIN <= SHEET_WIDTH);
                prop_assert!(place.y >= MARGIN && place.y + place.height + MARGIN <= height);
                for other in &places[index + 1..] {
                    prop_assert!(!overlap(place, other), "{place:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn the_pictures_are_where_the_layout_says() {
        let red = DynamicImage::from(RgbaImage::from_pixel(100, 50, Rgba([255, 0, 0, 255])));
        let sheet = draw(&[red.clone(), red]);
        assert_eq!(sheet.dimensions(), (SHEET_WIDTH, 50 + 2 * MARGIN));
        assert_eq!(*sheet.get_pixel(MARGIN, MARGIN), Rgba([255, 0, 0, 255]));
        assert_eq!(
            *sheet.get_pixel(2 * MARGIN + 100, MARGIN),
            Rgba([255, 0, 0, 255])
        );
        assert_eq!(*sheet.get_pixel(2, 2), GROUND);
    }
}
