//! The colours of drawings.

use plotters::style::RGBColor;

/// Okabe and Ito's palette, which people with any colour vision can tell apart, without its yellow, in which no text can
/// be read on white.
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
];
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const RULE: RGBColor = RGBColor(0xE6, 0xE6, 0xE6);
pub(super) const WHITE: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
/// Short ticks between rules.
pub(super) const TICK: RGBColor = RGBColor(0xB0, 0xB0, 0xB0);

/// A colour a third as strong, on white. Opaque, so that a curve that crosses itself stays even.
pub(super) fn pale(RGBColor(r, g, b): RGBColor) -> RGBColor {
    let mix = |v: u8| (255.0 - (255.0 - v as f64) * 0.3) as u8;
    RGBColor(mix(r), mix(g), mix(b))
}
