//! The overview as a picture: a row for each namespace, a square for each day.
//!
//! Drawn here, with the letters of Noto Sans Mono (SIL Open Font License) that the crate
//! `noto-sans-mono-bitmap` carries. The picture has a background of its own, of a grey that neither a dark nor a
//! light chat outshines; a mark is told by its shape as well as by its colour.

use jiff::tz::TimeZone;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::overview::{DAYS, Mark, Overview, Row, State};
use crate::chat::in_words::between;

/// How many namespaces a picture shows.
pub const ROWS: usize = 60;

type Colour = [u8; 3];
const GROUND: Colour = [0x1f, 0x24, 0x2b];
const STRIPE: Colour = [0x27, 0x2d, 0x36];
const INK: Colour = [0xf0, 0xf3, 0xf6];
const FAINT: Colour = [0xa8, 0xb2, 0xbf];
const GOOD: Colour = [0x3f, 0xb9, 0x6b];
const PARTIAL: Colour = [0xe3, 0xb3, 0x41];
const FAILED: Colour = [0xf0, 0x65, 0x5b];
const LINE: Colour = [0x6b, 0x76, 0x85];

const MARGIN: usize = 16;
const LETTER: usize = get_raster_width(FontWeight::Regular, RasterHeight::Size16);
const ROW: usize = 26;
const CELL: usize = 14;
const STEP: usize = 17;
/// Letters for the namespace, and for what stands behind the strip.
const NAME: usize = 30;
const BEHIND: usize = 34;

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: GROUND.repeat(width * height),
        }
    }

    /// Lays a colour over a pixel, with a strength from 0 to 255.
    fn dot(&mut self, x: usize, y: usize, colour: Colour, strength: u8) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y * self.width + x) * 3;
        if let Some(pixel) = self.pixels.get_mut(at..at + 3) {
            for (value, wanted) in pixel.iter_mut().zip(colour) {
                let (old, new, by) = (u16::from(*value), u16::from(wanted), u16::from(strength));
                *value = u8::try_from((old * (255 - by) + new * by) / 255).unwrap_or(u8::MAX);
            }
        }
    }

    fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        for y in y..y + height {
            for x in x..x + width {
                self.dot(x, y, colour, 255);
            }
        }
    }

    fn frame(&mut self, x: usize, y: usize, size: usize, colour: Colour) {
        self.fill(x, y, size, 1, colour);
        self.fill(x, y + size - 1, size, 1, colour);
        self.fill(x, y, 1, size, colour);
        self.fill(x + size - 1, y, 1, size, colour);
    }

    /// Writes a line of at most `most` letters; one that the font lacks is a question mark.
    fn write(
        &mut self,
        x: usize,
        y: usize,
        text: &str,
        most: usize,
        colour: Colour,
        weight: FontWeight,
    ) {
        let letters: Vec<char> = text.chars().collect();
        let cut = letters.len() > most;
        for (index, letter) in letters.into_iter().take(most).enumerate() {
            let letter = if cut && index + 2 >= most {
                '.'
            } else {
                letter
            };
            let raster = get_raster(letter, weight, RasterHeight::Size16)
                .or_else(|| get_raster('?', weight, RasterHeight::Size16));
            let Some(raster) = raster else { continue };
            for (down, line) in raster.rows().enumerate() {
                for (right, strength) in line.iter().enumerate() {
                    self.dot(x + index * LETTER + right, y + down, colour, *strength);
                }
            }
        }
    }

    fn mark(&mut self, x: usize, y: usize, mark: Mark) {
        match mark {
            Mark::Good => self.fill(x, y, CELL, CELL, GOOD),
            Mark::Partial => {
                self.frame(x, y, CELL, PARTIAL);
                self.fill(x, y + CELL / 2, CELL, CELL / 2, PARTIAL);
            }
            Mark::Failed => {
                self.frame(x, y, CELL, FAILED);
                for step in 0..CELL {
                    for wide in 0..2 {
                        self.dot(x + step + wide.min(CELL - 1 - step), y + step, FAILED, 255);
                        self.dot(
                            x + CELL - 1 - step,
                            y + (step + wide).min(CELL - 1),
                            FAILED,
                            255,
                        );
                    }
                }
            }
            Mark::Missing => self.frame(x, y, CELL, LINE),
            Mark::NoneDue => self.fill(x + CELL / 2 - 1, y + CELL / 2 - 1, 2, 2, LINE),
        }
    }
}

/// Draws the overview as a PNG, the worst namespaces first; `None` if there is nothing to draw.
pub fn draw(overview: &Overview, zone: &TimeZone) -> Option<Vec<u8>> {
    let shown = overview.rows.len().min(ROWS);
    if shown == 0 {
        return None;
    }
    let strip = MARGIN + NAME * LETTER;
    let behind = strip + DAYS * STEP + MARGIN;
    let mut canvas = Canvas::new(
        behind + BEHIND * LETTER + MARGIN,
        MARGIN * 2 + ROW * (shown + 2) + 8,
    );
    let now = overview.now.to_zoned(zone.clone());
    let title = format!("Backups on {}", now.strftime("%Y-%m-%d %H:%M %Z"));
    canvas.write(MARGIN, MARGIN, &title, NAME + 8, INK, FontWeight::Bold);
    canvas.write(
        behind,
        MARGIN,
        "last good one, next, kept",
        BEHIND,
        FAINT,
        FontWeight::Regular,
    );
    for (index, row) in overview.rows.iter().take(shown).enumerate() {
        let y = MARGIN + ROW * (index + 1);
        if index % 2 == 0 {
            let width = canvas.width;
            canvas.fill(0, y, width, ROW, STRIPE);
        }
        let colour = match row.state {
            State::Good => INK,
            State::Unscheduled | State::Overdue => PARTIAL,
            State::Nothing | State::NoneGood => FAILED,
        };
        canvas.write(
            MARGIN,
            y + 5,
            &row.namespace,
            NAME - 1,
            colour,
            FontWeight::Regular,
        );
        for (day, mark) in row.strip.iter().enumerate() {
            canvas.mark(strip + day * STEP, y + 6, *mark);
        }
        canvas.write(
            behind,
            y + 5,
            &facts(row, overview, zone),
            BEHIND,
            colour,
            FontWeight::Regular,
        );
    }
    legend(
        &mut canvas,
        MARGIN + ROW * (shown + 1) + 8,
        overview.rows.len() - shown,
    );
    encode(&canvas)
}

fn facts(row: &Row, overview: &Overview, zone: &TimeZone) -> String {
    let last = row.last_good.map_or_else(
        || "none".to_owned(),
        |at| format!("{} ago", between(at, overview.now)),
    );
    let next = row.next.map_or_else(
        || "none".to_owned(),
        |at| {
            at.to_zoned(zone.clone())
                .strftime("%m-%d %H:%M")
                .to_string()
        },
    );
    format!("{last}, {next}, {}", row.copies)
}

fn legend(canvas: &mut Canvas, y: usize, more: usize) {
    let mut x = MARGIN;
    for (mark, word) in [
        (Mark::Good, "good"),
        (Mark::Partial, "partly failed"),
        (Mark::Failed, "failed"),
        (Mark::Missing, "missing"),
        (Mark::NoneDue, "none due, or expired"),
    ] {
        canvas.mark(x, y + 1, mark);
        x += CELL + 6;
        canvas.write(x, y, word, 30, FAINT, FontWeight::Regular);
        x += (word.len() + 2) * LETTER;
    }
    if more > 0 {
        canvas.write(
            x,
            y,
            &format!("and {more} more"),
            20,
            FAINT,
            FontWeight::Regular,
        );
    }
}

fn encode(canvas: &Canvas) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (width, height) = (
        u32::try_from(canvas.width).ok()?,
        u32::try_from(canvas.height).ok()?,
    );
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&canvas.pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}
